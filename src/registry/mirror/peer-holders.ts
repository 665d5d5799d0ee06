import { setTimeout as sleep } from 'node:timers/promises'
import { equals } from 'multiformats/bytes'
import { raceSignal } from 'race-signal'
import type { Logger } from '../../log.ts'
import type { BlobPeers } from './blob-peers.ts'
import type { FetchedLeaves } from './fetched-leaves.ts'
import { PeerHoldings } from './peer-holdings.ts'

/** At most so much longer where others fetch the same blob, so that not all ask upstream for the same leaves */
const jitter = 50
/** How long a peer that says nothing may be one that fetches the same; milliseconds */
const longestDoubt = 5000
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
  readonly #allAnswered = Promise.withResolvers<void>()
  /** Peers that said elsewhere that they have the blob */
  readonly #providers = new Set<string>()
  #unanswered = 0
  #isSearching = false
  #hasAnswer = false
  #forget: (() => void) | undefined
  #isReady = false
  #began = -Infinity

  constructor(components: PeerHoldersComponents) {
    this.#components = components
  }

  /** Whether all have told what they have, or had the time for it */
  get isReady(): boolean {
    return this.#isReady
  }

  /** Whether a peer may still tell that it has something, or fetches it too */
  get isWaiting(): boolean {
    return this.#unanswered > 0 && performance.now() - this.#began < longestDoubt
  }

  /** Those that may be asked for leaves now */
  get usable(): PeerHoldings[] {
    return [...this.#holders.values()].filter(({ hasAnswered, isResting }) => hasAnswered && !isResting)
  }

  /** @param onReady called once, where it is not ready at once */
  start(onReady: () => void): void {
    const { questions } = this.#components.peers
    this.#began = performance.now()
    this.#forget = questions.onPeer(peer => {
      this.ask(peer)
    })
    for (const peer of questions.peers()) {
      this.ask(peer)
    }
    if (this.#unanswered === 0) {
      this.#isReady = true
      this.#keep(this.#search())
    } else {
      this.#keep(this.#becomeReady(onReady))
    }
  }

  /** Asks a peer for what it has, if it may be asked and was not yet */
  ask(peer: string): void {
    const { leaves, peers } = this.#components
    const isKnown = peers.mayAsk(peer) || this.#providers.has(peer)
    const mayBeAsked = isKnown && peers.isTrusted(peer) && !this.#refused.has(peer)
    if (mayBeAsked && !this.#stopped.signal.aborted && !this.#holders.has(peer) && this.#holders.size < maxPeers) {
      const holdings = new PeerHoldings(peer, leaves.leafCount)
      this.#holders.set(peer, holdings)
      this.#unanswered++
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
    this.#stopped.abort(new Error('the fetch has ended'))
    await Promise.all(this.#following)
  }

  #keep(following: Promise<void>): void {
    const ended = following.finally(() => {
      this.#following.delete(ended)
    })
    this.#following.add(ended)
  }

  /** Never rejects */
  async #becomeReady(onReady: () => void): Promise<void> {
    const { signal } = this.#stopped
    try {
      await raceSignal(
        this.#allAnswered.promise,
        AbortSignal.any([signal, AbortSignal.timeout(this.#components.peers.firstAnswers)]),
      )
    } catch {
      // those that have not answered may still do so
    }
    if (this.usable.some(({ isWhole }) => !isWhole)) {
      await sleep(Math.random() * jitter, undefined, { signal }).catch(() => {})
    }
    this.#isReady = true
    this.#keep(this.#search())
    onReady()
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
    const asked = performance.now()
    let isWaitedFor = true
    const answered = (): void => {
      if (isWaitedFor && !this.#hasAnswer) {
        this.#hasAnswer = true
        peers.answered(performance.now() - asked)
      }
      waitNoMore()
    }
    const waitNoMore = (): void => {
      this.#unanswered -= Number(isWaitedFor)
      isWaitedFor = false
      if (this.#unanswered === 0) {
        this.#allAnswered.resolve()
      }
    }
    try {
      for await (const news of peers.questions.ask(peer, digest, { size, signal: this.#stopped.signal })) {
        if (!holdings.add(news, hashOf)) {
          this.#refuse(holdings)
          break
        }
        answered()
        onNews(holdings)
      }
      answered()
    } catch (err) {
      if (!this.#stopped.signal.aborted) {
        log.debug('a peer does not tell what it has', { digest, peer, reason: String(err) })
      }
    }
    waitNoMore()
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
