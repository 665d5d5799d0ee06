import { LRUCache } from 'lru-cache'
import type { DurableBlockstore } from '../ipfs/blockstore/blockstore.ts'
import { missingBlocks } from '../ipfs/dag/missing-blocks.ts'
import type { Repairer } from '../ipfs/retrieval/repairer.ts'

/** Number of files that are remembered */
const maxFiles = 10_000
/** Blocks of one file whose repair is requested when a client asks for the file */
const maxRequests = 100

export interface UnreadableFilesComponents {
  blockstore: Pick<DurableBlockstore, 'has' | 'read'>
  repairer: Pick<Repairer, 'isRepairing' | 'request'>
}

/**
 * Remembers files that could not be read, as a block was missing or damaged. Until they are repaired, a client that
 * asks whether it has to push such a blob is told that it is not there, and so pushes it again.
 */
export class UnreadableFiles {
  readonly #components: UnreadableFilesComponents
  readonly #roots = new LRUCache<string, true>({ max: maxFiles })

  constructor(components: UnreadableFilesComponents) {
    this.#components = components
  }

  /** To be called where a block below `root` was missing or damaged */
  note(root: string): void {
    this.#roots.set(root, true)
  }

  /** Whether blocks of the file are missing and nothing repairs them yet; the call starts their repair */
  async has(root: string): Promise<boolean> {
    if (!this.#roots.has(root)) {
      return false
    }
    const { blockstore, repairer } = this.#components
    const missing = await missingBlocks(blockstore, root)
    if (missing.length === 0) {
      this.#roots.delete(root)
    }
    const isLost = missing.some(cid => !repairer.isRepairing(cid.toString()))
    missing.slice(0, maxRequests).forEach(cid => {
      repairer.request(cid)
    })
    return isLost
  }
}
