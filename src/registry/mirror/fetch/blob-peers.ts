import { LRUCache } from 'lru-cache'
import type { CID } from 'multiformats/cid'
import type { DigestQuestions } from '../../../ipfs/digests/digest-client.ts'
import type { Logger } from '../../../log.ts'
import type { Digest } from '../../../oci/digest.ts'
import { MovingAverage } from './moving-average.ts'

const hour = 60 * 60 * 1000
const maxRemembered = 10_000
/** Leaves that all fetches together ask peers for at a time, and each of them at least; 1 MiB each */
const [inFlight, least] = [12, 2]
/**
 * How long upstream waits for what peers say at first: as a rule, by how long answers take, and at most, or at most
 * where this node has been busy for such a share of the time, as answers may be here that it has not come to; one that
 * has not answered by then is not waited for again before it answers. Milliseconds
 */
const firstAnswers = { usual: 100, times: 3, most: 5000, mostBusy: 30_000, busy: 0.8 }

/** How blobs are found and fetched at connected appliances */
export interface BlobPeersComponents {
  questions: DigestQuestions
  /** Fetches a block, which matches its CID, from a peer */
  blocks: { fetch: (peer: string, cid: CID, options: { signal: AbortSignal }) => Promise<Uint8Array> }
  /** Whether a connected peer is asked what it has, and so learns what is wanted here. @default all are */
  mayAsk?: ((peer: string) => boolean) | undefined
  /** Finds other peers that may have a blob, and connects to them; undefined: none are looked for */
  providers?: { find: (digest: Digest, options: { signal: AbortSignal }) => AsyncIterable<string> } | undefined
  /** Whether every peer may pull a repository, and so know that a blob of it is wanted. @default every one may */
  isPublic?: ((repository: string) => boolean) | undefined
  /** The least that upstream waits for what peers say at first; milliseconds. @default 100 */
  firstAnswers?: number | undefined
  log: Logger
}

/** Connected appliances that can be asked for blobs; one that lied is not asked for an hour */
export class BlobPeers {
  readonly #components: BlobPeersComponents
  readonly #distrusted = new LRUCache<string, true>({ max: maxRemembered, ttl: hour })

  /** When a leaf last came from a peer; milliseconds */
  readonly #delivered = new LRUCache<string, number>({ max: maxRemembered })
  /** Milliseconds that peers take to say what they have, or that they have nothing */
  readonly #answerTime = new MovingAverage()
  /** Peers that have not said it in time */
  readonly #silent = new LRUCache<string, true>({ max: maxRemembered })
  #fetches = 0

  constructor(components: BlobPeersComponents) {
    this.#components = components
  }

  get questions(): DigestQuestions {
    return this.#components.questions
  }

  get blocks(): BlobPeersComponents['blocks'] {
    return this.#components.blocks
  }

  /** Leaves that one fetch may ask for at a time: with more, each only takes longer, and the last one looks late */
  get share(): number {
    return Math.max(least, Math.ceil(inFlight / Math.max(1, this.#fetches)))
  }

  /** To be called when a fetch begins */
  began(): void {
    this.#fetches++
  }

  /** To be called when a fetch ends */
  ended(): void {
    this.#fetches--
  }

  /** To be called when a leaf has come from a peer */
  delivered(peer: string): void {
    this.#delivered.set(peer, performance.now())
  }

  /** When a leaf last came from a peer, for any fetch; milliseconds of `performance` */
  lastDelivery(peer: string): number {
    return this.#delivered.get(peer) ?? -Infinity
  }

  /** To be called with the milliseconds after which a peer said what it has, or that it has nothing */
  answered(time: number): void {
    this.#answerTime.add(time)
  }

  /** To be called when upstream waits no longer for what a peer says */
  silent(peer: string): void {
    this.#silent.set(peer, true)
  }

  /** To be called when a peer says what it has, or that it has nothing */
  spoke(peer: string): void {
    this.#silent.delete(peer)
  }

  isSilent(peer: string): boolean {
    return this.#silent.has(peer)
  }

  /** Milliseconds that peers took lately to say what they have; 0 where none has */
  get answerTime(): number {
    return this.#answerTime.value ?? 0
  }

  /**
   * How long upstream waits for what peers say at first: longer where this node, or each of them, is busy
   *
   * @param answerTime milliseconds after which the last of the answers came that are here; undefined: none are
   * @param load share of the time since it waits in which this node was busy
   */
  firstAnswers(answerTime = this.#answerTime.value, load = 0): number {
    const { firstAnswers: least = firstAnswers.usual } = this.#components
    const { busy, most, mostBusy, times } = firstAnswers
    const longest = load > busy ? mostBusy : most
    return Math.max(least, answerTime === undefined ? longest : Math.min(longest, Math.ceil(times * answerTime)))
  }

  mayAsk(peer: string): boolean {
    return this.#components.mayAsk?.(peer) ?? true
  }

  /** Looks for other peers that may have a blob, where strangers may know that it is wanted */
  async *find(digest: Digest, repositories: Iterable<string>, signal: AbortSignal): AsyncGenerator<string> {
    const { isPublic = () => true, providers } = this.#components
    if (providers !== undefined && [...repositories].some(isPublic)) {
      yield* providers.find(digest, { signal })
    }
  }

  isTrusted(peer: string): boolean {
    return !this.#distrusted.has(peer)
  }

  distrust(peer: string): void {
    this.#distrusted.set(peer, true)
    this.#components.log.warn('a peer sent bytes that do not match their digest', { peer })
  }
}
