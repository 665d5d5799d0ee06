import { CID } from 'multiformats/cid'
import { blockKey, BlockSet, type BlockKey } from '../blocks/block-set.ts'
import type { DurableBlockstore } from '../blockstore/blockstore.ts'
import type { StoreOptions } from '../content-store.ts'
import { hasFile, parseCid } from '../blocks/block-cid.ts'
import { leavesOf, WalkedNodes, walkNodes } from './dag-walk.ts'
import { verifyBlock } from '../blocks/verify-block.ts'
import { Pace } from '../../scheduling/pace.ts'

export interface MarkerComponents {
  blockstore: Pick<DurableBlockstore, 'read' | 'size'>
  /** @default without haste */
  pace?: Pace | undefined
}

export interface MarkOptions extends StoreOptions {
  /** CIDs in base32, which are left out with what only they lead to */
  except?: ReadonlySet<string> | undefined
}

/** What is below a root and was not marked when it was looked at */
export interface Unmarked {
  /** Of the blocks that are here */
  bytes: number
  mark: () => void
}

/**
 * Finds out which blocks are reachable. Only nodes are read, as leaves are named in them. Each node is compared with its CID: a damaged one
 * might name other leaves than it should.
 */
export class Marker {
  readonly #blockstore: MarkerComponents['blockstore']
  readonly #pace: Pace
  readonly marked = new BlockSet()
  /**
   * Nodes below which all is marked. Not the same as the nodes that are marked: a leaf may have the bytes of a node, and so its multihash,
   * and below a leaf is nothing.
   */
  readonly #followed = new WalkedNodes()
  /** Nodes that should be here and are not: what is below them is not known */
  readonly missing = new Set<string>()

  constructor({ blockstore, pace = new Pace() }: MarkerComponents) {
    this.#blockstore = blockstore
    this.#pace = pace
  }

  markBlock(cid: string): void {
    this.#mark(CID.parse(cid))
  }

  /**
   * Marks all below a root, which should be here
   *
   * @throws DamagedBlockError where a node does not hold what it should; RefusedDagError, with what was walked until then marked
   */
  async mark(root: string, { signal, except }: MarkOptions = {}): Promise<void> {
    signal?.throwIfAborted()
    const cid = parseCid(root)
    if (except?.has(root) === true) {
      return
    }
    this.#mark(cid)
    const load = async (cid: CID): Promise<Uint8Array | undefined> => {
      // a node that is missing is marked, too: somebody may put it meanwhile
      this.#mark(cid)
      const bytes = await this.#read(cid)
      if (bytes === undefined) {
        this.missing.add(cid.toString())
      }
      return bytes
    }
    for await (const walked of walkNodes(cid, { load, follow: others(except), walked: this.#followed, signal })) {
      for (const leaf of leavesOf(walked.node)) {
        if (except?.has(leaf.cid.toString()) === true) {
          walked.isWhole = false
        } else {
          this.#mark(leaf.cid)
        }
      }
      await this.#pace.rest({ signal })
    }
  }

  /**
   * Looks at what is here below a root that may be incomplete; marks nothing yet. What is missing or damaged will be fetched again, with what
   * is below it.
   *
   * @throws RefusedDagError
   */
  async unmarked(root: string, { signal, except }: MarkOptions = {}): Promise<Unmarked> {
    const cid = parseCid(root)
    const found = new BlockSet()
    const keys: BlockKey[] = []
    let bytes = 0
    const look = async (cid: CID): Promise<void> => {
      const key = blockKey(cid.multihash.digest)
      if (hasFile(cid) && !this.marked.has(key) && found.add(key)) {
        signal?.throwIfAborted()
        keys.push(key)
        bytes += await this.#blockstore.size(cid)
      }
    }
    await look(cid)
    const load = async (cid: CID): Promise<Uint8Array | undefined> => {
      await look(cid)
      return await this.#read(cid).catch(ignoreDamage)
    }
    // what was followed is marked with all below it
    for await (const { node } of walkNodes(cid, { load, follow: others(except), known: this.#followed, signal })) {
      for (const leaf of leavesOf(node)) {
        if (except?.has(leaf.cid.toString()) !== true) {
          await look(leaf.cid)
        }
      }
      await this.#pace.rest({ signal })
    }
    return {
      bytes,
      mark: () => {
        keys.forEach(key => {
          this.marked.add(key)
        })
      },
    }
  }

  #mark(cid: CID): void {
    if (hasFile(cid)) {
      this.marked.add(blockKey(cid.multihash.digest))
    }
  }

  /** @returns undefined where the block is not here */
  async #read(cid: CID): Promise<Uint8Array | undefined> {
    try {
      const bytes = await this.#blockstore.read(cid)
      await verifyBlock(cid, bytes)
      return bytes
    } catch (err) {
      if ((err as Error).name !== 'NotFoundError') {
        throw err
      }
      return undefined
    }
  }
}

function others(except: ReadonlySet<string> | undefined): ((cid: CID) => boolean) | undefined {
  return except === undefined ? undefined : cid => !except.has(cid.toString())
}

function ignoreDamage(err: unknown): undefined {
  if ((err as Error).name !== 'DamagedBlockError') {
    throw err
  }
}
