import type { Content, ContentStore } from '../../../ipfs/content-store.ts'
import { isMissingOrDamaged } from '../../../ipfs/errors.ts'
import type { Logger } from '../../../log.ts'
import type { Digest } from '../../../oci/digest.ts'
import type { DigestAnswer } from '../../../ipfs/digests/digest-server.ts'
import type { SourceKind } from '../../repository.ts'
import type { BlobPeers } from './blob-peers.ts'
import type { BlobSource } from './blob-source.ts'
import { failureOf, unavailable } from './fetch-errors.ts'
import { FetchNews } from './fetch-news.ts'
import { FetchSources } from './fetch-sources.ts'
import type { FetchState } from './fetch-state.ts'
import {
  FetchedLeaves,
  type FetchedLeavesComponents,
  type FetchedLeavesInit,
  type FetchProgress,
} from './fetched-leaves.ts'
import { readFetch, type ReadFetchOptions } from './read-fetch.ts'

/** Leaves after which the state is saved; 1 MiB each */
const saveInterval = 4

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
  readonly #sources: FetchSources
  #news: FetchNews
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
    const [{ log, peers }, { repositories }] = [components, this]
    this.#sources = new FetchSources({ leaves: this.#leaves, repositories, log, peers, onProgress, onFull })
    this.#news = this.#createNews()
  }

  get digest(): Digest {
    return this.#leaves.digest
  }

  get size(): number {
    return this.#leaves.size
  }

  get progress(): FetchProgress {
    return this.#leaves.progress
  }

  /** Whether nothing more comes: it is whole, or has failed */
  get hasEnded(): boolean {
    return this.#hasEnded
  }

  /** Adds places to get it from, for a repository that gets the blob too */
  add(repository: string, sources: readonly BlobSource[]): void {
    if (!this.repositories.has(repository)) {
      this.repositories.add(repository)
      this.#sources.add(sources)
      this.#unsaved = saveInterval
    }
  }

  /** Begins to fetch; it goes on for a while even if nobody reads it */
  start(): void {
    this.#watchIdle()
    if (!this.#hasStarted) {
      this.#hasStarted = true
      this.#sources.start()
    }
    this.#plan()
  }

  /** What is here, for a peer that asks for it, which fetches it too then */
  answer(peer: string): DigestAnswer {
    this.#sources.ask(peer)
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
    await Promise.all([this.#closing, this.#sources.stop()])
    if (!this.#isLinked) {
      await (this.#leaves.stored > 0 ? this.#save(active) : this.#components.state.delete())
    }
    this.#end()
  }

  #end(): void {
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
    const failure = this.#sources.plan()
    this.#news.changed()
    if (failure !== undefined) {
      void this.stop(failure)
    }
  }

  /** Never rejects */
  async #close(): Promise<void> {
    const { content, link, log, state } = this.#components
    // a source may still be about to deliver what is here already
    await this.#sources.pause()
    try {
      const file = await this.#leaves.close()
      this.#news.end(file?.cid)
      if (file === undefined) {
        this.#sources.blame()
        this.#news = this.#createNews()
        await state.delete()
        return
      }
      this.#sources.judge()
      await state.idle()
      await content.sync()
      await link(this, file, this.#leaves.blockKeys())
      this.#isLinked = true
      this.#whole.resolve(file)
      if (!this.#hasEnded) {
        this.#hasEnded = true
        clearTimeout(this.#idle)
        await this.#sources.stop()
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
    this.#components.state.changed(leaf)
    if (hash !== undefined) {
      this.#news.stored(leaf, hash, { isElsewhere: kind === 'peer' })
      this.#sources.stored(leaf, hash, kind)
    }
    this.#unsaved++
    if (this.#unsaved >= saveInterval && !this.#leaves.isWhole) {
      void this.#save(true)
    }
  }

  #createNews(): FetchNews {
    const leaves = this.#leaves
    const news = new FetchNews(
      { claims: () => this.#sources.claims, hashOf: leaf => leaves.hashOf(leaf) },
      { size: this.size },
    )
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
    await this.#components.state.save(record, (from, count) => this.#leaves.hashes(from, count))
  }
}
