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
import type { Puller } from '../../access/rules/puller.ts'
import type { BlockSet } from '../../ipfs/blocks/block-set.ts'
import type { ContentStore } from '../../ipfs/content-store.ts'
import type { Index } from '../../index/index.ts'
import { OciError } from '../../oci/errors.ts'
import type { BlockAccess } from '../sharing/block-access.ts'
import type { IndexCondition } from '../index-condition.ts'
import type { RootProvider } from '../root-provider.ts'
import { PublishedDirectory, type PublishedDirectoryComponents, type StoredDirectory } from './published-directory.ts'
import type { TagListener } from './tag-listener.ts'

export interface PublisherComponents extends PublishedDirectoryComponents {
  /** While the index is not whole, what was published before stays */
  condition: Pick<IndexCondition, 'isWhole' | 'requireWhole'>
  content: PublishedDirectoryComponents['content'] & Pick<ContentStore, 'sync'>
  index: PublishedDirectoryComponents['index'] & Pick<Index, 'change' | 'published'>
  names: { publish: (cid: string) => Promise<{ name: string; sequence: number }> }
  /** What every peer may pull, and so see published; @default everything */
  audience?: (() => Puller) | undefined
  /** Is told the blocks of the directory, which are for every peer */
  blockAccess?: Pick<BlockAccess, 'published'> | undefined
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
  /** Counts the changes of the access rules */
  #rules = 0
  /** Whether what was published last is what the access rules let every peer see now */
  #isCurrent = false
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
    this.#recognizeSoon()
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

  /** To be called when the access rules have changed: what is published, and who gets it, follows them */
  rulesChanged(): void {
    this.#rules++
    this.#noteCurrent(false)
    this.#directory.reset()
    this.#recognizeSoon()
    this.#schedule()
  }

  /** Whether peers may be told again what was published last */
  get isPublic(): boolean {
    return this.#audience.everything || this.#isCurrent
  }

  /**
   * Publishes the tags as they are now that every peer may pull
   *
   * @throws OciError UNAVAILABLE where the index is not whole, DENIED where there are none for every peer
   */
  async publish(): Promise<{ name: string; cid: string }> {
    this.#components.condition.requireWhole()
    if (!this.#audience.something) {
      throw nothingPublic()
    }
    const work = this.#running.then(async () => await this.#publish())
    this.#running = work.catch(() => {})
    const published = await work
    if (published === undefined) {
      throw nothingPublic()
    }
    return published
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

  get #audience(): Puller {
    return this.#components.audience?.() ?? everybody
  }

  #schedule(): void {
    if (
      !this.#automatic ||
      !this.#audience.something ||
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
        if (!this.#stopped.signal.aborted && (err as OciError).code !== 'DENIED') {
          this.#components.log.error('tags not published', { err })
          this.#schedule()
        }
      })
    }, due - now)
  }

  async #publish(): Promise<{ name: string; cid: string } | undefined> {
    const { log, names, provider } = this.#components
    const began = performance.now()
    try {
      const cid = await this.#storeAndIndex()
      if (cid === undefined) {
        return undefined
      }
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

  /** @returns undefined where there is nothing that every peer may see */
  async #storeAndIndex(): Promise<string | undefined> {
    const work = this.#store()
    this.#storing = work.catch(() => {})
    return await work
  }

  async #store(): Promise<string | undefined> {
    const { content, index } = this.#components
    const before = (await index.published())?.root
    const changed = this.#changed
    this.#changed = new Set()
    const { cid } = await this.#storeForAudience(changed, ({ isEmpty }) => !isEmpty || this.#audience.everything)
    if (!this.#isCurrent) {
      return undefined
    }
    if (cid !== before) {
      await content.sync()
      await index.change().putPublished({ root: cid }).commit({ durable: true })
    }
    return cid
  }

  /**
   * Stores the directory, again where the access rules change meanwhile
   *
   * @param isPublished whether it is what our name points to, or is about to
   */
  async #storeForAudience(
    changed: ReadonlySet<string>,
    isPublished: (directory: StoredDirectory) => boolean,
  ): Promise<StoredDirectory> {
    for (;;) {
      const rules = this.#rules
      const audience = this.#audience
      const options = { isPublic: audience.mayPull, notesBlocks: !audience.everything }
      const stored = await this.#directory.store(changed, options, this.#stopped.signal)
      if (rules === this.#rules) {
        this.#noteCurrent(isPublished(stored), stored.blocks)
        return stored
      }
      this.#directory.reset()
    }
  }

  /** Where tags are published as they change, nothing is left to recognize */
  #recognizeSoon(): void {
    if (!this.#automatic && !this.#stopped.signal.aborted) {
      this.#running = this.#running.then(async () => await this.#recognize())
    }
  }

  /** What was published last may be told to peers again where it is what would be published now */
  async #recognize(): Promise<void> {
    try {
      const root = (await this.#components.index.published())?.root
      if (root !== undefined && !this.#audience.everything) {
        await this.#storeForAudience(new Set(), ({ cid }) => cid === root)
      }
    } catch (err) {
      this.#components.log.debug('what was published last was not looked at', { err })
    }
    if (!this.#isCurrent) {
      // as where a publication fails, its blocks may be deleted
      this.#directory.reset()
    }
  }

  #noteCurrent(isCurrent: boolean, blocks?: BlockSet): void {
    this.#isCurrent = isCurrent
    if (this.#components.blockAccess !== undefined) {
      this.#components.blockAccess.published = isCurrent ? blocks : undefined
    }
  }
}

const everybody: Puller = { everything: true, something: true, mayPull: () => true }

function nothingPublic(): OciError {
  return new OciError('DENIED', {
    detail: { reason: 'the access rules let every peer pull nothing that is here, so nothing is published' },
  })
}
