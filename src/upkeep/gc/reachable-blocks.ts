import type { BlockSet } from '../../ipfs/blocks/block-set.ts'
import type { DurableBlockstore } from '../../ipfs/blockstore/blockstore.ts'
import type { ContentReader } from '../../ipfs/content-store.ts'
import { Marker, type MarkOptions, type Unmarked } from '../../ipfs/dag/marker.ts'
import type { Pace } from '../../scheduling/pace.ts'
import type { Index } from '../../index/index.ts'
import type { Logger } from '../../log.ts'
import type { Backups } from '../backup/backups.ts'
import type { CachedImage, CachedImages } from '../../registry/image/cached-images.ts'
import type { Cleaned } from './index-cleaner.ts'
import { publishedImages } from '../../registry/tags/published-tags.ts'
import { everything } from '../../oci/pagination.ts'
import type { Uploads } from '../../registry/uploads/uploads.ts'

/** Of a CID in the log */
const maxShown = 100
const passedOver = "content passed over, as it can't be walked"

export interface ReachableBlocksComponents {
  blockstore: Pick<DurableBlockstore, 'read' | 'size'>
  content: Pick<ContentReader, 'find' | 'list' | 'read'>
  index: Index
  uploads: Pick<Uploads, 'blocks'>
  cached: CachedImages
  /** What is needed for now, whether it is in the index or not */
  backups: Pick<Backups, 'roots'>
  log: Logger
}

export interface ReachableBlocksInit {
  /** What was fetched from other nodes may take so many bytes */
  cacheBytes: number
}

export interface ReachableOptions {
  signal: AbortSignal
  /** Whether images of other nodes only count as deleted */
  dryRun: boolean
  /** What counts as deleted though it is still in the index */
  without: Cleaned
  /** Bytes that images of other nodes are to give up, though they have room */
  room: number
  pace: Pace
  /** Is told each root */
  onRoot: () => void
}

export interface Reachable {
  blocks: BlockSet
  /** Nodes of this registry's content that are not here: what is below them is not known */
  missing: ReadonlySet<string>
  /** Images of other nodes for which there is no room any more */
  evicted: number
  /** Bytes of the others */
  cachedBytes: number
}

/** Finds out which blocks are needed */
export class ReachableBlocks {
  readonly #components: ReachableBlocksComponents
  readonly #cacheBytes: number

  constructor(components: ReachableBlocksComponents, init: ReachableBlocksInit) {
    this.#components = components
    this.#cacheBytes = init.cacheBytes
  }

  /**
   * The order matters: an upload becomes a blob, and a blob part of a manifest, so each is looked for where it was before where it will be.
   *
   * @throws DamagedBlockError where a node of this registry's content does not hold what it should
   */
  async find(options: ReachableOptions): Promise<Reachable> {
    const marker = new Marker({ ...this.#components, pace: options.pace })
    await this.#markUploads(marker, options)
    await this.#markBlobs(marker, options)
    await this.#markManifests(marker, options)
    const cached = await this.#markCached(marker, options)
    await this.#markPublished(marker, options)
    await this.#markBackups(marker, options)
    return { blocks: marker.marked, missing: marker.missing, ...cached }
  }

  async #markUploads(marker: Marker, { signal, onRoot }: ReachableOptions): Promise<void> {
    for await (const { cid, isFile } of this.#components.uploads.blocks()) {
      onRoot()
      await (isFile ? this.#mark(marker, cid, signal) : marker.markBlock(cid))
    }
  }

  /** All of them, as any that is in the index may get a link */
  async #markBlobs(marker: Marker, { signal, onRoot, dryRun, without }: ReachableOptions): Promise<void> {
    for await (const { digest, record } of this.#components.index.blobs()) {
      if (!dryRun || !without.blobs.has(digest)) {
        onRoot()
        await this.#mark(marker, record.cid, signal)
      }
    }
  }

  async #markManifests(marker: Marker, { signal, onRoot, dryRun, without }: ReachableOptions): Promise<void> {
    const { index } = this.#components
    for await (const repository of index.repositories(everything)) {
      for await (const { digest, record } of index.manifests(repository)) {
        if (!dryRun || !without.manifests.has(`${repository}:${digest}`)) {
          onRoot()
          await this.#mark(marker, record.cid, signal)
          await this.#mark(marker, record.root, signal)
        }
      }
    }
  }

