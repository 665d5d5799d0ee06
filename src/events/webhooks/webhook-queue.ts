import type { Index, IndexChange } from '../../index/index.ts'
import { KeyedLock } from '../../scheduling/keyed-lock.ts'
import type { RegistryEvent } from '../formats/registry-event.ts'

/** Events that wait for a webhook, in the index: the oldest is sent first */
export class WebhookQueue {
  readonly #index: Index
  readonly #webhook: string
  readonly #lock = new KeyedLock()
  #count = 0

  constructor({ index }: { index: Index }, { webhook }: { webhook: string }) {
    this.#index = index
    this.#webhook = webhook
  }

  get count(): number {
    return this.#count
  }

  /** Counts what waited before a restart */
  found(): void {
    this.#count++
  }

  /** @returns what the caller calls when the change has been made */
  add(change: IndexChange, ids: readonly string[]): () => void {
    for (const id of ids) {
      change.putWaitingEvent(this.#webhook, id)
    }
    return () => {
      this.#count += ids.length
    }
  }

  async has(id: string): Promise<boolean> {
    return await this.#index.isEventWaiting(this.#webhook, id)
  }

  /** The oldest event; undefined where none waits */
  async first(): Promise<RegistryEvent | undefined> {
    for (let [id] = await this.#oldest(1); id !== undefined; [id] = await this.#oldest(1)) {
      const record = await this.#index.event(id)
      if (record !== undefined) {
        return { id, ...record }
      }
      await this.remove(id)
    }
    return undefined
  }

  /** Takes an event out; a crash may leave it in, so that it is sent once more */
  async remove(id: string): Promise<void> {
    await this.#lock.run('', async () => {
      if (await this.has(id)) {
        await this.#remove([id])
      }
    })
  }

  /**
   * Drops the oldest events until no more than so many are left
   *
   * @returns how many were dropped
   */
  async dropBeyond(max: number): Promise<number> {
    return await this.#lock.run('', async () => {
      const dropped = this.#count > max ? await this.#oldest(this.#count - max) : []
      if (dropped.length > 0) {
        await this.#remove(dropped)
      }
      return dropped.length
    })
  }

  async idle(): Promise<void> {
    await this.#lock.idle()
  }

  async #remove(ids: readonly string[]): Promise<void> {
    const change = this.#index.change()
    for (const id of ids) {
      change.deleteWaitingEvent(this.#webhook, id)
    }
    await change.commit({ durable: false })
    this.#count -= ids.length
  }

  async #oldest(limit: number): Promise<string[]> {
    return await Array.fromAsync(this.#index.waitingEvents(this.#webhook, { limit, last: undefined }))
  }
}
