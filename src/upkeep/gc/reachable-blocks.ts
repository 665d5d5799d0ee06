import type { BlockSet } from '../../ipfs/blocks/block-set.ts'
import type { DurableBlockstore } from '../../ipfs/blockstore/blockstore.ts'
import type { ContentReader } from '../../ipfs/content-store.ts'
import { Marker } from '../../ipfs/dag/marker.ts'
import type { Pace } from '../../scheduling/pace.ts'
import type { Index } from '../../index/index.ts'
import type { Backups } from '../backup/backups.ts'
import { publishedImages } from '../../registry/tags/published-tags.ts'
import { digestKey } from '../../registry/digest-key.ts'
import { OciError } from '../../oci/errors.ts'
import { everything } from '../../oci/pagination.ts'
import type { BlobFetches } from '../../registry/mirror/fetch/blob-fetches.ts'
import type { Collection } from '../../registry/history.ts'
import type { Uploads } from '../../registry/uploads/uploads.ts'
import {
  CacheEviction,
  type CacheEvictionComponents,
  type CacheEvictionInit,
  type EvictOptions,
  type Evicted,
} from './cache-eviction.ts'
import type { HistoryExpiry } from './history-expiry.ts'
import type { Cleaned } from './index-cleaner.ts'
import { logRefused } from './refused-content.ts'

/** Missing nodes that are named in the log */
const maxNamed = 10
const skipped = 'content skipped, as its DAG is refused'

export interface ReachableBlocksComponents extends CacheEvictionComponents {
  blockstore: Pick<DurableBlockstore, 'read' | 'size'>
  content: Pick<ContentReader, 'find' | 'list' | 'read'>
  index: Index
  uploads: Pick<Uploads, 'blocks'>
  /** Undefined where no other registry is mirrored */
  mirroring?: { fetches: Pick<BlobFetches, 'blocks'> } | undefined
  /** What can be undone; undefined: nothing ever could */
  expiry?: Pick<HistoryExpiry, 'mark'> | undefined
  /** What running backups need, even if it has been deleted from the index since */
  backups: Pick<Backups, 'roots'>
}

export interface ReachableOptions extends EvictOptions {
  /** What counts as deleted although a dry run leaves it in the index */
  without: Cleaned
  /** What is forgotten meanwhile; undefined where nothing ever could be undone */
  collection: Collection | undefined
  pace: Pace
}

export interface Reachable extends Evicted {
  blocks: BlockSet
  /** CIDs of nodes that are missing. What is below them is not known, so no block may be deleted. */
  missing: ReadonlySet<string>
}

/** Finds out which blocks are needed, and evicts images of other nodes that have no room */
export class ReachableBlocks {
  readonly #components: ReachableBlocksComponents
  readonly #eviction: CacheEviction

  constructor(components: ReachableBlocksComponents, init: CacheEvictionInit) {
    this.#components = components
    this.#eviction = new CacheEviction(components, init)
  }

  /**
   * The order matters, as content moves on meanwhile: an upload or a fetch becomes a blob, and a blob becomes part of a
   * manifest. Each is looked for in its earlier place first, so that it can't slip through between the two. A manifest
   * that is deleted meanwhile is in the history by then, and one that comes back from there stays in it. The backups
   * come last: one that begins later has only what was in the index, and is marked, or what was stored since the cycle
   * began, and is protected.
   *
   * @throws DamagedBlockError where a node of this registry's content is damaged
   */
  async find(options: ReachableOptions): Promise<Reachable> {
    const marker = new Marker({ ...this.#components, pace: options.pace })
    await this.#markIncoming(marker, this.#components.uploads.blocks(), options)
    const { mirroring } = this.#components
    if (mirroring !== undefined) {
      await this.#markIncoming(marker, mirroring.fetches.blocks(), options)
    }
    await this.#markBlobs(marker, options)
    await this.#markManifests(marker, options)
    const { collection, without } = options
    await (collection && this.#components.expiry?.mark(marker, without.forgotten, collection, options))
    const cached = await this.#eviction.evict(marker, options)
    await this.#markPublished(marker, options)
    await this.#markBackups(marker, options)
    return { blocks: marker.marked, missing: marker.missing, ...cached }
  }

  /** Marks the blocks of what has not become a blob yet */
  async #markIncoming(
    marker: Marker,
    blocks: ReturnType<Uploads['blocks']>,
    { signal, onRoot }: ReachableOptions,
  ): Promise<void> {
    for await (const { cid, isFile } of blocks) {
      onRoot()
      await (isFile ? this.#mark(marker, cid, signal) : marker.markBlock(cid))
    }
  }

  /**
   * Marks all blobs in the index, linked or not: each of them may still get a link. What is here only to be undone is
   * marked by the history.
   */
  async #markBlobs(marker: Marker, { signal, onRoot, dryRun, without }: ReachableOptions): Promise<void> {
    for await (const { digest, record } of this.#components.index.blobs()) {
      if (!without.withheld.has(digestKey(digest)) && !(dryRun && without.blobs.has(digest))) {
        onRoot()
        await this.#mark(marker, record.cid, signal)
      }
    }
  }

  async #markManifests(marker: Marker, { signal, onRoot, dryRun, without }: ReachableOptions): Promise<void> {
    const { index } = this.#components
    for await (const repository of index.repositories(everything)) {
      for await (const { digest, record } of index.manifests(repository)) {
        if (
          !dryRun ||
          !without.manifests.has(`${repository}:${digest}`) ||
          without.remembered.has(`${repository}:${digest}`)
        ) {
          onRoot()
          await this.#mark(marker, record.cid, signal)
          await this.#mark(marker, record.root, signal)
        }
      }
    }
  }

  /**
   * Marks the published directory without the images, which are needed only as long as the index has them. The
   * directory can be stored again from the index, so where a part of it is damaged or missing, the rest is still
   * marked.
   */
  async #markPublished(marker: Marker, { signal, onRoot }: ReachableOptions): Promise<void> {
    const { content, index, log } = this.#components
    const root = (await index.published())?.root
    if (root !== undefined) {
      onRoot()
      const images = await publishedImages(content, root, { signal })
      const unmarked = await marker.unmarked(root, { signal, except: images }).catch((err: unknown) => {
        logRefused(log, skipped, root, err)
      })
      unmarked?.mark()
    }
  }

  async #markBackups(marker: Marker, { signal, onRoot }: ReachableOptions): Promise<void> {
    for await (const root of this.#components.backups.roots()) {
      onRoot()
      await this.#mark(marker, root, signal)
    }
  }

  async #mark(marker: Marker, root: string, signal: AbortSignal): Promise<void> {
    try {
      await marker.mark(root, { signal })
    } catch (err) {
      logRefused(this.#components.log, skipped, root, err)
    }
  }
}

/** Without a node, nobody knows which blocks are needed below it */
export function requireNoneMissing(missing: ReadonlySet<string>): void {
  if (missing.size > 0) {
    throw new OciError('UNAVAILABLE', {
      detail: {
        reason: 'blocks are missing, and what is below them is not known: no block was deleted',
        missing: missing.size,
        cids: [...missing].slice(0, maxNamed),
      },
    })
  }
}
