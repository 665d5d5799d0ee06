/**
 * `registry/tags` is how other nodes find the images of this registry by tag, and how this registry finds theirs. It
 * may import `image` and the files of `registry` itself. Begin here:
 *
 * - `publisher.ts`: publishes all tags under the registry's IPNS name; `published-directory.ts`: the directory that it
 *   publishes; `published-tags.ts`: reads such a directory
 * - `cid-store.ts`: the tags as files on disk, for older IPDR programs and for rebuilding a lost index
 * - `resolvers.ts`: finds tags that are not here: in directories on disk (`resolver-directory.ts`) or in IPFS
 *   (`resolver-ipfs.ts`)
 * - `tag-listener.ts`: how all of them hear of a changed tag; `tag-roots.ts`: the image root of a tag
 */
import type { ContentStore } from '../../ipfs/content-store.ts'
import type { Index } from '../../index/index.ts'
import { OciError } from '../../oci/errors.ts'
import type { IndexCondition } from '../index-condition.ts'
import type { RootProvider } from '../root-provider.ts'
import { PublishedDirectory, type PublishedDirectoryComponents } from './published-directory.ts'
import type { TagListener } from './tag-listener.ts'

export interface PublisherComponents extends PublishedDirectoryComponents {
  /** While the index is not whole, what was published before stays */
  condition: Pick<IndexCondition, 'isWhole' | 'requireWhole'>
  content: PublishedDirectoryComponents['content'] & Pick<ContentStore, 'sync'>
  index: PublishedDirectoryComponents['index'] & Pick<Index, 'change' | 'published'>
  names: { publish: (cid: string) => Promise<{ name: string; sequence: number }> }
  /** Whether all peers may see which tags there are; @default they may */
  isOpenToPeers?: (() => boolean) | undefined
  /** Provides the published directory */
  provider?: RootProvider | undefined
}

export interface PublisherInit {
  /** Whether changes are published as they come; otherwise only {@link Publisher.publish} does */
  automatic: boolean
  /**
   * How long to wait for further changes, so that those which come together are published together; milliseconds
   *
   * @default 500
   */
  delay?: number
  /**
   * The least time between two publications, and the longest that a change waits for others; milliseconds
   *
   * @default 3000
   */
  interval?: number
}

/** Longest time between two attempts after failures; milliseconds */
const maxRetry = 5 * 60_000
/** The part of its time that a large registry may spend on publishing */
const maxShare = 0.1

export class Publisher implements TagListener {
  readonly #components: PublisherComponents
  readonly #automatic: boolean
  readonly #delay: number
  readonly #interval: number
  readonly #directory: PublishedDirectory
  #changed = new Set<string>()
  #timer: NodeJS.Timeout | undefined
  #firstChange = 0
  #earliest = 0
  #failures = 0
  #stopped = new AbortController()
  #running: Promise<unknown> = Promise.resolve()
  /** Pending while blocks are stored that the published directory in the index does not lead to yet */
  #storing: Promise<unknown> = Promise.resolve()

  constructor(components: PublisherComponents, init: PublisherInit) {
    this.#components = components
    this.#automatic = init.automatic
    this.#delay = init.delay ?? 500
    this.#interval = init.interval ?? 3000
    this.#directory = new PublishedDirectory(components)
  }

  async start(): Promise<void> {
    this.#stopped = new AbortController()
    // a registry that never had a tag does not need a name yet
    if (
      (await this.#components.index.published()) !== undefined ||
      (await Array.fromAsync(this.#components.index.repositories({ limit: 1, last: undefined }))).length > 0
    ) {
      this.#schedule()
    }
  }

  /** Cuts a publication short; the next start makes up for it */
  async stop(): Promise<void> {
    this.#stopped.abort(new Error('The server stops'))
    clearTimeout(this.#timer)
    this.#timer = undefined
    await this.#running
  }

  tagged(repository: string): void {
    this.#changed.add(repository)
    this.#schedule()
  }

  /** Publishes soon, if changes are published as they come */
  refresh(): void {
    this.#schedule()
  }

  /**
   * Publishes all tags as they are now
   *
   * @throws OciError UNAVAILABLE where the index is not whole, DENIED where not every peer may see the tags
   */
  async publish(): Promise<{ name: string; cid: string }> {
    this.#components.condition.requireWhole()
    if (!this.#isOpenToPeers) {
      throw new OciError('DENIED', {
        detail: { reason: 'the access rules do not let every peer pull everything, so nothing is published' },
      })
    }
    const work = this.#running.then(async () => await this.#publish())
    this.#running = work.catch(() => {})
    return await work
  }

  /** Stores the whole directory of tags again, to replace missing or damaged blocks of it; publishes nothing */
  async rebuild(): Promise<void> {
    const work = this.#running.then(async () => {
      this.#directory.reset()
      await this.#storeAndIndex()
    })
    this.#running = work.catch(() => {})
    await work
  }

  /** Resolves when everything that is being stored now is in the index, or was given up */
  async settled(): Promise<void> {
    await this.#storing
  }

  get #isOpenToPeers(): boolean {
    return this.#components.isOpenToPeers?.() ?? true
  }

  #schedule(): void {
    if (
      !this.#automatic ||
      !this.#isOpenToPeers ||
      !this.#components.condition.isWhole ||
      this.#stopped.signal.aborted
    ) {
      return
    }
    const now = performance.now()
    if (this.#timer === undefined) {
      this.#firstChange = now
    }
    clearTimeout(this.#timer)
    const due = Math.max(now, this.#earliest, Math.min(now + this.#delay, this.#firstChange + this.#interval))
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      this.publish().catch((err: unknown) => {
        if (!this.#stopped.signal.aborted) {
          this.#components.log.error('tags not published', { err })
          this.#schedule()
        }
      })
    }, due - now)
  }

  async #publish(): Promise<{ name: string; cid: string }> {
    const { log, names, provider } = this.#components
    const began = performance.now()
    try {
      const cid = await this.#storeAndIndex()
      const { name, sequence } = await names.publish(cid)
      provider?.provide(cid)
      const ms = Math.round(performance.now() - began)
      this.#failures = 0
      this.#earliest = performance.now() + Math.max(this.#interval, ms / maxShare)
      log.debug('tags published', { name, cid, sequence, ms })
      return { name, cid }
    } catch (err) {
      // garbage collection may delete blocks that were stored but are in no published directory
      this.#directory.reset()
      this.#earliest = performance.now() + Math.min(this.#interval * 2 ** this.#failures++, maxRetry)
      throw err
    }
  }

  async #storeAndIndex(): Promise<string> {
    const work = this.#store()
    this.#storing = work.catch(() => {})
    return await work
  }

  async #store(): Promise<string> {
    const { content, index } = this.#components
    const before = (await index.published())?.root
    const changed = this.#changed
    this.#changed = new Set()
    const cid = await this.#directory.store(changed, this.#stopped.signal)
    if (cid !== before) {
      await content.sync()
      await index.change().putPublished({ root: cid }).commit({ durable: true })
    }
    return cid
  }
}
