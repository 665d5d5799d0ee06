import type { Index, IndexChange } from '../../index/index.ts'
import { KeyedLock } from '../../scheduling/keyed-lock.ts'
import type { RegistryEvent } from '../formats/registry-event.ts'

/**
 * Events that wait for a webhook, in the index: the oldest is sent first. They are added in the order of their ids, so
 * what was looked at once need not be looked at again, except after {@link WebhookQueue.addAgain}.
 */
export class WebhookQueue {
  readonly #index: Index
  readonly #webhook: string
  readonly #lock = new KeyedLock()
  #count = 0
  /** None waits up to this one; LevelDB would read over every deleted key again */
  #sent: string | undefined
  /** Ids up to this one are all there; a change that was made earlier than those before it has to wait */
  #newest = ''
  /** Whether older ones were added again after {@link first} was read */
  #hasOlder = false

  constructor({ index }: { index: Index }, { webhook }: { webhook: string }) {
    this.#index = index
    this.#webhook = webhook
  }

  get count(): number {
    return this.#count
  }

  /** Counts what waited before a restart */
  found(id: string): void {
    this.#added([id])
  }

  /** @returns what the caller calls when the change, and those with lower ids, have been made */
  add(change: IndexChange, ids: readonly string[]): () => void {
    for (const id of ids) {
      change.putWaitingEvent(this.#webhook, id)
    }
    return () => {
      this.#added(ids)
    }
  }

  /** The same for events that were sent before; none of them may be waiting */
  addAgain(change: IndexChange, ids: readonly string[]): () => void {
    const added = this.add(change, ids)
    return () => {
      added()
      this.#sent = undefined
      this.#hasOlder = true
    }
  }

  async has(id: string): Promise<boolean> {
    return await this.#index.isEventWaiting(this.#webhook, id)
  }

  /** The oldest event; undefined where none waits */
  async first(): Promise<RegistryEvent | undefined> {
    for (;;) {
      this.#hasOlder = false
      const [id] = await this.#oldest(1)
      if (id === undefined || id > this.#newest) {
        return undefined
      }
      const record = await this.#index.event(id)
      if (record !== undefined) {
        return { id, ...record }
      }
      await this.sent(id)
    }
  }

  /** Takes out what {@link first} returned; a crash may leave it in, so that it is sent once more */
  async sent(id: string): Promise<void> {
    await this.#lock.run('', async () => {
      if (await this.has(id)) {
        await this.#remove([id])
      }
      this.#sent = this.#hasOlder ? undefined : id
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

  #added(ids: readonly string[]): void {
    this.#count += ids.length
    for (const id of ids) {
      if (id > this.#newest) {
        this.#newest = id
      }
    }
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
    return await Array.fromAsync(this.#index.waitingEvents(this.#webhook, { limit, last: this.#sent }))
  }
}
