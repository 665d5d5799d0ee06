import * as dagPb from '@ipld/dag-pb'
import { CID } from 'multiformats/cid'
import type { DurableBlockstore } from './blockstore.ts'
import type { StoreOptions } from './content-store.ts'
import { decodeNode } from './dag.ts'

/**
 * The blocks of a file that are not here. Leaves are not read; what is below a node that is not here is not known.
 *
 * @param root of the file
 */
export async function missingBlocks (blockstore: Pick<DurableBlockstore, 'has' | 'read'>, root: string, options: StoreOptions = {}): Promise<CID[]> {
  const missing: CID[] = []
  const left = [CID.parse(root)]
  for (let cid = left.pop(); cid !== undefined; cid = left.pop()) {
    options.signal?.throwIfAborted()
    const links = await linksOf(blockstore, cid, options)
    if (links === undefined) {
      missing.push(cid)
    } else {
      left.push(...links)
    }
  }
  return missing
}

/** @returns undefined where the block is not here, or is about to go as it is damaged */
async function linksOf (blockstore: Pick<DurableBlockstore, 'has' | 'read'>, cid: CID, options: StoreOptions): Promise<CID[] | undefined> {
  if (cid.code !== dagPb.code) {
    return await blockstore.has(cid) ? [] : undefined
  }
  try {
    return decodeNode(cid, await blockstore.read(cid, options))?.links.map(({ Hash: hash }) => hash) ?? []
  } catch (err) {
    if (!['NotFoundError', 'DamagedBlockError'].includes((err as Error).name)) {
      throw err
    }
    return undefined
  }
}
