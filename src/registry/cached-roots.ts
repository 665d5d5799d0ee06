import type { Index } from '../index/index.ts'
import type { Logger } from '../log.ts'

/** How often it is saved that a root is in use */
const saveInterval = 10 * 60_000
/** Roots whose last save is kept in mind */
const maxSaved = 10_000

export interface CachedRootsComponents {
  index: Pick<Index, 'cached' | 'change'>
  log: Logger
}

export interface CachedRoot {
  root: string
  /** Milliseconds of the epoch */
  used: number
  isRead: boolean
}

/** Images of other nodes that were asked for here: what was fetched of them is kept while there is room, the one that was used last the longest */
export class CachedRoots {
  readonly #components: CachedRootsComponents
  /** How many read from each root now */
  readonly #readers = new Map<string, number>()
  /** When it was last saved that a root is used */
  readonly #saved = new Map<string, number>()

  constructor (components: CachedRootsComponents) {
    this.#components = components
  }

  /** Until it is disposed of, nothing that is here of the image goes away */
  read (root: string): Disposable {
    this.#readers.set(root, (this.#readers.get(root) ?? 0) + 1)
    return {
      [Symbol.dispose]: () => {
        const others = this.#readers.get(root)! - 1
        if (others > 0) {
          this.#readers.set(root, others)
        } else {
          this.#readers.delete(root)
        }
      }
    }
  }

  /** To be called where something was found below a root */
  async found (root: string): Promise<void> {
    const now = Date.now()
    if (now - (this.#saved.get(root) ?? 0) < saveInterval) {
      return
    }
    // before the write, so that a deletion which comes meanwhile is noticed the next time
    this.#saved.delete(root)
    this.#saved.set(root, now)
    const [oldest] = this.#saved.keys()
    if (this.#saved.size > maxSaved && oldest !== undefined) {
      this.#saved.delete(oldest)
    }
    try {
      await this.#components.index.change().putCached(root, { used: new Date(now).toISOString() }).commit({ durable: false })
    } catch (err) {
      // whoever pulls needs nothing of it
      this.#saved.delete(root)
      this.#components.log.warn('use of an image of other nodes not saved', { cid: root, err })
    }
  }

  /** Those that are read now first, then the one that was used last */
  async list (): Promise<CachedRoot[]> {
    const roots = new Map([...this.#readers.keys()].map((root): [string, CachedRoot] => [root, { root, used: Date.now(), isRead: true }]))
    for await (const { root, record } of this.#components.index.cached()) {
      if (!roots.has(root)) {
        roots.set(root, { root, used: Date.parse(record.used), isRead: false })
      }
    }
    return [...roots.values()].sort((a, b) => Number(b.isRead) - Number(a.isRead) || b.used - a.used)
  }

  /** @returns false where somebody reads from it by now: it stays then */
  async evict (root: string): Promise<boolean> {
    if (this.#readers.has(root)) {
      return false
    }
    this.#saved.delete(root)
    await this.#components.index.change().deleteCached(root).commit({ durable: false })
    return true
  }
}