  /** The last: a backup that begins later has nothing that was not in the index, and is marked, or came since, and is protected */
  async #markBackups(marker: Marker, { signal, onRoot }: ReachableOptions): Promise<void> {
    for await (const root of this.#components.backups.roots()) {
      onRoot()
      await this.#mark(marker, root, signal)
    }
  }

  async #markCached(marker: Marker, options: ReachableOptions): Promise<Pick<Reachable, 'evicted' | 'cachedBytes'>> {
    const { signal, onRoot, dryRun } = options
    const { cached } = this.#components
    const roots = await cached.list()
    const most = await this.#cacheLimit(marker, roots, options)
    let evicted = 0
    let cachedBytes = 0
    for (const { root, isRead } of roots) {
      onRoot()
      const found = await this.#unmarked(marker, root, "image of other nodes dropped, as it can't be walked", {
        signal,
      })
      if (found === undefined) {
        evicted += Number(dryRun || (await cached.evict(root)))
      } else if (isRead || cachedBytes + found.bytes <= most || (!dryRun && !(await cached.evict(root)))) {
        found.mark()
        cachedBytes += found.bytes
      } else {
        evicted++
      }
    }
    return { evicted, cachedBytes }
  }

  /** What can't be walked is served to nobody, and holds nothing else up */
  async #mark(marker: Marker, root: string, signal: AbortSignal): Promise<void> {
    try {
      await marker.mark(root, { signal })
    } catch (err) {
      this.#logRefused(root, passedOver, err)
    }
  }

  /** @returns undefined where it can't be walked */
  async #unmarked(marker: Marker, root: string, message: string, options: MarkOptions): Promise<Unmarked | undefined> {
    try {
      return await marker.unmarked(root, options)
    } catch (err) {
      this.#logRefused(root, message, err)
      return undefined
    }
  }

  /** @throws what is no RefusedDagError */
  #logRefused(root: string, message: string, err: unknown): void {
    if ((err as Error).name !== 'RefusedDagError') {
      throw err
    }
    this.#components.log.warn(message, { cid: root.slice(0, maxShown), reason: (err as Error).message })
  }

  /** What images have in common counts for each of them here: rather too little room is made than that of all */
  async #cacheLimit(
    marker: Marker,
    roots: readonly CachedImage[],
    { room, signal }: ReachableOptions,
  ): Promise<number> {
    let total = 0
    for (const { root } of room > 0 ? roots : []) {
      // what is refused is named where it is looked at for good
      total += (await marker.unmarked(root, { signal }).catch(ignoreRefused))?.bytes ?? 0
    }
    return Math.min(this.#cacheBytes, room > 0 ? Math.max(0, total - room) : Infinity)
  }

  /**
   * The directory itself; the images that it links to are needed only as long as they are in the index. It is made of the index, and can be made
   * again: where a part of it is bad or missing, the rest stays.
   */
  async #markPublished(marker: Marker, { signal, onRoot }: ReachableOptions): Promise<void> {
    const root = (await this.#components.index.published())?.root
    if (root !== undefined) {
      onRoot()
      const images = await publishedImages(this.#components.content, root, { signal })
      const found = await this.#unmarked(marker, root, passedOver, { signal, except: images })
      found?.mark()
    }
  }
}

function ignoreRefused(err: unknown): undefined {
  if ((err as Error).name !== 'RefusedDagError') {
    throw err
  }
}
