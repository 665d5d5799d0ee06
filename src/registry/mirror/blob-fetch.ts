import type { Content, ContentStore } from '../../ipfs/content-store.ts'
import { isMissingOrDamaged } from '../../ipfs/errors.ts'
import type { Logger } from '../../log.ts'
import type { Digest } from '../../oci/digest.ts'
import { OciError } from '../../oci/errors.ts'
import { toOciError } from '../errors.ts'
import type { DigestAnswer } from '../../ipfs/digests/digest-server.ts'
import type { SourceKind } from '../repository.ts'
import type { BlobPeers } from './blob-peers.ts'
import type { BlobSource } from './blob-source.ts'
import { FetchJobs, unavailable } from './fetch-jobs.ts'
import { FetchNews } from './fetch-news.ts'
import { FetchPeers, type FetchPeersComponents } from './fetch-peers.ts'
import type { FetchState } from './fetch-state.ts'
import { FetchedLeaves, type FetchedLeavesComponents, type FetchedLeavesInit } from './fetched-leaves.ts'
import { readFetch, type ReadFetchOptions } from './read-fetch.ts'

/** Leaves after which the state is saved; 1 MiB each */
const saveInterval = 4

/** How long it waits for peers where upstream has failed and they have nothing that is missing; milliseconds */
const lastHope = 2000

export interface BlobFetchComponents extends Omit<FetchedLeavesComponents, 'onWanted' | 'onStored'> {
  content: Pick<ContentStore, 'sparseWriter' | 'sync'>
  state: FetchState
  /** Makes the blob, which is durable, part of the repositories, and forgets the state */
  link: (fetch: BlobFetch, file: Content, blockKeys: Uint8Array) => Promise<void>
  /** Connected appliances; undefined: none are asked */
  peers: BlobPeers | undefined
  /** Called when nothing more comes */
  onEnd: () => void
  /** Called with the bytes of each leaf that is stored */
  onStored: (bytes: number) => void
  log: Logger
}

export interface BlobFetchInit extends FetchedLeavesInit {
  /** How long it goes on although nobody reads it and less than half of it is here; milliseconds */
  idleTime: number
}

/** A blob on its way here from other places, which anybody may read meanwhile */
export class BlobFetch {
  /** The blob is stored and linked; rejects with an OciError where it will not be */
  readonly whole: Promise<Content>
  /** Resolves when nothing more comes, and what is here is saved */
  readonly ended: Promise<void>
  /** Those that get the blob */
  readonly repositories = new Set<string>()
  readonly #components: BlobFetchComponents
  readonly #idleTime: number
  readonly #leaves: FetchedLeaves
  readonly #whole = Promise.withResolvers<Content>()
  readonly #ended = Promise.withResolvers<void>()
  readonly #jobs: FetchJobs
  readonly #peers: FetchPeers | undefined
  #news: FetchNews
  #hopeUntil: number | undefined
  #closing: Promise<void> | undefined
  #unsaved = 0
  #holds = 0
  #idle: NodeJS.Timeout | undefined
  #hasStarted = false
  #isLinked = false
  #hasEnded = false

