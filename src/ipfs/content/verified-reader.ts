import { BufferPool } from '../blocks/buffer-pool.ts'
import { readVerified } from '../blocks/verify-block.ts'
import type { DurableBlockstore } from '../blockstore/blockstore.ts'
import type { ContentReader } from '../content-store.ts'
import { leafSize } from '../dag/encode-node.ts'
import { DagReader } from './dag-reader.ts'
import { leavesReadAhead } from './leaf-limits.ts'

const readAhead = leavesReadAhead.verified

/** Reads what is stored here and compares every block with its CID, for files that are not covered by a digest */
export function verifiedReader(blockstore: Pick<DurableBlockstore, 'read'>): ContentReader {
  const blocks = {
    read: async (...args: Parameters<DurableBlockstore['read']>) => await readVerified(blockstore, ...args),
  }
  return new DagReader({ blocks, buffers: new BufferPool(leafSize, 2 * readAhead) }, { readAhead })
}
