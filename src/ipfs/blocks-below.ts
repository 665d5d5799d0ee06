import * as dagPb from '@ipld/dag-pb'
import { NotFoundError } from 'interface-store'
import { CID } from 'multiformats/cid'
import { identity } from 'multiformats/hashes/identity'
import type { DurableBlockstore } from './blockstore.ts'
import { blockKey, BlockSet } from './block-set.ts'
import type { StoreOptions } from './content-store.ts'
import type { Block } from './dag.ts'
import { verifyBlock } from './http-blocks.ts'

type Blocks = Pick<DurableBlockstore, 'has' | 'read'>

/**
 * All blocks below a root, each once and compared with its CID; what `without` has is walked but not yielded
 *
 * @throws NotFoundError where one is missing, DamagedBlockError where one does not hold what it should
 */
export async function * blocksBelow (blockstore: Blocks, root: string, without: BlockSet, options: StoreOptions = {}): AsyncGenerator<Block> {
  for await (const { cid, bytes } of walk(blockstore, root, options)) {
    if (!without.has(blockKey(cid.multihash.digest))) {
      yield { cid, bytes: bytes ?? await readBlock(blockstore, cid, options) }
    }
  }
}

/**
 * Looks whether all is here below a root; nodes are read, leaves are not
 *
 * @throws as {@link blocksBelow}
 */
export async function requireBlocks (blockstore: Blocks, root: string, options: StoreOptions = {}): Promise<void> {
  for await (const { cid, bytes } of walk(blockstore, root, options)) {
    if (bytes === undefined && !await blockstore.has(cid)) {
      throw new NotFoundError(`No block ${cid.toString()}`)
    }
  }
}

/** Each block once, a node with its bytes */
async function * walk (blockstore: Blocks, root: string, options: StoreOptions): AsyncGenerator<{ cid: CID, bytes?: Uint8Array }> {
  const yielded = new BlockSet()
  /** Apart from the others: a leaf may have the bytes of a node, and below a leaf is nothing */
  const followed = new BlockSet()
  const left = [CID.parse(root)]
  for (let cid = left.pop(); cid !== undefined; cid = left.pop()) {
    options.signal?.throwIfAborted()
    const isInline = cid.multihash.code === identity.code
    const key = blockKey(cid.multihash.digest)
    const isNode = cid.code === dagPb.code && (isInline || followed.add(key))
    const bytes = isNode ? isInline ? cid.multihash.digest : await readBlock(blockstore, cid, options) : undefined
    if (!isInline && yielded.add(key)) {
      yield { cid, ...(bytes === undefined ? {} : { bytes }) }
    }
    if (bytes !== undefined) {
      // the first child comes first
      left.push(...dagPb.decode(bytes).Links.map(({ Hash: hash }) => hash).reverse())
    }
  }
}

async function readBlock (blockstore: Blocks, cid: CID, { signal }: StoreOptions): Promise<Uint8Array> {
  const bytes = await blockstore.read(cid, { signal })
  await verifyBlock(cid, bytes)
  return bytes
}
