import { equals } from 'multiformats/bytes'
import { leafCid } from '../../../ipfs/dag/encode-node.ts'
import { isStorageFull } from '../../errors.ts'
import type { Coverage } from './fetch-jobs.ts'
import type { FetchPeersComponents } from './fetch-peers-components.ts'
import { isIn } from './fetch-plan.ts'
import { MovingAverage } from './moving-average.ts'
import { PeerHolders } from './peer-holders.ts'
import type { PeerHoldings } from './peer-holdings.ts'
import { placeInLine, seedOf } from './upstream-turns.ts'

/** Leaves that one peer is asked for at a time */
const maxInFlightOfOne = 4
/** Leaves from one on that a client waits for, which are fetched in order */
const ahead = 8
/** How often it is looked whether a peer is late; milliseconds */
const checkInterval = 250
/** How long a peer may deliver nothing: at first, then so many times what a leaf takes, within bounds; milliseconds */
const headStart = { first: 3000, times: 6, least: 1000, leastOfShared: 3000, most: 10_000 }
/** A peer that needs less than this for a leaf is never left out; milliseconds */
const quickLeaf = 100
/** A peer rests if it is so many times slower than upstream, once so many leaves have come from it */
const slower = { times: 2, leaves: 4 }

interface Want {
  from: PeerHoldings
  began: number
  stop: AbortController
  done: Promise<void>
}

/** A leaf that a peer delivered */
interface Delivered {
  peer: string
  hash: Uint8Array
}

/** Fetches leaves of one blob from connected appliances that have them, or fetch them themselves at the same time */
export class FetchPeers {
  readonly #components: FetchPeersComponents
  readonly #holders: PeerHolders
  readonly #seed: number
  readonly #wants = new Map<number, Want>()
  readonly #delivered = new Map<number, Delivered>()
  readonly #leafTime = new MovingAverage()
  /** Leaves of peers in a whole that does not match its digest; from then on no peer is asked */
  #suspected: ReadonlyMap<number, Delivered> | undefined
  #timer: NodeJS.Timeout | undefined
  #hasEnded = false

