import { performance } from 'node:perf_hooks'
import { equals } from 'multiformats/bytes'
import type { Logger } from '../../../log.ts'
import type { BlobPeers } from './blob-peers.ts'
import type { FetchedLeaves } from './fetched-leaves.ts'
import { PeerHoldings } from './peer-holdings.ts'
import { seedOf } from './upstream-turns.ts'

/** Peers that are asked for one blob at a time */
const maxPeers = 32

export interface PeerHoldersComponents {
  leaves: Pick<FetchedLeaves, 'digest' | 'size' | 'leafCount' | 'has'>
  /** Those that get the blob */
  repositories: ReadonlySet<string>
  peers: BlobPeers
  /** Hash of a leaf that is certain enough to refuse a peer that says something else */
  hashOf: (leaf: number) => Uint8Array | undefined
  /** Called when a peer has told more */
  onNews: (holdings: PeerHoldings) => void
  /** Called when a peer is not asked for leaves any more */
  onLeft: (holdings: PeerHoldings) => void
  log: Logger
}

/** Which connected appliances have leaves of one blob, as they tell from when it is fetched until it is whole */
export class PeerHolders {
  readonly #components: PeerHoldersComponents
  readonly #holders = new Map<string, PeerHoldings>()
  /** Peers that contradict what upstream sent */
  readonly #refused = new Set<string>()
  readonly #following = new Set<Promise<void>>()
  readonly #stopped = new AbortController()
  /** Peers that said elsewhere that they have the blob */
  readonly #providers = new Set<string>()
  /** Peers whose first answer is waited for */
  readonly #awaited = new Set<string>()
  #isSearching = false
  #forget: (() => void) | undefined
  #onReady: (() => void) | undefined
  #isReady = false
  #began = -Infinity
  readonly #load = performance.eventLoopUtilization()
  #deadline: NodeJS.Timeout | undefined
  /** When the last of the first answers came; milliseconds after the beginning */
  #last: number | undefined

  constructor(components: PeerHoldersComponents) {
    this.#components = components
  }

  /** Whether all have told what they have, or had the time for it */
  get isReady(): boolean {
    return this.#isReady
  }

  /** Those that fetch the blob too */
  get fetching(): PeerHoldings[] {
    return [...this.#holders.values()].filter(({ hasAnswered, isWhole }) => hasAnswered && !isWhole)
  }

  /** Those that may be asked for leaves now */
  get usable(): PeerHoldings[] {
    return [...this.#holders.values()].filter(({ hasAnswered, isResting }) => hasAnswered && !isResting)
  }

  /** @param onReady called once, where it is not ready at once */
  start(onReady: () => void): void {
    const { peers } = this.#components
    const { questions } = peers
    this.#began = performance.now()
    this.#forget = questions.onPeer(peer => {
      this.ask(peer)
    })
    for (const peer of questions.peers()) {
      this.ask(peer)
    }
    if (this.#awaited.size > 0) {
      this.#onReady = onReady
      this.#deadline = setTimeout(this.#becomeReady, peers.firstAnswers())
    } else {
      this.#becomeReady()
    }
  }

  /** Asks a peer for what it has, if it may be asked and was not yet */
  ask(peer: string): void {
    const { leaves, peers } = this.#components
    const isKnown = peers.mayAsk(peer) || this.#providers.has(peer)
    const mayBeAsked = isKnown && peers.isTrusted(peer) && !this.#refused.has(peer)
    if (mayBeAsked && !this.#stopped.signal.aborted && !this.#holders.has(peer) && this.#holders.size < maxPeers) {
      const holdings = new PeerHoldings(peer, { leafCount: leaves.leafCount, seed: seedOf(leaves.digest, peer) })
      this.#holders.set(peer, holdings)
      if (!this.#isReady && !peers.isSilent(peer)) {
        this.#awaited.add(peer)
      }
      this.#keep(this.#follow(holdings))
    }
  }

  /** Compares what peers say with a leaf that upstream sent */
  compare(leaf: number, hash: Uint8Array): void {
    for (const holdings of this.#holders.values()) {
      const told = holdings.hash(leaf)
      if (told !== undefined && !equals(told, hash)) {
        this.#refuse(holdings)
      }
    }
  }

