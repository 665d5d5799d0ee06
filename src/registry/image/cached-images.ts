import { LRUCache } from 'lru-cache'
import { Uses } from '../../scheduling/uses.ts'
import type { Index } from '../../index/index.ts'
import type { Logger } from '../../log.ts'

/** Milliseconds between two saves of the time when an image was last used */
const saveInterval = 10 * 60_000
/** Number of images whose last save is remembered */
const maxSaved = 10_000

export interface CachedImagesComponents {
  index: Pick<Index, 'cached' | 'change'>
  log: Logger
}

export interface CachedImage {
  root: string
  /** Milliseconds since the epoch */
  used: number
  /** Whether a client is reading it now */
  isRead: boolean
}

/**
 * The images of other nodes that clients pulled through this one. Their blocks are kept while there is room; the image
 * that was used least recently goes first (see `upkeep/gc`).
 */
export class CachedImages {
  readonly #components: CachedImagesComponents
  /** Roots of images that are being read now */
  readonly #readers = new Uses()
  /** Roots whose use was saved lately */
  readonly #saved = new LRUCache<string, true>({ max: maxSaved, ttl: saveInterval })

  constructor(components: CachedImagesComponents) {
    this.#components = components
  }

  /** To be called when reading begins: until the result is disposed of, the image is not evicted */
  read(root: string): Disposable {
    return this.#readers.begin(root)
  }

  /** To be called when something was found below a root: from then on, the image is kept */
  async found(root: string): Promise<void> {
    if (this.#saved.has(root)) {
      return
    }
    // before the write: if evict() deletes the record meanwhile, it also removes this note, and the next call writes
    // again
    this.#saved.set(root, true)
    try {
      await this.#components.index
        .change()
        .putCached(root, { used: new Date().toISOString() })
        .commit({ durable: false })
    } catch (err) {
      // the pull itself does not need it
      this.#saved.delete(root)
      this.#components.log.warn('last use of an image of another node not saved', { cid: root, err })
    }
  }

  /** @returns the images that are being read now, then the others, the most recently used first */
  async list(): Promise<CachedImage[]> {
    const roots = new Map(
      this.#readers.keys().map((root): [string, CachedImage] => [root, { root, used: Date.now(), isRead: true }]),
    )
    for await (const { root, record } of this.#components.index.cached()) {
      if (!roots.has(root)) {
        roots.set(root, { root, used: Date.parse(record.used), isRead: false })
      }
    }
    return [...roots.values()].sort((a, b) => Number(b.isRead) - Number(a.isRead) || b.used - a.used)
  }

  /** @returns false where the image is being read, and so stays */
  async evict(root: string): Promise<boolean> {
    if (this.#readers.has(root)) {
      return false
    }
    this.#saved.delete(root)
    await this.#components.index.change().deleteCached(root).commit({ durable: false })
    return true
  }
}