  constructor(components: FetchPeersComponents) {
    this.#components = components
    const { leaves, onProgress, peers, upstream } = components
    this.#seed = seedOf(leaves.digest, peers.questions.self ?? '')
    this.#holders = new PeerHolders({
      ...components,
      hashOf: leaf => (this.#delivered.has(leaf) ? undefined : leaves.hashOf(leaf)),
      onNews: holdings => {
        if (holdings.goesOn(upstream.patience())) {
          upstream.claimed(holdings.peer, holdings.claimed)
        }
        onProgress()
      },
      onLeft: holdings => {
        this.#abort(({ from }) => from === holdings)
        onProgress()
      },
    })
  }

  /** Whether upstream may be asked: peers have told what they have, or had the time for it */
  get isReady(): boolean {
    return this.#holders.isReady
  }

  /** Whether another appliance fetches the blob as well, so that each should fetch other parts of it from upstream */
  get isShared(): boolean {
    return this.#fetching.length > 0
  }

  /** Whether anything that is missing may still come from peers */
  get mayDeliver(): boolean {
    return this.#suspected === undefined && (this.#wants.size > 0 || this.#holders.mayHaveMissing)
  }

  start(): void {
    const { onProgress, peers } = this.#components
    peers.began()
    this.#holders.start(onProgress)
    this.#timer = setInterval(() => {
      this.#restLate()
      onProgress()
    }, checkInterval).unref()
  }

  /** Asks a peer for what it has: it fetches the blob too */
  ask(peer: string): void {
    this.#holders.ask(peer)
  }

  /** Begins to fetch what is needed and what peers have */
  fetch(): void {
    while (this.#wants.size < this.#components.peers.share && !this.#hasEnded) {
      const next = this.#choose()
      if (next === undefined) {
        return
      }
      const { from, leaf } = next
      const want: Want = { from, began: performance.now(), stop: new AbortController(), done: Promise.resolve() }
      this.#wants.set(leaf, want)
      from.inFlight++
      want.done = this.#fetch(leaf, want)
    }
  }

  /** What comes from peers, as far as is known now */
  get coverage(): Coverage {
    const [peers, patience] = [this.#usable, this.#components.upstream.patience()]
    const others = this.#fetching.map(({ seed }) => seed)
    return {
      comes: leaf => this.#wants.has(leaf) || peers.some(peer => peer.has(leaf) || peer.claims(leaf, patience)),
      before: leaf => placeInLine(leaf, this.#seed, others),
    }
  }

  /** To be called with each leaf that upstream sent: a peer that says something else is left out */
  compare(leaf: number, hash: Uint8Array): void {
    this.#holders.compare(leaf, hash)
  }

  /**
   * To be called where the whole does not match its digest: from now on everything comes from upstream
   *
   * @returns false where nothing of it came from peers
   */
  suspect(): boolean {
    if (this.#delivered.size === 0) {
      return false
    }
    this.#suspected = new Map(this.#delivered)
    this.#delivered.clear()
    return true
  }

  /** To be called where the whole matches: a peer that sent something else before is not asked again */
  judge(): void {
    const { leaves, peers } = this.#components
    for (const [leaf, { hash, peer }] of this.#suspected ?? []) {
      if (peers.isTrusted(peer) && !equals(hash, leaves.hashOf(leaf) ?? hash)) {
        peers.distrust(peer)
      }
    }
  }

  /** Resolves when nothing more comes that was asked for */
  async pause(): Promise<void> {
    this.#abort(() => true)
    await Promise.all(Array.from(this.#wants.values(), async ({ done }) => await done))
  }

  async stop(): Promise<void> {
    if (this.#timer !== undefined && !this.#hasEnded) {
      this.#components.peers.ended()
    }
    this.#hasEnded = true
    clearInterval(this.#timer)
    await Promise.all([this.#holders.stop(), this.pause()])
  }

  /** Those that fetch the blob too */
  get #fetching(): PeerHoldings[] {
    return this.#suspected === undefined ? this.#holders.fetching : []
  }

  get #usable(): PeerHoldings[] {
    return this.#suspected === undefined ? this.#holders.usable : []
  }

  /** What a client waits for comes first, then anything: at random where others need it too */
  #choose(): { leaf: number; from: PeerHoldings } | undefined {
    const { leaves, upstream } = this.#components
    const { leafCount, wanted } = leaves
    const peers = this.#usable
      .filter(({ inFlight }) => inFlight < maxInFlightOfOne)
      .toSorted((a, b) => a.inFlight - b.inFlight)
    if (peers.length === 0) {
      return undefined
    }
    const coming = upstream.coming()
    const isNeeded = (leaf: number): boolean => !leaves.has(leaf) && !this.#wants.has(leaf) && !isIn(leaf, coming)
    const first = this.isShared ? Math.floor(Math.random() * leafCount) : 0
    const runs = [
      ...wanted.map(leaf => ({ first: leaf, count: Math.min(ahead, leafCount - leaf) })),
      { first, count: leafCount },
    ]
    for (const { count, first } of runs) {
      for (let leaf = first; leaf < first + count; leaf++) {
        const next = leaf % leafCount
        const from = isNeeded(next) ? peers.find(peer => peer.has(next)) : undefined
        if (from !== undefined) {
          return { leaf: next, from }
        }
      }
    }
    return undefined
  }

  /** Never rejects */
  async #fetch(leaf: number, { began, from, stop }: Want): Promise<void> {
    const { leaves, onFull, onProgress, peers } = this.#components
    const { peer } = from
    const hash = from.hash(leaf)!
    try {
      const bytes = await peers.blocks.fetch(peer, leafCid(hash), { signal: stop.signal })
      if (bytes.byteLength !== leaves.lengthOf(leaf)) {
        peers.distrust(peer)
        this.#holders.leaveOut(from)
        return
      }
      this.#came(from, performance.now() - began)
      this.#delivered.set(leaf, { peer, hash })
      await leaves.store(leaf, bytes, 'peer')
    } catch (err) {
      if (isStorageFull(err)) {
        onFull(err)
      } else if (!stop.signal.aborted) {
        this.#rest(from, String(err))
      }
    } finally {
      from.inFlight--
      this.#wants.delete(leaf)
      onProgress()
    }
  }

  #came(from: PeerHoldings, time: number): void {
    const upstreamTime = this.#components.upstream.leafTime()
    from.delivered(time)
    this.#components.peers.delivered(from.peer)
    this.#leafTime.add(time)
    const { count, value = 0 } = from.leafTime
    // upstream is quick only as long as those that fetch the same leave it alone
    if (
      upstreamTime !== undefined &&
      !this.isShared &&
      count >= slower.leaves &&
      value > Math.max(quickLeaf, slower.times * upstreamTime)
    ) {
      this.#rest(from, `it takes ${Math.round(value)} ms for a leaf, and upstream ${Math.round(upstreamTime)} ms`)
    }
  }

  /** Others are asked for a while */
  #rest(from: PeerHoldings, reason: string): void {
    const { leaves, log } = this.#components
    log.debug('a peer is not asked for leaves for a while', { digest: leaves.digest, peer: from.peer, reason })
    from.rest()
  }

  /** Peers that take too long for a leaf; upstream, or another peer, is asked for it instead */
  #restLate(): void {
    // where all fetch the same, all are busy
    const { first, most, times, [this.isShared ? 'leastOfShared' : 'least']: least } = headStart
    const usual = Math.max(this.#leafTime.value ?? 0, this.#components.upstream.leafTime() ?? 0)
    const longest = usual === 0 ? first : Math.min(most, Math.max(least, times * usual))
    const before = performance.now() - longest
    if (!this.#components.upstream.hasFailed()) {
      this.#abort(({ began, from }) => {
        const isLate = Math.max(began, this.#components.peers.lastDelivery(from.peer)) < before
        if (isLate) {
          this.#rest(from, `no leaf within ${Math.round(longest)} ms`)
        }
        return isLate
      })
    }
  }

  #abort(which: (want: Want) => boolean): void {
    for (const want of this.#wants.values()) {
      if (which(want)) {
        want.stop.abort()
      }
    }
  }
}
