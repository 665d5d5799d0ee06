import type { CID } from 'multiformats/cid'
import type { DurableBlockstore } from '../blockstore/blockstore.ts'
import { blockKey, BlockSet } from '../blocks/block-set.ts'
import type { StoreOptions } from '../content-store.ts'
import type { Block } from '../blocks/block.ts'
import { isLeafOf, refuseLeaf } from './require-child.ts'
import { hasFile, parseCid } from '../blocks/block-cid.ts'
import { leavesOf, walkNodes } from './dag-walk.ts'
import { readVerified } from '../blocks/verify-block.ts'

type Blocks = Pick<DurableBlockstore, 'read'>

/**
 * All blocks below a root, each once and compared with its CID
 *
 * @param without blocks that are not yielded; what is below them is
 * @throws NotFoundError where a block is missing, DamagedBlockError where one does not match its CID; RefusedDagError
 */
export async function* blocksBelow(
  blockstore: Blocks,
  root: string,
  without: BlockSet,
  options: StoreOptions = {},
): AsyncGenerator<Block> {
  for await (const { cid, bytes, size } of walkBlocks(blockstore, parseCid(root), options)) {
    if (!without.has(blockKey(cid.multihash.digest))) {
      yield { cid, bytes: bytes ?? (await readLeaf(blockstore, cid, size, options)) }
    }
  }
}

export interface FoundBlock {
  cid: CID
  /** Undefined for a leaf, which is not read yet */
  bytes?: Uint8Array
  /** Bytes that a leaf should have, where its parent says it */
  size?: number | undefined
}

/**
 * Finds all blocks below a root by its nodes: yields each once, and the leaves of a node right after it; throws as
 * {@link blocksBelow}, but not for leaves, which are not read
 */
export async function* walkBlocks(
  blockstore: Blocks,
  root: CID,
  { signal }: StoreOptions = {},
): AsyncGenerator<FoundBlock> {
  const yielded = new BlockSet()
  const isNew = (cid: CID): boolean => hasFile(cid) && yielded.add(blockKey(cid.multihash.digest))
  const load = async (cid: CID): Promise<Uint8Array> => await readVerified(blockstore, cid, { signal })
  let isLeaf = true
  for await (const { cid, bytes, node } of walkNodes(root, { load, signal })) {
    isLeaf = false
    // it may have been yielded as a leaf: a leaf can have the same bytes as a node, and so the same multihash
    if (isNew(cid)) {
      yield { cid, bytes }
    }
    for (const { cid, to, size } of leavesOf(node)) {
      signal?.throwIfAborted()
      if (isNew(cid)) {
        yield { cid, size: to === 'part' ? size : undefined }
      }
    }
  }
  if (isLeaf && isNew(root)) {
    yield { cid: root }
  }
}

async function readLeaf(
  blockstore: Blocks,
  cid: CID,
  size: number | undefined,
  options: StoreOptions,
): Promise<Uint8Array> {
  const bytes = await readVerified(blockstore, cid, { signal: options.signal })
  return isLeafOf(size, bytes) ? bytes : await refuseLeaf(cid, bytes, size)
}
