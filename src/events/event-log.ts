import type { IndexChange } from '../index/index.ts'
import type { RegistryEvent } from './formats/registry-event.ts'

/** Where events are kept until everybody who wants them has them */
export interface EventLog {
  /** @returns the id of the newest event of an earlier run, if there was one */
  start: () => Promise<string | undefined>
  stop: () => Promise<void>
  /**
   * Adds events to a change, with which they are kept
   *
   * @returns what the caller calls when that change, and those before it, have been made
   */
  add: (change: IndexChange, events: readonly RegistryEvent[]) => () => void
  has: (id: string) => Promise<boolean>
  /** The events after one, in their order; undefined: all that are kept */
  after: (id: string | undefined) => AsyncIterable<RegistryEvent>
}

/** Events that are lost when the process ends: for those who listen where no webhook is configured */
export class MemoryEventLog implements EventLog {
  readonly #max: number
  #events: RegistryEvent[] = []

  /** @param max events that are kept, for listeners that are slow */
  constructor({ max }: { max: number }) {
    this.#max = max
  }

  async start(): Promise<undefined> {
    return undefined
  }

  async stop(): Promise<void> {}

  add(_change: IndexChange, events: readonly RegistryEvent[]): () => void {
    return () => {
      this.#events = [...this.#events, ...events].slice(-this.#max)
    }
  }

  async has(id: string): Promise<boolean> {
    return this.#events.some(event => event.id === id)
  }

  async *after(id: string | undefined): AsyncGenerator<RegistryEvent> {
    yield* this.#events.filter(event => id === undefined || event.id > id)
  }

  clear(): void {
    this.#events = []
  }
}
