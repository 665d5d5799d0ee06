import * as dagPb from '@ipld/dag-pb'
import { CID } from 'multiformats/cid'
import { blockKey, BlockSet, type BlockKey } from './block-set.ts'
import type { DurableBlockstore } from './blockstore.ts'
import type { StoreOptions } from './content-store.ts'
import { DamagedBlockError } from './errors.ts'
import { verifyBlock } from './http-blocks.ts'
import { Pace } from './pace.ts'

/** Multicodec code of a multihash that is the block itself: it has no file */
const identity = 0

export interface MarkerComponents {
  blockstore: Pick<DurableBlockstore, 'read' | 'size'>
  /** @default without haste */
  pace?: Pace | undefined
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
  readonly #followed = new BlockSet()
  /** Nodes that should be here and are not: what is below them is not known */
  readonly missing = new Set<string>()

  constructor ({ blockstore, pace = new Pace() }: MarkerComponents) {
    this.#blockstore = blockstore
    this.#pace = pace
  }

  markBlock (cid: string): void {
    this.#mark(CID.parse(cid))
  }

  /**
   * Marks all below a root, which should be here
   *
   * @param options.except CIDs in base32, which are left out with what only they lead to
   * @throws DamagedBlockError where a node does not hold what it should
   */
  async mark (root: string, { signal, except }: StoreOptions & { except?: ReadonlySet<string> | undefined } = {}): Promise<void> {
    const left = [CID.parse(root)]
    for (let cid = left.pop(); cid !== undefined; cid = left.pop()) {
      signal?.throwIfAborted()
      if (except?.has(cid.toString()) === true) {
        continue
      }
      this.#mark(cid)
      if (cid.code === dagPb.code && !this.#isFollowed(cid)) {
        left.push(...await this.#follow(cid))
        await this.#pace.rest({ signal })
      }
    }
  }

  /** Looks at what is here below a root that may be incomplete; marks nothing yet */
  async unmarked (root: string, { signal }: StoreOptions = {}): Promise<Unmarked> {
    const left = [CID.parse(root)]
    const seen = new Set<string>()
    const keys: BlockKey[] = []
    let bytes = 0
    for (let cid = left.pop(); cid !== undefined; cid = left.pop()) {
      signal?.throwIfAborted()
      if (seen.has(cid.toString()) || this.#isFollowed(cid)) {
        continue
      }
      seen.add(cid.toString())
      const key = blockKey(cid.multihash.digest)
      if (cid.multihash.code !== identity && !this.marked.has(key)) {
        keys.push(key)
        bytes += await this.#blockstore.size(cid)
      }
      // what is missing or damaged will be fetched again, with what is below it
      left.push(...await this.#links(cid).catch(ignoreDamage) ?? [])
      await this.#pace.rest({ signal })
    }
    return { bytes, mark: () => { keys.forEach(key => { this.marked.add(key) }) } }
  }

  #mark (cid: CID): void {
    if (cid.multihash.code !== identity) {
      this.marked.add(blockKey(cid.multihash.digest))
    }
  }

  #isFollowed (cid: CID): boolean {
    return cid.code === dagPb.code && cid.multihash.code !== identity && this.#followed.has(blockKey(cid.multihash.digest))
  }

  /** @returns nodes below; leaves are marked at once, as a large file has many */
  async #follow (cid: CID): Promise<CID[]> {
    const links = await this.#links(cid)
    if (links === undefined) {
      this.missing.add(cid.toString())
      return []
    }
    if (cid.multihash.code !== identity) {
      this.#followed.add(blockKey(cid.multihash.digest))
    }
    links.filter(({ code }) => code !== dagPb.code).forEach(leaf => { this.#mark(leaf) })
    return links.filter(({ code }) => code === dagPb.code)
  }

  /** @returns undefined where the node is not here */
  async #links (cid: CID): Promise<CID[] | undefined> {
    if (cid.code !== dagPb.code) {
      return []
    }
    const bytes = cid.multihash.code === identity ? cid.multihash.digest : await this.#read(cid)
    return bytes === undefined ? undefined : decode(cid, bytes).map(({ Hash: hash }) => hash)
  }

  async #read (cid: CID): Promise<Uint8Array | undefined> {
    try {
      const bytes = await this.#blockstore.read(cid)
      // what has only a part of a hash was compared with that when it came
      if (cid.multihash.digest.byteLength >= 32) {
        await verifyBlock(cid, bytes)
      }
      return bytes
    } catch (err) {
      if ((err as Error).name !== 'NotFoundError') {
        throw err
      }
      return undefined
    }
  }
}

function decode (cid: CID, bytes: Uint8Array): dagPb.PBLink[] {
  try {
    return dagPb.decode(bytes).Links
  } catch (err) {
    throw new DamagedBlockError(`${cid.toString()} is no node`, { cause: err })
  }
}

function ignoreDamage (err: unknown): undefined {
  if ((err as Error).name !== 'DamagedBlockError') {
    throw err
  }
}
