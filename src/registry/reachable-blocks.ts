import type { BlockSet } from '../ipfs/block-set.ts'
import type { DurableBlockstore } from '../ipfs/blockstore.ts'
import type { ContentReader } from '../ipfs/content-store.ts'
import { Marker } from '../ipfs/marker.ts'
import type { Index } from '../index/index.ts'
import type { CachedRoots } from './cached-roots.ts'
import type { Cleaned } from './index-cleaner.ts'
import { publishedImages } from './published-images.ts'
import { everything } from './tag-roots.ts'
import type { Uploads } from './uploads.ts'

export interface ReachableBlocksComponents {
  blockstore: Pick<DurableBlockstore, 'read' | 'size'>
  content: Pick<ContentReader, 'find' | 'list' | 'read'>
  index: Index
  uploads: Pick<Uploads, 'blocks'>
  cached: CachedRoots
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
  /** Is told each root */
  onRoot: () => void
}

export interface Reachable {
  blocks: BlockSet
  /** Nodes of this registry's content that are not here: what is below them is not known */
  missing: ReadonlySet<string>
  /** Images of other nodes for which there is no room any more */
  evicted: number
}

/** Finds out which blocks are needed */
export class ReachableBlocks {
  readonly #components: ReachableBlocksComponents
  readonly #cacheBytes: number

  constructor (components: ReachableBlocksComponents, init: ReachableBlocksInit) {
    this.#components = components
    this.#cacheBytes = init.cacheBytes
  }

  /**
   * The order matters: an upload becomes a blob, and a blob part of a manifest, so each is looked for where it was before where it will be.
   *
   * @throws DamagedBlockError where a node of this registry's content does not hold what it should
   */
  async find (options: ReachableOptions): Promise<Reachable> {
    const marker = new Marker(this.#components)
    await this.#markUploads(marker, options)
    await this.#markBlobs(marker, options)
    await this.#markManifests(marker, options)
    const evicted = await this.#markCached(marker, options)
    await this.#markPublished(marker, options)
    return { blocks: marker.marked, missing: marker.missing, evicted }
  }

  async #markUploads (marker: Marker, { signal, onRoot }: ReachableOptions): Promise<void> {
    for await (const { cid, isFile } of this.#components.uploads.blocks()) {
      onRoot()
      await (isFile ? marker.mark(cid, { signal }) : marker.markBlock(cid))
    }
  }

  /** All of them, as any that is in the index may get a link */
  async #markBlobs (marker: Marker, { signal, onRoot, dryRun, without }: ReachableOptions): Promise<void> {
    for await (const { digest, record } of this.#components.index.blobs()) {
      if (!dryRun || !without.blobs.has(digest)) {
        onRoot()
        await marker.mark(record.cid, { signal })
      }
    }
  }

  async #markManifests (marker: Marker, { signal, onRoot, dryRun, without }: ReachableOptions): Promise<void> {
    const { index } = this.#components
    for await (const repository of index.repositories(everything)) {
      for await (const { digest, record } of index.manifests(repository)) {
        if (!dryRun || !without.manifests.has(`${repository}:${digest}`)) {
          onRoot()
          await marker.mark(record.cid, { signal })
          await marker.mark(record.root, { signal })
        }
      }
    }
  }

  async #markCached (marker: Marker, { signal, onRoot, dryRun }: ReachableOptions): Promise<number> {
    const { cached } = this.#components
    let evicted = 0
    let bytes = 0
    for (const { root, isRead } of await cached.list()) {
      onRoot()
      const found = await marker.unmarked(root, { signal })
      if (isRead || bytes + found.bytes <= this.#cacheBytes || (!dryRun && !await cached.evict(root))) {
        found.mark()
        bytes += found.bytes
      } else {
        evicted++
      }
    }
    return evicted
  }

  /** The directory itself; the images that it links to are needed only as long as they are in the index */
  async #markPublished (marker: Marker, { signal, onRoot }: ReachableOptions): Promise<void> {
    const root = (await this.#components.index.published())?.root
    if (root !== undefined) {
      onRoot()
      await marker.mark(root, { signal, except: await publishedImages(this.#components.content, root, { signal }) })
    }
  }
}
