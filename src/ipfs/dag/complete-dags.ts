import { NotFoundError } from 'interface-store'
import { blockKey, BlockSet } from '../blocks/block-set.ts'
import type { DurableBlockstore } from '../blocks/blockstore.ts'
import type { StoreOptions } from '../content-store.ts'
import { hasFile, parseCid } from '../blocks/block-cid.ts'
import { leavesOf, WalkedNodes, walkNodes } from './dag-walk.ts'
import { verifyBlock } from '../blocks/verify-block.ts'

/** Errors that say that a DAG is not here as it should be */
const lacking = ['NotFoundError', 'DamagedBlockError', 'RefusedDagError']

/**
 * Tells which DAGs are here with all their blocks. Nodes are read and compared with their CIDs, of leaves only it is known that there is a file
 * of each. What several DAGs have in common is looked at once.
 */
export class CompleteDags {
  readonly #blockstore: Pick<DurableBlockstore, 'has' | 'read'>
  readonly #walked = new WalkedNodes()
  readonly #leaves = new BlockSet()

  constructor (blockstore: Pick<DurableBlockstore, 'has' | 'read'>) {
    this.#blockstore = blockstore
  }

  /** @returns what is wrong below the root; undefined where all is here */
  async problemOf (root: string, { signal }: StoreOptions = {}): Promise<string | undefined> {
    const load = async (cid: Parameters<typeof verifyBlock>[0]): Promise<Uint8Array> => {
      const bytes = await this.#blockstore.read(cid, { signal })
      await verifyBlock(cid, bytes)
      return bytes
    }
    try {
      const cid = parseCid(root)
      let isLeaf = true
      for await (const { node } of walkNodes(cid, { load, walked: this.#walked, signal })) {
        isLeaf = false
        for (const leaf of leavesOf(node)) {
          await this.#requireLeaf(leaf.cid)
        }
      }
      await (isLeaf ? this.#requireLeaf(cid) : undefined)
      return undefined
    } catch (err) {
      const { name, message } = err as Error
      if (!lacking.includes(name)) {
        throw err
      }
      return message
    }
  }

  async #requireLeaf (cid: Parameters<typeof verifyBlock>[0]): Promise<void> {
    const key = blockKey(cid.multihash.digest)
    if (!hasFile(cid) || this.#leaves.has(key)) {
      return
    }
    if (!await this.#blockstore.has(cid)) {
      throw new NotFoundError(`No block ${cid.toString()}`)
    }
    this.#leaves.add(key)
  }
}
