import type { CID } from 'multiformats/cid'
import type { DurableBlockstore } from '../blockstore/blockstore.ts'
import type { StoreOptions } from '../content-store.ts'
import { hasFile, parseCid } from '../blocks/block-cid.ts'
import { isMissingOrDamaged } from '../errors.ts'
import { ignoring } from '../ignoring.ts'
import { leavesOf, walkNodes } from './dag-walk.ts'

/**
 * The blocks of a file that are missing. A damaged node counts as missing, because it is about to be moved into the
 * quarantine; leaves are not read. What is below a missing node is not known.
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
    const bytes = await ignoring(isMissingOrDamaged, async () => await blockstore.read(cid, options))
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
