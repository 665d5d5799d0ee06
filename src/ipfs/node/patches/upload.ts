import { FairRate } from '../../../scheduling/fair-rate.ts'

const mebibyte = 1024 * 1024
/** What a turn of a peer may take of the rate; seconds. The shorter, the more evenly several peers are served. */
const turn = 0.1
const maxBlocksPerTurn = 8

/** Shares the bytes per second that this node sends in blocks among the peers that want some */
export class Upload {
  readonly #rate: FairRate
  /** Blocks of 1 MiB that a peer gets before it is the turn of another one */
  readonly blocksPerTurn: number

  constructor(bytesPerSecond: number) {
    this.#rate = new FairRate({ bytesPerSecond })
    this.blocksPerTurn = Math.min(maxBlocksPerTurn, Math.max(1, Math.floor((bytesPerSecond * turn) / mebibyte)))
  }

  /** Waits for the turn of a peer; what is sent meanwhile is to be told by {@link sent} */
  async run<T>(peer: string, round: () => Promise<T>): Promise<T> {
    return await this.#rate.run(peer, this.blocksPerTurn * mebibyte, round)
  }

  sent(peer: string, bytes: number): void {
    this.#rate.take(peer, bytes)
  }
}
