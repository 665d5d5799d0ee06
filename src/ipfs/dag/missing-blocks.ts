import type { CID } from 'multiformats/cid'
import type { DurableBlockstore } from '../blockstore/blockstore.ts'
import type { StoreOptions } from '../content-store.ts'
import { hasFile, parseCid } from '../blocks/block-cid.ts'
import { leavesOf, walkNodes } from './dag-walk.ts'

/**
 * The blocks of a file that are not here. Leaves are not read; what is below a node that is not here is not known.
 *
 * @param root of the file
 * @throws RefusedDagError
 */
export async function missingBlocks(
  blockstore: Pick<DurableBlockstore, 'has' | 'read'>,
  root: string,
  options: StoreOptions = {},
): Promise<CID[]> {
  const missing: CID[] = []
  const top = parseCid(root)
  let isLeaf = true
  const load = async (cid: CID): Promise<Uint8Array | undefined> => {
    isLeaf = false
    const bytes = await read(blockstore, cid, options)
    if (bytes === undefined) {
      missing.push(cid)
    }
    return bytes
  }
  for await (const { node } of walkNodes(top, { load, ...options })) {
    isLeaf = false
    for (const { cid } of leavesOf(node)) {
      if (!(await blockstore.has(cid))) {
        missing.push(cid)
      }
    }
  }
  return isLeaf && hasFile(top) && !(await blockstore.has(top)) ? [top] : missing
}

/** @returns undefined where the block is not here, or is about to go as it is damaged */
async function read(
  blockstore: Pick<DurableBlockstore, 'read'>,
  cid: CID,
  options: StoreOptions,
): Promise<Uint8Array | undefined> {
  try {
    return await blockstore.read(cid, options)
  } catch (err) {
    if (!['NotFoundError', 'DamagedBlockError'].includes((err as Error).name)) {
      throw err
    }
    return undefined
  }
}
