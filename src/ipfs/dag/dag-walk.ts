/**
 * The shape of DAGs: how files and directories are made of blocks, and the one walk through all blocks below a root.
 *
 * - `encode-node.ts` and `decode-node.ts`: a node as bytes and back; `unixfs-data.ts`: the message in it;
 *   `require-child.ts`: whether a child is what its parent says; `dag-limits.ts`: what is refused
 * - `dag-walk.ts` (here): all nodes below a root; `file-walk.ts`: the leaves of a file in order; `canonical-file.ts`:
 *   whether our writer would make the same DAG
 * - on top of the walk: `marker.ts` for garbage collection, `complete-dags.ts` and `missing-blocks.ts` for what is
 *   here, `blocks-below.ts` for backups, CAR files and the index, `dag-checker.ts` for fsck
 *
 * Imports `src/ipfs/{blocks,blockstore,hashing}`. Begin here.
 *
 * The walk visits each node once, however many link to it, and keeps its own stack, so depth does not matter. Leaves
 * are named in nodes and are not read.
 */
import * as dagPb from '@ipld/dag-pb'
import type { CID } from 'multiformats/cid'
import { blockKey, BlockMap } from '../blocks/block-set.ts'
import type { StoreOptions } from '../content-store.ts'
import { dagLimits, requireDepth } from './dag-limits.ts'
import { decodeNode, type DagLink, type DagNode } from './decode-node.ts'
import { requireChild } from './require-child.ts'
import { inlineBlock, requireCid, shown } from '../blocks/block-cid.ts'
import { RefusedDagError } from '../errors.ts'

/** Each type is kept as its place in this list; `unknown` is a node that is missing */
const types = ['unknown', 'file', 'directory', 'shard', 'symlink'] as const

/** What is remembered of a node after everything below it was walked */
interface Known {
  type: (typeof types)[number]
  size: number
  /** Nodes on the longest path down from it, itself included */
  height: number
  /** KiB of the nodes on the heaviest path down from it */
  weight: number
  /** Whether nothing below it is missing or was left out */
  isWhole: boolean
}

/** Nodes that were walked, with what has to be known of them when another node links to them */
export class WalkedNodes {
  readonly #nodes = new BlockMap()

  get({ multihash: { digest } }: CID): Known | undefined {
    const found = this.#nodes.get(blockKey(digest))
    return found === undefined ? undefined : { size: found.exact, ...unpack(found.small) }
  }

  add({ multihash: { digest } }: CID, { size, ...known }: Known): void {
    this.#nodes.set(blockKey(digest), size, pack(known))
  }
}

/** Three bits for the type, one for `isWhole`, nine for the height, the rest for the weight */
function pack({ type, isWhole, height, weight }: Omit<Known, 'size'>): number {
  return types.indexOf(type) + Number(isWhole) * 2 ** 3 + height * 2 ** 4 + weight * 2 ** 13
}

function unpack(number: number): Omit<Known, 'size'> {
  return {
    type: types[number % 2 ** 3]!,
    isWhole: (number & (2 ** 3)) !== 0,
    height: (number >>> 4) % 2 ** 9,
    weight: number >>> 13,
  }
}

export interface WalkOptions extends StoreOptions {
  /** Reads a node; undefined where it is missing: it counts as a node without links then */
  load: (cid: CID) => Promise<Uint8Array | undefined>
  /** Whether a node is walked; all are by default */
  follow?: ((cid: CID) => boolean) | undefined
  /** Nodes that were walked before; neither they nor what is below them is walked again */
  known?: Pick<WalkedNodes, 'get'> | undefined
  /** The same, and this walk adds the nodes that it finds whole */
  walked?: WalkedNodes | undefined
}

export interface WalkedNode {
  readonly cid: CID
  readonly bytes: Uint8Array
  readonly node: DagNode
  /** Whether nothing below it is known to be missing or left out; the caller may set it to false */
  isWhole: boolean
}

interface Frame extends WalkedNode {
  next: number
  /** Of the nodes below it, as for {@link Known} */
  height: number
  weight: number
}

/**
 * Yields the nodes below a root, the root first, and each before those below it. A root that is a leaf yields nothing.
 *
 * @throws RefusedDagError where the DAG exceeds {@link dagLimits}, or a node is not what its parent says
 */
