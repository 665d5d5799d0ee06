import type { Index, IndexChange } from '../index/index.ts'
import type { Logger } from '../log.ts'
import { everything } from '../oci/pagination.ts'
import { KeyedLock } from '../scheduling/keyed-lock.ts'
import type { EventLog } from './event-log.ts'
import type { RegistryEvent } from './formats/registry-event.ts'
import type { Webhooks } from './webhooks/webhooks.ts'

/** Events beyond the history that are deleted at once */
const trimmedAtOnce = 256

export interface StoredEventLogComponents {
  index: Index
  webhooks: Pick<Webhooks, 'add' | 'isWaiting' | 'resend' | 'start' | 'stop'>
  log: Logger
}

/**
 * Events in the index: the last of them as a history, and as many older ones as webhooks wait for, each of which has
 * room for a limited number
 */
export class StoredEventLog implements EventLog {
  readonly #components: StoredEventLogComponents
  readonly #history: number
  /** An event is not deleted while it is being queued again */
  readonly #lock = new KeyedLock()
  #count = 0
  #isTrimming = false

  /** @param init.history events that are kept although no webhook waits for them */
  constructor(components: StoredEventLogComponents, init: { history: number }) {
    this.#components = components
    this.#history = init.history
  }

  async start(): Promise<string | undefined> {
    let last: string | undefined
    this.#count = 0
    for await (const { id } of this.#components.index.events(everything)) {
      last = id
      this.#count++
    }
    await this.#components.webhooks.start()
    return last
  }

  async stop(): Promise<void> {
    await this.#components.webhooks.stop()
    await this.#lock.idle()
  }

  add(change: IndexChange, events: readonly RegistryEvent[]): () => void {
    for (const { id, ...record } of events) {
      change.putEvent(id, record)
    }
    const added = this.#components.webhooks.add(change, events)
    return () => {
      this.#count += events.length
      added()
      void this.#trimIfFull()
    }
  }

  async has(id: string): Promise<boolean> {
    return (await this.#components.index.event(id)) !== undefined
  }

  async *after(id: string | undefined): AsyncGenerator<RegistryEvent> {
    for await (const { id: found, record } of this.#components.index.events({ limit: -1, last: id })) {
      yield { id: found, ...record }
    }
  }

  /**
   * Sends events again
   *
   * @throws OciError REQUEST_INVALID where an event or the webhook is unknown
   */
  async resend(ids: readonly string[], webhook: string | undefined): Promise<number> {
    return await this.#lock.run('events', async () => await this.#components.webhooks.resend(ids, webhook))
  }

  async #trimIfFull(): Promise<void> {
    if (this.#isTrimming || this.#count <= this.#history + trimmedAtOnce) {
      return
    }
    this.#isTrimming = true
    try {
      await this.#lock.run('events', async () => {
        await this.#trim()
      })
    } catch (err) {
      this.#components.log.error('old events not deleted', { err })
    } finally {
      this.#isTrimming = false
    }
  }

  async #trim(): Promise<void> {
    const { index, webhooks } = this.#components
    const change = index.change()
    let deleted = 0
    for await (const { id } of index.events({ limit: this.#count - this.#history, last: undefined })) {
      if (!(await webhooks.isWaiting(id))) {
        change.deleteEvent(id)
        deleted++
      }
    }
    await change.commit({ durable: false })
    this.#count -= deleted
  }
}
