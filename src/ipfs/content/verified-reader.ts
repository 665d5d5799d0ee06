import { BufferPool } from '../blocks/buffer-pool.ts'
import type { DurableBlockstore } from '../blockstore/blockstore.ts'
import type { ContentReader } from '../content-store.ts'
import { leafSize } from '../dag/encode-node.ts'
import { DagReader } from './dag-reader.ts'
import { readVerified } from '../blocks/verify-block.ts'

const readAhead = 2

/** Reads what is here and compares every block with its CID: for whoever has nothing else to trust */
export function verifiedReader(blockstore: Pick<DurableBlockstore, 'read'>): ContentReader {
  const blocks = {
    read: async (...args: Parameters<DurableBlockstore['read']>) => await readVerified(blockstore, ...args),
  }
  return new DagReader({ blocks, buffers: new BufferPool(leafSize, 2 * readAhead) }, { readAhead })
}
