import { LRUCache } from 'lru-cache'
import type { DurableBlockstore } from '../ipfs/blockstore/blockstore.ts'
import { missingBlocks } from '../ipfs/dag/missing-blocks.ts'
import type { Repairer } from '../ipfs/retrieval/repairer.ts'

/** Files that are kept in mind */
const maxFiles = 10_000
/** Blocks of one file that are asked for again when somebody asks for the file */
const maxRequests = 100

export interface UnreadableFilesComponents {
  blockstore: Pick<DurableBlockstore, 'has' | 'read'>
  repairer: Pick<Repairer, 'isRepairing' | 'request'>
}

/**
 * Files of which blocks were missing or damaged when somebody read them. As long as they are, a client that looks whether it has to push them
 * is told that they are not there.
 */
export class UnreadableFiles {
  readonly #components: UnreadableFilesComponents
  readonly #roots = new LRUCache<string, true>({ max: maxFiles })

  constructor(components: UnreadableFilesComponents) {
    this.#components = components
  }

  /** To be called where something below the root could not be read */
  note(root: string): void {
    this.#roots.set(root, true)
  }

  /** Whether blocks of the file are missing and nobody repairs them; from then on somebody does */
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
