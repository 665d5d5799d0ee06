import type { BlockKey } from '../blocks/block-set.ts'
import { RecentSet } from './recent-set.ts'
import { Uses } from '../../scheduling/uses.ts'

const minute = 60_000

export interface BlockGuardInit {
  /**
   * Whoever puts blocks has so long to make them reachable; milliseconds
   *
   * @default 15 minutes
   */
  recent?: number | undefined
}

/**
 * Keeps garbage collection off the blocks that are in use. A block is put in three steps: it is noted as used, a deletion of it that is under
 * way is waited for, and only then is looked whether it is there. A deletion looks whether the block is used and says that it is under way
 * without a pause between the two. So either sees the other, whoever comes first.
 */
export class BlockGuard {
  readonly #used: RecentSet
  /** By file, as exactly this one must be waited for */
  readonly #deletions = new Map<string, Promise<void>>()
  readonly #putting = new Uses()
  #collections = 0

  constructor({ recent = 15 * minute }: BlockGuardInit = {}) {
    this.#used = new RecentSet({ period: recent })
  }

  /** The block is in use until this is disposed of, and for the period after it */
  put(file: string, key: BlockKey): Disposable {
    this.#used.note(key)
    const putting = this.#putting.begin(file)
    return {
      [Symbol.dispose]: () => {
        this.#used.note(key)
        putting[Symbol.dispose]()
      },
    }
  }

  /** While garbage is collected: the block is in use until that is over */
  read(file: string, key: BlockKey): Promise<void> | undefined {
    if (this.#collections === 0) {
      return undefined
    }
    this.#used.note(key)
    return this.#deletions.get(file)
  }

  /** Resolves when a deletion of the block that is under way has ended; undefined where there is none */
  deletion(file: string): Promise<void> | undefined {
    return this.#deletions.get(file)
  }

  isPutting(file: string): boolean {
    return this.#putting.has(file)
  }

  /** @param recent milliseconds, where less than usual is to count as lately */
  isUsed(file: string, key: BlockKey, recent?: number): boolean {
    return this.#putting.has(file) || this.#used.has(key, recent)
  }

  /** Until it is disposed of, whatever is put from now on is in use */
  beginCollection(): Disposable {
    const hold = this.#used.hold()
    this.#collections++
    let running = true
    return {
      [Symbol.dispose]: () => {
        if (running) {
          running = false
          this.#collections--
          hold[Symbol.dispose]()
        }
      },
    }
  }

  /** Begins a deletion at once: between whatever allowed it and this call may be no pause */
  async delete<T>(file: string, unlink: () => Promise<T>): Promise<T> {
    // two of the same block: whoever waits has to wait for both
    const deletion = (this.#deletions.get(file) ?? Promise.resolve()).then(unlink)
    const ended = deletion.then(
      () => {},
      () => {},
    )
    this.#deletions.set(file, ended)
    try {
      return await deletion
    } finally {
      if (this.#deletions.get(file) === ended) {
        this.#deletions.delete(file)
      }
    }
  }
}