export async function* walkNodes(root: CID, options: WalkOptions): AsyncGenerator<WalkedNode> {
  requireCid(root)
  const walk = new Walk(options)
  const first = root.code === dagPb.code ? await walk.enter({ cid: root, to: 'entry', size: 0 }) : undefined
  if (first !== undefined) {
    yield first
  }
  for (let link = walk.next(); link !== undefined; link = walk.next()) {
    const node = await walk.enter(link)
    if (node !== undefined) {
      yield node
    }
  }
}

/** The leaves that a node links to, without those that their CIDs contain */
export function leavesOf({ links }: DagNode): DagLink[] {
  return links.filter(({ cid }) => cid.code !== dagPb.code && inlineBlock(cid) === undefined)
}

class Walk {
  readonly #options: WalkOptions
  /** The nodes from the root to the current one */
  readonly #path: Frame[] = []
  /** Nodes of this walk that `walked` does not take: those that are not whole, or all if there is no `walked` */
  readonly #visited = new WalkedNodes()
  #nodes = 0
  /** KiB of the nodes on the path */
  #weight = 0

  constructor(options: WalkOptions) {
    this.#options = options
  }

  /** The next link to a node; takes the nodes off the path whose links have all been followed */
  next(): DagLink | undefined {
    for (let frame = this.#path.at(-1); frame !== undefined; frame = this.#path.at(-1)) {
      const { links } = frame.node
      while (frame.next < links.length) {
        const link = links[frame.next++]!
        if (link.cid.code === dagPb.code) {
          return link
        }
      }
      this.#path.pop()
      this.#leave(frame)
    }
    return undefined
  }

  /**
   * @returns the node that a link leads to; undefined where it was walked before, is missing, or is not to be followed
   */
  async enter(link: Pick<DagLink, 'cid' | 'to' | 'size'>): Promise<Frame | undefined> {
    const { load, follow, signal } = this.#options
    const { cid } = link
    signal?.throwIfAborted()
    if (follow?.(cid) === false) {
      this.#note({ height: 0, weight: 0, isWhole: false })
      return undefined
    }
    const inline = inlineBlock(cid)
    const known = inline === undefined ? this.#known(cid) : undefined
    if (known !== undefined) {
      this.#require(link, known)
      return undefined
    }
    this.#requireNew(cid)
    const bytes = inline ?? (await load(cid))
    if (bytes === undefined) {
      const missing: Known = { type: 'unknown', size: 0, height: 1, weight: 0, isWhole: false }
      this.#visited.add(cid, missing)
      this.#note(missing)
      return undefined
    }
    const node = decodeNode(cid, bytes)
    requireChild(link, node)
    requireDepth(cid, this.#path.length + 1, this.#weight + node.weight)
    const frame: Frame = { cid, bytes, node, isWhole: true, next: 0, height: 0, weight: 0 }
    this.#weight += node.weight
    this.#path.push(frame)
    return frame
  }

  #known(cid: CID): Known | undefined {
    return this.#options.known?.get(cid) ?? this.#options.walked?.get(cid) ?? this.#visited.get(cid)
  }

  #require(link: Pick<DagLink, 'cid' | 'to' | 'size'>, known: Known): void {
    if (known.type !== 'unknown') {
      requireChild(link, { type: known.type, size: known.size })
    }
    requireDepth(link.cid, this.#path.length + known.height, this.#weight + known.weight)
    this.#note(known)
  }

  #requireNew(cid: CID): void {
    if (++this.#nodes > dagLimits.nodes) {
      throw new RefusedDagError(`there are more than ${dagLimits.nodes} nodes below a root`)
    }
    if (this.#path.some(above => above.cid.equals(cid))) {
      throw new RefusedDagError(`${shown(cid)} is below itself`)
    }
  }

  #leave({ cid, node, height, weight, isWhole }: Frame): void {
    const known = { type: node.type, size: node.size, height: height + 1, weight: weight + node.weight, isWhole }
    this.#weight -= node.weight
    if (inlineBlock(cid) === undefined) {
      ;(isWhole ? (this.#options.walked ?? this.#visited) : this.#visited).add(cid, known)
    }
    this.#note(known)
  }

  /** Passes on to the parent what is known of a child */
  #note({ height, weight, isWhole }: Pick<Known, 'height' | 'weight' | 'isWhole'>): void {
    const above = this.#path.at(-1)
    if (above !== undefined) {
      above.height = Math.max(above.height, height)
      above.weight = Math.max(above.weight, weight)
      above.isWhole &&= isWhole
    }
  }
}
