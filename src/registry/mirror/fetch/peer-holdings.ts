import { equals } from 'multiformats/bytes'
import type { DigestNews, LeafRange } from '../../../ipfs/digests/digest-messages.ts'
import { hashBytes } from '../../../ipfs/dag/encode-node.ts'
import { isIn } from './fetch-plan.ts'
import { MovingAverage } from './moving-average.ts'

/** How long a peer that was too slow, or failed, is not asked; twice as long each time. Milliseconds */
const firstRest = 5_000
const longestRest = 10 * 60 * 1000
/** Leaves after which a peer counts as quick again */
const recovered = 8

/** What one peer says that it has of one blob, and how fast it delivers. Nothing of it is believed. */
export class PeerHoldings {
  readonly peer: string
  readonly seed: number
  /** Whether it has told what it has; else it knows nothing of the blob, or has not answered yet */
  hasAnswered = false
  /** Whether it has all leaves; else it still fetches them itself */
  isWhole = false
  /** Leaves that it is asked for now */
  inFlight = 0
  /** Milliseconds for a leaf, where several come at a time those for all of them divided by their number */
  readonly leafTime = new MovingAverage()
  readonly #hashes: Uint8Array
  readonly #has: Uint8Array
  #claims: readonly LeafRange[] = []
  /** When it last had another leaf, or was asked; milliseconds */
  #wentOn = performance.now()
  #restsUntil = 0
  #rests = 0
  #delivered = 0

  /** @param init.seed by which it has its place in line for upstream */
  constructor(peer: string, { leafCount, seed }: { leafCount: number; seed: number }) {
    this.peer = peer
    this.seed = seed
    this.#hashes = new Uint8Array(leafCount * hashBytes)
    this.#has = new Uint8Array(leafCount)
  }

  /**
   * Takes news of the peer
   *
   * @param hashOf the hash of a leaf as it is known here; undefined: not known
   * @returns false where they contradict what is known
   */
  add(news: DigestNews, hashOf: (leaf: number) => Uint8Array | undefined): boolean {
    this.hasAnswered = true
    for (const { first, hashes } of news.leaves) {
      for (let at = 0; at < hashes.byteLength; at += hashBytes) {
        const leaf = first + at / hashBytes
        const hash = hashes.subarray(at, at + hashBytes)
        const known = hashOf(leaf)
        if (known !== undefined && !equals(known, hash)) {
          return false
        }
        if (!this.has(leaf)) {
          this.#hashes.set(hash, leaf * hashBytes)
          this.#has[leaf] = 1
          this.#wentOn = performance.now()
        }
      }
    }
    this.#claims = news.claims ?? this.#claims
    this.isWhole ||= news.root !== undefined
    return true
  }

  has(leaf: number): boolean {
    return this.#has[leaf] === 1
  }

  /** @returns undefined where the peer has not said that it has the leaf */
  hash(leaf: number): Uint8Array | undefined {
    return this.has(leaf) ? this.#hashes.slice(leaf * hashBytes, (leaf + 1) * hashBytes) : undefined
  }

  /** What the peer fetches from upstream */
  get claimed(): readonly LeafRange[] {
    return this.#claims
  }

  /**
   * Whether the peer gets any leaves at all; else what it says that it fetches does not count
   *
   * @param patience how long it may get none; milliseconds
   */
  goesOn(patience: number): boolean {
    return this.#wentOn > performance.now() - patience
  }

  /** Whether the peer fetches a leaf from upstream now */
  claims(leaf: number, patience: number): boolean {
    return this.goesOn(patience) && isIn(leaf, this.#claims)
  }

  get isResting(): boolean {
    return performance.now() < this.#restsUntil
  }

  /** To be called when it was too slow, or failed: others are asked for a while */
  rest(): void {
    if (!this.isResting) {
      this.#restsUntil = performance.now() + Math.min(longestRest, firstRest * 2 ** this.#rests)
      this.#rests++
      this.#delivered = 0
      this.leafTime.reset()
    }
  }

  /** @param time milliseconds from when the leaf was asked for */
  delivered(time: number): void {
    this.leafTime.add(time / Math.max(1, this.inFlight))
    this.#delivered++
    if (this.#delivered >= recovered) {
      this.#rests = 0
    }
  }
}