  /** Whether a peer has, or gets, any leaf that is missing here, or one is looked for that may */
  get mayHaveMissing(): boolean {
    if (this.#isSearching) {
      return true
    }
    const { leaves } = this.#components
    const holders = [...this.#holders.values()]
    for (let leaf = 0; leaf < leaves.leafCount; leaf++) {
      if (!leaves.has(leaf) && holders.some(peer => peer.has(leaf) || peer.claims(leaf, Infinity))) {
        return true
      }
    }
    return false
  }

  leaveOut(holdings: PeerHoldings): void {
    if (this.#holders.get(holdings.peer) === holdings) {
      this.#holders.delete(holdings.peer)
      this.#components.onLeft(holdings)
    }
  }

  async stop(): Promise<void> {
    this.#forget?.()
    this.#awaited.clear()
    clearTimeout(this.#deadline)
    this.#stopped.abort(new Error('the fetch has ended'))
    await Promise.all(this.#following)
  }

  #keep(following: Promise<void>): void {
    const ended = following.finally(() => {
      this.#following.delete(ended)
    })
    this.#following.add(ended)
  }

  readonly #becomeReady = (): void => {
    const rest = this.#rest()
    if (this.#awaited.size > 0 && rest > 0) {
      this.#deadline = setTimeout(this.#becomeReady, rest)
      return
    }
    for (const peer of this.#awaited) {
      this.#components.peers.silent(peer)
    }
    this.#awaited.clear()
    this.#isReady = true
    this.#keep(this.#search())
    this.#onReady?.()
  }

  #answered(peer: string): void {
    const { peers } = this.#components
    peers.spoke(peer)
    if (this.#awaited.has(peer)) {
      peers.answered(performance.now() - this.#began)
      this.#waitNoMore(peer)
    }
  }

  /** The later one answers, the longer the others are waited for: where one is busy, all may be */
  #waitNoMore(peer: string): void {
    if (this.#awaited.delete(peer)) {
      clearTimeout(this.#deadline)
      this.#last = performance.now() - this.#began
      this.#deadline = setTimeout(this.#becomeReady, this.#awaited.size === 0 ? 0 : this.#rest())
    }
  }

  /** How much longer first answers are waited for; milliseconds */
  #rest(): number {
    const { utilization } = performance.eventLoopUtilization(this.#load)
    return this.#components.peers.firstAnswers(this.#last, utilization) - (performance.now() - this.#began)
  }

  /** Looks for peers beside those that are connected, where none of these has the whole; never rejects */
  async #search(): Promise<void> {
    const { leaves, peers, repositories } = this.#components
    // a single leaf is told of by no other CID than its own
    if (leaves.leafCount > 1 && !this.usable.some(({ isWhole }) => isWhole)) {
      this.#isSearching = true
      for await (const peer of peers.find(leaves.digest, repositories, this.#stopped.signal)) {
        this.#providers.add(peer)
        if (peers.questions.peers().includes(peer)) {
          this.ask(peer)
        }
      }
      this.#isSearching = false
    }
  }

  /** Takes news of a peer until it has the blob whole, or tells nothing more; never rejects */
  async #follow(holdings: PeerHoldings): Promise<void> {
    const { hashOf, leaves, log, onNews, peers } = this.#components
    const { digest, size } = leaves
    const { peer } = holdings
    try {
      for await (const news of peers.questions.ask(peer, digest, { size, signal: this.#stopped.signal })) {
        if (!holdings.add(news, hashOf)) {
          this.#refuse(holdings)
          break
        }
        this.#answered(peer)
        onNews(holdings)
      }
      this.#answered(peer)
    } catch (err) {
      if (!this.#stopped.signal.aborted) {
        log.debug('a peer does not tell what it has', { digest, peer, reason: String(err) })
      }
    }
    this.#waitNoMore(peer)
    if (!holdings.isWhole) {
      this.leaveOut(holdings)
    }
  }

  #refuse(holdings: PeerHoldings): void {
    const { leaves, log } = this.#components
    log.info('a peer says something else than upstream', { digest: leaves.digest, peer: holdings.peer })
    this.#refused.add(holdings.peer)
    this.leaveOut(holdings)
  }
}