  constructor(components: BlobFetchComponents, init: BlobFetchInit) {
    this.#components = components
    this.#idleTime = init.idleTime
    this.whole = this.#whole.promise
    this.ended = this.#ended.promise
    // whoever waits for it hears of it
    this.whole.catch(() => {})
    const onProgress = (): void => {
      this.#plan()
    }
    const onFull = (err: unknown): void => {
      void this.stop(err)
    }
    const onStored = (leaf: number, kind: SourceKind): void => {
      this.#stored(leaf, kind)
    }
    this.#leaves = new FetchedLeaves({ ...components, onWanted: onProgress, onStored }, init)
    this.#jobs = new FetchJobs({
      leaves: this.#leaves,
      log: components.log,
      isCovered: leaf => this.#peers?.covers(leaf) === true,
      isShared: () => this.#peers?.isShared === true,
      ...{ onProgress, onFull },
    })
    this.#peers = components.peers && this.#createPeers(components.peers, { onProgress, onFull })
    this.#news = this.#createNews()
  }

  get digest(): Digest {
    return this.#leaves.digest
  }

  get size(): number {
    return this.#leaves.size
  }

  /** Whether nothing more comes: it is whole, or has failed */
  get hasEnded(): boolean {
    return this.#hasEnded
  }

  /** Adds places to get it from, for a repository that gets the blob too */
  add(repository: string, sources: readonly BlobSource[]): void {
    if (!this.repositories.has(repository)) {
      this.repositories.add(repository)
      this.#jobs.add(sources)
      this.#unsaved = saveInterval
    }
  }

  /** Begins to fetch; it goes on for a while even if nobody reads it */
  start(): void {
    this.#watchIdle()
    if (!this.#hasStarted) {
      this.#hasStarted = true
      this.#peers?.start()
    }
    this.#plan()
  }

  /** What is here, for a peer that asks for it, which fetches it too then */
  answer(peer: string): DigestAnswer {
    this.#peers?.ask(peer)
    return this.#news.answer()
  }

  /** Whether a block of this SHA-256 is a leaf that is here */
  hasBlock(hash: Uint8Array): boolean {
    return this.#news.hasBlock(hash)
  }

  /** Until the result is disposed of, it goes on */
  hold(): Disposable {
    this.#holds++
    clearTimeout(this.#idle)
    let isHeld = true
    return {
      [Symbol.dispose]: () => {
        if (isHeld) {
          isHeld = false
          this.#holds--
          this.#watchIdle()
        }
      },
    }
  }

  /**
   * Reads the blob, or a part of it, as it comes
   *
   * @throws OciError where it does not come; the last leaf comes only once all of them match the digest
   */
  async *read(options: Partial<ReadFetchOptions> = {}): AsyncGenerator<Uint8Array> {
    using _hold = this.hold()
    const { start = 0, end = this.size - 1 } = options
    yield* readFetch(this.#leaves, { ...options, start, end })
  }

  /** CIDs of the blocks that are here */
  blocks(): string[] {
    return this.#leaves.blocks()
  }

  /**
   * Ends it; what is here is saved, to go on from later
   *
   * @param options.active whether it goes on by itself after a restart
   */
  async stop(reason: unknown, { active = false }: { active?: boolean } = {}): Promise<void> {
    if (this.#hasEnded) {
      await this.ended
      return
    }
    this.#hasEnded = true
    clearTimeout(this.#idle)
    const err = failureOf(this.digest, reason)
    this.#leaves.fail(err)
    this.#whole.reject(err)
    this.#news.end()
    await Promise.all([this.#closing, this.#jobs.stop(), this.#peers?.stop()])
    if (!this.#isLinked) {
      await (this.#leaves.stored > 0 ? this.#save(active) : this.#components.state.delete())
    }
    this.#end()
  }

  #end(): void {
    void this.#peers?.stop()
    this.#leaves.discard()
    this.#components.onEnd()
    this.#ended.resolve()
  }

  #plan(): void {
    if (this.#hasEnded || this.#closing !== undefined) {
      return
    }
    if (this.#leaves.isWhole) {
      this.#closing = this.#close().finally(() => {
        this.#closing = undefined
        this.#plan()
      })
      return
    }
    this.#peers?.fetch()
    if (this.#peers?.isReady !== false) {
      const failure = this.#jobs.plan()
      if (failure !== undefined && !this.#mayPeersDeliver()) {
        void this.stop(failure)
      }
      this.#news.changed()
    }
  }

  /** Whether peers have what is missing, or may tell of it soon */
  #mayPeersDeliver(): boolean {
    if (this.#peers?.mayDeliver === true) {
      this.#hopeUntil = undefined
      return true
    }
    this.#hopeUntil ??= performance.now() + (this.#peers?.isShared === true ? lastHope : 0)
    return performance.now() < this.#hopeUntil
  }

  /** Never rejects */
  async #close(): Promise<void> {
    const { content, link, log, state } = this.#components
    // a source may still be about to deliver what is here already
    await Promise.all([this.#jobs.stop(), this.#peers?.pause()])
    try {
      const file = await this.#leaves.close()
      this.#news.end(file?.cid)
      if (file === undefined) {
        // they come once more, from whoever sent none of them; a peer needs no log-in to lie
        if (this.#peers?.suspect() !== true) {
          this.#jobs.blame()
        }
        this.#news = this.#createNews()
        await state.delete()
        return
      }
      this.#peers?.judge()
      await state.idle()
      await content.sync()
      await link(this, file, this.#leaves.blockKeys())
      this.#isLinked = true
      this.#whole.resolve(file)
      if (!this.#hasEnded) {
        this.#hasEnded = true
        clearTimeout(this.#idle)
        this.#end()
      }
    } catch (err) {
      if (!isMissingOrDamaged(err) || this.#leaves.isVerified) {
        log.error('a blob from elsewhere is not kept', { digest: this.digest, err })
        void this.stop(err)
      }
    }
  }

  #stored(leaf: number, kind: SourceKind): void {
    const hash = this.#leaves.hashOf(leaf)
    this.#components.onStored(this.#leaves.lengthOf(leaf))
    if (hash !== undefined) {
      this.#news.stored(leaf, hash)
      if (kind === 'upstream') {
        this.#peers?.compare(leaf, hash)
      }
    }
    this.#unsaved++
    if (this.#unsaved >= saveInterval && !this.#leaves.isWhole) {
      void this.#save(true)
    }
  }

  #createPeers(peers: BlobPeers, on: Pick<FetchPeersComponents, 'onProgress' | 'onFull'>): FetchPeers {
    const jobs = this.#jobs
    return new FetchPeers({
      ...{ leaves: this.#leaves, log: this.#components.log, peers, ...on },
      upstream: {
        isComing: leaf => jobs.isComing(leaf),
        leafTime: () => jobs.leafTime,
        patience: () => jobs.patience,
        hasFailed: () => jobs.hasFailed,
        claimed: (peer, claims) => {
          if (peer < (peers.questions.self ?? '')) {
            jobs.leave(claims)
          }
        },
      },
    })
  }

  #createNews(): FetchNews {
    const leaves = this.#leaves
    const news = new FetchNews({ claims: () => this.#jobs.claims }, { size: this.size })
    for (let leaf = 0; leaf < leaves.leafCount; leaf++) {
      const hash = leaves.hashOf(leaf)
      if (hash !== undefined) {
        news.stored(leaf, hash)
      }
    }
    return news
  }

  #watchIdle(): void {
    clearTimeout(this.#idle)
    if (this.#holds === 0 && !this.#hasEnded) {
      this.#idle = setTimeout(() => {
        if (this.#leaves.stored * 2 <= this.#leaves.leafCount) {
          void this.stop(unavailable(this.digest, 'nobody waits for it any more'))
        }
      }, this.#idleTime).unref()
    }
  }

  async #save(active: boolean): Promise<void> {
    this.#unsaved = 0
    const { digest, size } = this
    const record = { digest, size, repositories: [...this.repositories], active }
    await this.#components.state.save(record, () => this.#leaves.hashes())
  }
}

/** Clients get no other error than one of the specification */
function failureOf(digest: Digest, cause: unknown): OciError {
  const err = toOciError(cause)
  return err instanceof OciError
    ? err
    : new OciError('UNAVAILABLE', { detail: { digest, reason: 'the blob could not be fetched' }, cause })
}
