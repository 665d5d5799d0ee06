import type { CID } from 'multiformats/cid'
import { shown } from '../blocks/block-cid.ts'
import type { PartialReader } from '../content-store.ts'
import { RefusedDagError } from '../errors.ts'
import type { BlockReader } from './dag-reader.ts'

/** Refuses the blocks that may not be read before it looks for them */
export function partialBlocks(blocks: BlockReader, mayRead: Parameters<PartialReader['only']>[0]): BlockReader {
  return {
    read: async (cid: CID, options) => {
      if (!(await mayRead(cid))) {
        throw new RefusedDagError(`${shown(cid)} is of no repository that may be pulled`)
      }
      return await blocks.read(cid, options)
    },
  }
}
