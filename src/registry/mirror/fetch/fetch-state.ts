import type { FetchRecord, Index } from '../../../index/index.ts'
import type { SparseState } from '../../../ipfs/content-store.ts'
import { hashBytes } from '../../../ipfs/dag/encode-node.ts'
import type { Logger } from '../../../log.ts'
import type { Digest } from '../../../oci/digest.ts'

/** Leaves whose hashes are in one piece of the index */
const pieceLeaves = 64

export interface FetchStateComponents {
  index: Pick<Index, 'change' | 'fetch' | 'fetchLeaves'>
  log: Logger
}

/** What the index knows of a fetch, from which it goes on after a restart */
export class FetchState {
  readonly id: string
  readonly #components: FetchStateComponents
  /** Pieces that have changed since they were saved; a large blob has many */
  #changed = new Set<number>()
  #running: Promise<void> = Promise.resolve()

  constructor(components: FetchStateComponents, id: string) {
    this.#components = components
    this.id = id
  }

  /** A digest with another size is another fetch: one of the two is wrong, and must not spoil the other */
  static idOf(digest: Digest, size: number): string {
    return `${digest}:${size}`
  }

  /** @returns undefined where nothing was saved */
  async load(leafCount: number): Promise<{ record: FetchRecord; state: SparseState } | undefined> {
    const { index } = this.#components
    const record = await index.fetch(this.id)
    if (record === undefined) {
      return undefined
    }
    const leaves = new Uint8Array(leafCount * hashBytes)
    for await (const { position, hashes } of index.fetchLeaves(this.id)) {
      if (position + hashes.byteLength / hashBytes <= leafCount) {
        leaves.set(hashes, position * hashBytes)
      }
    }
    return { record, state: { size: record.size, leaves } }
  }

  /** To be called when a leaf is stored, or lost again */
  changed(leaf: number): void {
    this.#changed.add(Math.floor(leaf / pieceLeaves))
  }

  /**
   * Saves what has changed; never throws, as a fetch that is not saved only begins anew after a restart
   *
   * @param hashes SHA-256 of leaves from one on, as many as there are up to a number, zeros for one that is not stored
   */
  async save(record: Omit<FetchRecord, 'updated'>, hashes: (from: number, count: number) => Uint8Array): Promise<void> {
    this.#running = this.#running.then(async () => {
      const changed = this.#changed
      this.#changed = new Set()
      try {
        const change = this.#components.index.change()
        change.putFetch(this.id, { ...record, updated: new Date().toISOString() })
        for (const piece of changed) {
          change.putFetchLeaves(this.id, piece * pieceLeaves, hashes(piece * pieceLeaves, pieceLeaves))
        }
        await change.commit({ durable: false })
      } catch (err) {
        this.#changed = this.#changed.union(changed)
        this.#components.log.warn('state of a fetch not saved', { digest: record.digest, err })
      }
    })
    await this.#running
  }

  /** Forgets everything; never throws, as what stays is forgotten once it has expired */
  async delete(): Promise<void> {
    await this.idle()
    this.#changed.clear()
    try {
      await this.#components.index.change().deleteFetch(this.id).commit({ durable: false })
    } catch (err) {
      this.#components.log.warn('state of a fetch not deleted', { fetch: this.id, err })
    }
  }

  /** Resolves when no save is under way */
  async idle(): Promise<void> {
    await this.#running
  }
}
