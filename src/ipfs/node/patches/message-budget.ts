import type { Connection, Stream } from '@libp2p/interface'
import type { Uint8ArrayList } from 'uint8arraylist'
import { MessageMeter } from './message-meter.ts'

/** Bounds the bytes of bitswap messages that have begun to arrive and are not complete, of all peers together */
export class MessageBudget {
  readonly #max: number
  #held = 0

  constructor(max: number) {
    this.#max = max
  }

  get held(): number {
    return this.#held
  }

  /**
   * Counts what arrives on a stream from when somebody listens to it. Whatever exceeds the budget ends the whole
   * connection, as no peer that means well sends that much.
   */
  watch(stream: Stream, connection: Pick<Connection, 'abort'>): void {
    const meter = new MessageMeter()
    const listen = stream.addEventListener.bind(stream) as (
      type: string,
      listener: (event: unknown) => void,
      ...more: unknown[]
    ) => void
    listen('close', () => {
      this.#held -= meter.held
    })
    const overridden = stream as { addEventListener: typeof listen }
    overridden.addEventListener = (type, listener, ...more) => {
      if (type !== 'message') {
        listen(type, listener, ...more)
        return
      }
      listen(
        type,
        event => {
          try {
            this.#count(meter, (event as { data: Uint8Array | Uint8ArrayList }).data)
          } catch (err) {
            connection.abort(err as Error)
            return
          }
          listener(event)
        },
        ...more,
      )
    }
  }

  #count(meter: MessageMeter, data: Uint8Array | Uint8ArrayList): void {
    const before = meter.held
    try {
      for (const bytes of data instanceof Uint8Array ? [data] : data) {
        meter.take(bytes)
      }
    } finally {
      this.#held += meter.held - before
    }
    if (this.#held > this.#max) {
      throw new Error(`more than ${this.#max} bytes of incomplete bitswap messages`)
    }
  }
}
