import { Uses } from '../../scheduling/uses.ts'
import type { BlockKey } from '../blocks/block-set.ts'
import { RecentSet } from './recent-set.ts'

const minute = 60_000

export interface CollectionGuardInit {
  /**
   * How long a block that was put is kept although nothing refers to it yet; milliseconds
   *
   * @default 15 minutes
   */
  recent?: number | undefined
}

/**
 * Keeps garbage collection from deleting blocks that are in use.
 *
 * The race that it prevents: a push finds that a block is already stored and does not write it again; the collection,
 * which had found it unreachable, deletes it a moment later; the push succeeds without the block. So a put goes in
 * three steps: it notes the block as used, waits for a deletion of the block that is under way, and only then looks
 * whether the block is stored. And a deletion checks that the block is not used and registers itself without an `await`
 * in between. Whichever comes first, the other one sees it.
 */
export class CollectionGuard {
  readonly #used: RecentSet
  /**
   * Deletions under way, by the name of the file: a {@link BlockKey} is only a part of the digest, and could be another
   * block's
   */
  readonly #deletions = new Map<string, Promise<void>>()
  readonly #putting = new Uses()
  #collections = 0

  constructor({ recent = 15 * minute }: CollectionGuardInit = {}) {
    this.#used = new RecentSet({ period: recent })
  }

  /** The block counts as used until the result is disposed of, and for the period after that */
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

  /**
   * While a collection runs, the block counts as used until the collection has ended
   *
   * @returns resolves when a deletion of the block that is under way has ended; undefined where there is none
   */
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

  /** @param recent a shorter period than the usual one; milliseconds */
  isUsed(file: string, key: BlockKey, recent?: number): boolean {
    return this.#putting.has(file) || this.#used.has(key, recent)
  }

  /** Blocks that are put from this call on count as used until the result is disposed of */
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

  /** Registers a deletion at once. The caller must not `await` anything between {@link isUsed} and this call. */
  async delete<T>(file: string, unlink: () => Promise<T>): Promise<T> {
    // a second deletion of the same block runs after the first, so that a put that waits for the last one waits for
    // both
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
