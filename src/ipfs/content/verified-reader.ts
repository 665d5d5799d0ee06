import { LRUCache } from 'lru-cache'
import { BufferPool } from '../blocks/buffer-pool.ts'
import { readVerified } from '../blocks/verify-block.ts'
import type { DurableBlockstore } from '../blockstore/blockstore.ts'
import type { ContentReader } from '../content-store.ts'
import { leafSize } from '../dag/encode-node.ts'
import { DagReader, type BlockReader } from './dag-reader.ts'
import { leavesReadAhead } from './leaf-limits.ts'

const readAhead = leavesReadAhead.verified
/** Bytes of a block that is remembered: most directories, manifests and configs are smaller */
const maxRemembered = 16 * 1024

/**
 * Reads what is stored here and compares every block with its CID, for files that are not covered by a digest
 *
 * @param init.remembered bytes of small blocks that are kept in memory once they were compared, for a reader that comes
 *   back to the same directories again and again; @default 0
 */
export function verifiedReader(
  blockstore: Pick<DurableBlockstore, 'read'>,
  { remembered = 0 }: { remembered?: number } = {},
): ContentReader {
  const verified: BlockReader = {
    read: async (...args) => await readVerified(blockstore, ...args),
  }
  const blocks = remembered === 0 ? verified : remembering(verified, remembered)
  return new DagReader({ blocks, buffers: new BufferPool(leafSize, 2 * readAhead) }, { readAhead })
}

function remembering(blocks: BlockReader, maxSize: number): BlockReader {
  const small = new LRUCache<string, Uint8Array>({ maxSize, sizeCalculation: ({ byteLength }) => byteLength + 1 })
  return {
    read: async (cid, options) => {
      const key = cid.toString()
      const known = small.get(key)
      if (known !== undefined) {
        return known
      }
      const bytes = await blocks.read(cid, options)
      if (bytes.byteLength <= maxRemembered) {
        // the buffer that a reader gave is used again for another block
        small.set(key, Uint8Array.from(bytes))
      }
      return bytes
    },
  }
}
