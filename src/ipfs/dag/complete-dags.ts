import type { CID } from 'multiformats/cid'
import * as raw from 'multiformats/codecs/raw'
import { blockKey, BlockSet } from '../blocks/block-set.ts'
import { blockNotFound } from '../blocks/block.ts'
import type { DurableBlockstore } from '../blockstore/blockstore.ts'
import type { StoreOptions } from '../content-store.ts'
import { hasFile, parseCid } from '../blocks/block-cid.ts'
import { leavesOf, WalkedNodes, walkNodes } from './dag-walk.ts'
import { readVerified } from '../blocks/verify-block.ts'
import { isUnreadable } from '../errors.ts'

type Blocks = Pick<DurableBlockstore, 'has' | 'read'>

/**
 * Tells which DAGs are here with all their blocks. Nodes are read and compared with their CIDs; of a leaf it is only
 * checked that it has a file. Blocks that several DAGs share are looked at once.
 */
export class CompleteDags {
  readonly #blockstore: Blocks
  readonly #walked = new WalkedNodes()
  readonly #leaves = new BlockSet()

  constructor(blockstore: Blocks) {
    this.#blockstore = blockstore
  }

  /**
   * @throws NotFoundError where a block is missing, DamagedBlockError where a node does not match its CID;
   * RefusedDagError
   */
  async require(root: string, { signal }: StoreOptions = {}): Promise<void> {
    const load = async (cid: CID): Promise<Uint8Array> => await readVerified(this.#blockstore, cid, { signal })
    const cid = parseCid(root)
    for await (const { node } of walkNodes(cid, { load, walked: this.#walked, signal })) {
      for (const leaf of leavesOf(node)) {
        signal?.throwIfAborted()
        await this.#requireLeaf(leaf.cid)
      }
    }
    if (cid.code === raw.code) {
      await this.#requireLeaf(cid)
    }
  }

  /** @returns what is wrong below the root; undefined where all blocks are here */
  async problemOf(root: string, options: StoreOptions = {}): Promise<string | undefined> {
    try {
      await this.require(root, options)
      return undefined
    } catch (err) {
      if (!isUnreadable(err)) {
        throw err
      }
      return (err as Error).message
    }
  }

  async #requireLeaf(cid: CID): Promise<void> {
    const key = blockKey(cid.multihash.digest)
    if (!hasFile(cid) || this.#leaves.has(key)) {
      return
    }
    if (!(await this.#blockstore.has(cid))) {
      throw blockNotFound(cid)
    }
    this.#leaves.add(key)
  }
}

/** Requires that all blocks below one root are here; throws as {@link CompleteDags.require} */
export async function requireBlocks(blockstore: Blocks, root: string, options: StoreOptions = {}): Promise<void> {
  await new CompleteDags(blockstore).require(root, options)
}
