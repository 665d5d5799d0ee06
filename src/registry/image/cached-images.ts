import { LRUCache } from 'lru-cache'
import { Uses } from '../../scheduling/uses.ts'
import type { Index } from '../../index/index.ts'
import type { Logger } from '../../log.ts'

/** How often it is saved that a root is in use */
const saveInterval = 10 * 60_000
/** Roots whose last save is kept in mind */
const maxSaved = 10_000

export interface CachedImagesComponents {
  index: Pick<Index, 'cached' | 'change'>
  log: Logger
}

export interface CachedImage {
  root: string
  /** Milliseconds of the epoch */
  used: number
  isRead: boolean
}

/** Images of other nodes that were asked for here: what was fetched of them is kept while there is room, the one that was used last the longest */
export class CachedImages {
  readonly #components: CachedImagesComponents
  /** Roots that somebody reads from now */
  readonly #readers = new Uses()
  /** Roots of which it was saved lately that they are used */
  readonly #saved = new LRUCache<string, true>({ max: maxSaved, ttl: saveInterval })

  constructor(components: CachedImagesComponents) {
    this.#components = components
  }

  /** Until it is disposed of, nothing that is here of the image goes away */
  read(root: string): Disposable {
    return this.#readers.begin(root)
  }

  /** To be called where something was found below a root */
  async found(root: string): Promise<void> {
    if (this.#saved.has(root)) {
      return
    }
    // before the write, so that a deletion which comes meanwhile is noticed the next time
    this.#saved.set(root, true)
    try {
      await this.#components.index
        .change()
        .putCached(root, { used: new Date().toISOString() })
        .commit({ durable: false })
    } catch (err) {
      // whoever pulls needs nothing of it
      this.#saved.delete(root)
      this.#components.log.warn('use of an image of other nodes not saved', { cid: root, err })
    }
  }

  /** Those that are read now first, then the one that was used last */
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

  /** @returns false where somebody reads from it by now: it stays then */
  async evict(root: string): Promise<boolean> {
    if (this.#readers.has(root)) {
      return false
    }
    this.#saved.delete(root)
    await this.#components.index.change().deleteCached(root).commit({ durable: false })
    return true
  }
}
