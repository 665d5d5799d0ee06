import type { Marker } from '../../ipfs/dag/marker.ts'
import type { CachedImage, CachedImages } from '../../registry/image/cached-images.ts'
import type { Logger } from '../../log.ts'
import { ignoreRefused, logRefused } from './refused-content.ts'

export interface CacheEvictionComponents {
  cached: CachedImages
  log: Logger
}

export interface CacheEvictionInit {
  /** Bytes that images of other nodes may take */
  cacheBytes: number
}

export interface EvictOptions {
  signal: AbortSignal
  /** Whether to only count what would be evicted */
  dryRun: boolean
  /** Bytes that the cache has to give up, even where it is within its limit */
  room: number
  /** Bytes of the cache that others take */
  taken: number
  /** Called for each image */
  onRoot: () => void
}

export interface Evicted {
  /** Number of images that were evicted */
  evicted: number
  /** Bytes of the images that stay */
  cachedBytes: number
}

/**
 * Evicts images of other nodes, the least recently used first, until the rest has room; marks the blocks of that rest
 */
export class CacheEviction {
  readonly #components: CacheEvictionComponents
  readonly #cacheBytes: number

  constructor(components: CacheEvictionComponents, init: CacheEvictionInit) {
    this.#components = components
    this.#cacheBytes = init.cacheBytes
  }

  /** @param marker has marked everything that is needed besides; those blocks take no room of the cache */
  async evict(marker: Marker, options: EvictOptions): Promise<Evicted> {
    const { signal, onRoot, dryRun } = options
    const { cached, log } = this.#components
    const images = await cached.list()
    const limit = await this.#limit(marker, images, options)
    let evicted = 0
    let cachedBytes = 0
    for (const { root, isRead } of images) {
      onRoot()
      const unmarked = await marker.unmarked(root, { signal }).catch((err: unknown) => {
        logRefused(log, 'image of another node evicted, as its DAG is refused', root, err)
      })
      if (unmarked === undefined) {
        evicted += Number(dryRun || (await cached.evict(root)))
      } else if (isRead || cachedBytes + unmarked.bytes <= limit || (!dryRun && !(await cached.evict(root)))) {
        unmarked.mark()
        cachedBytes += unmarked.bytes
      } else {
        evicted++
      }
    }
    return { evicted, cachedBytes }
  }

  /**
   * Bytes that may stay. Blocks that several images share count for each of them in the total, so the cache rather
   * gives up too little than everything.
   */
  async #limit(marker: Marker, images: readonly CachedImage[], { room, signal, taken }: EvictOptions): Promise<number> {
    const limit = Math.max(0, this.#cacheBytes - taken)
    if (room === 0) {
      return limit
    }
    let total = 0
    for (const { root } of images) {
      // evict() logs the images that are refused
      total += (await marker.unmarked(root, { signal }).catch(ignoreRefused))?.bytes ?? 0
    }
    return Math.min(limit, Math.max(0, total - room))
  }
}
