import type { Connection, Libp2p, Stream } from '@libp2p/interface'
import type { Uint8ArrayList } from 'uint8arraylist'
import { MessageMeter } from './message-meter.ts'

/** What one peer, and all together, may make this node hold */
export interface PeerLimits {
  /** Connections to peers; undefined: as the network profile has it */
  connections?: number | undefined
  connectionsPerPeer: number
  /** Streams on which a connection brings messages of bitswap at a time */
  streamsPerConnection: number
  /** Blocks that are noted as wanted by a peer */
  wantsPerPeer: number
  /** Bytes of messages of all peers that are not whole yet */
  messageBytes: number
  /** Bytes of blocks that a connection brings while nobody waits for any: what was asked for and cancelled may still come */
  unaskedBytes: number
}

const mebibyte = 1024 * 1024

export const defaultPeerLimits: PeerLimits = {
  connectionsPerPeer: 8,
  streamsPerConnection: 64,
  wantsPerPeer: 1024,
  messageBytes: 128 * mebibyte,
  unaskedBytes: 256 * mebibyte,
}

/** One peer with many connections would leave none for the others: what comes beyond the limit is closed again */
export function limitConnections(libp2p: Pick<Libp2p, 'addEventListener' | 'getConnections'>, max: number): void {
  libp2p.addEventListener('connection:open', ({ detail: connection }) => {
    if (libp2p.getConnections(connection.remotePeer).length > max) {
      connection.abort(new Error(`more than ${max} connections of one peer`))
    }
  })
}

/** Bounds what peers have sent of messages that are not whole */
export class MessageBudget {
  readonly #max: number
  #held = 0

  constructor(max: number) {
    this.#max = max
  }

  get held(): number {
    return this.#held
  }

  /** Counts what comes on a stream, once somebody listens; what is too much ends the connection: no peer that means well sends it */
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
      throw new Error(`more than ${this.#max} bytes of bitswap messages are under way`)
    }
  }
}
