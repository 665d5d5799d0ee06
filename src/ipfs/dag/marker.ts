import { CID } from 'multiformats/cid'
import { blockKey, BlockSet, type BlockKey } from '../blocks/block-set.ts'
import type { DurableBlockstore } from '../blockstore/blockstore.ts'
import type { StoreOptions } from '../content-store.ts'
import { isDamaged, isMissing } from '../errors.ts'
import { ignoring } from '../ignoring.ts'
import { hasFile, parseCid } from '../blocks/block-cid.ts'
import { leavesOf, WalkedNodes, walkNodes } from './dag-walk.ts'
import { readVerified } from '../blocks/verify-block.ts'
import { Pace } from '../../scheduling/pace.ts'

export interface MarkerComponents {
  blockstore: Pick<DurableBlockstore, 'read' | 'size'>
  /** @default unhurried, so that pushes and pulls go first */
  pace?: Pace | undefined
}

export interface MarkOptions extends StoreOptions {
  /** CIDs in base32 that are left out, with everything that can be reached only through them */
  except?: ReadonlySet<string> | undefined
}

/** The blocks below a root that were not marked when it was walked */
export interface Unmarked {
  /** Bytes of those that are here */
  bytes: number
  /** Marks them */
  mark: () => void
}

/**
 * Marks the blocks that are reachable, for garbage collection. Only nodes are read, because they name the leaves. Each
 * node is compared with its CID: a damaged one could name other leaves than it should, and those that it should name
 * would be deleted.
 */
export class Marker {
  readonly #blockstore: MarkerComponents['blockstore']
  readonly #pace: Pace
  readonly marked = new BlockSet()
  /**
   * Nodes below which everything is marked. A node that is marked is not always among them: a leaf can have the same
   * bytes as a node, and so the same multihash, and marking the leaf marks nothing below it.
   */
  readonly #followed = new WalkedNodes()
  /** Nodes that should be here and are missing; what is below them is not known */
  readonly missing = new Set<string>()

  constructor({ blockstore, pace = new Pace() }: MarkerComponents) {
    this.#blockstore = blockstore
    this.#pace = pace
  }

  markBlock(cid: string): void {
    this.#mark(CID.parse(cid))
  }

  /**
   * Marks a root that should be here, and everything below it
   *
   * @throws DamagedBlockError where a node does not match its CID; RefusedDagError, with what was walked until then
   *   marked
   */
  async mark(root: string, { signal, except }: MarkOptions = {}): Promise<void> {
    signal?.throwIfAborted()
    const cid = parseCid(root)
    if (except?.has(root) === true) {
      return
    }
    this.#mark(cid)
    const load = async (cid: CID): Promise<Uint8Array | undefined> => {
      // before it is read, as a missing node is marked too: it may be put while the collection runs
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
   * Walks what is here below a root that may be incomplete, such as one of the cache, and marks nothing yet. Missing
   * and damaged nodes are passed over: reading them fetches them again, with what is below them.
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
      return await ignoring(isDamaged, async () => await this.#read(cid))
    }
    // what is in `#followed` is marked already, with everything below it
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

  /** @returns undefined where the block is missing */
  async #read(cid: CID): Promise<Uint8Array | undefined> {
    return await ignoring(isMissing, async () => await readVerified(this.#blockstore, cid))
  }
}

function others(except: ReadonlySet<string> | undefined): ((cid: CID) => boolean) | undefined {
  return except === undefined ? undefined : cid => !except.has(cid.toString())
}
