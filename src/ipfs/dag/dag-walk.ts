/**
 * The one walk through a DAG: each node once, however many others link to it, and on a stack of its own, however deep it is. Leaves are named
 * in nodes, and not read.
 */
import * as dagPb from '@ipld/dag-pb'
import type { CID } from 'multiformats/cid'
import { blockKey, BlockMap } from '../blocks/block-set.ts'
import type { StoreOptions } from '../content-store.ts'
import { dagLimits, decodeNode, requireChild, requireDepth, type DagLink, type DagNode } from './decode-node.ts'
import { inlineBlock, requireCid, shown } from '../blocks/block-cid.ts'
import { RefusedDagError } from '../errors.ts'

/** As they are kept in numbers; `unknown`: it is not here */
const types = ['unknown', 'file', 'directory', 'shard', 'symlink'] as const

/** What is kept of a node that was walked with all below it */
interface Known {
  type: (typeof types)[number]
  size: number
  /** Nodes on the longest way down from it, itself included */
  height: number
  /** KiB of the nodes on the heaviest */
  weight: number
  /** Whether nothing below is missing or was left out */
  isWhole: boolean
}

/** Nodes that were walked, with what is asked of them when another node links to them */
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

/** Three bits for the type, one for what is whole, nine for the height, the rest for the weight */
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
  /** Reads a node. Undefined: it is not here, and counts as one without links. */
  load: (cid: CID) => Promise<Uint8Array | undefined>
  /** Whether a node is walked. @default all are */
  follow?: ((cid: CID) => boolean) | undefined
  /** Nodes that are not walked again with what is below them */
  known?: Pick<WalkedNodes, 'get'> | undefined
  /** Such nodes, too; those that are whole are added */
  walked?: WalkedNodes | undefined
}

export interface WalkedNode {
  readonly cid: CID
  readonly bytes: Uint8Array
  readonly node: DagNode
  /** Whether nothing below is missing or was left out, as far as it is known; whoever walks may set it to false */
  isWhole: boolean
}

interface Frame extends WalkedNode {
  next: number
  /** Of what is below it */
  height: number
  weight: number
}

/**
 * Yields the nodes below a root, itself included, each before those below it; nothing where the root is a leaf
 *
 * @throws RefusedDagError where the DAG has more than {@link dagLimits}, or a node does not hold what the one above it says
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

/** The leaves that a node links to; what lies in their CIDs is not among them */
export function leavesOf({ links }: DagNode): DagLink[] {
  return links.filter(({ cid }) => cid.code !== dagPb.code && inlineBlock(cid) === undefined)
}

class Walk {
  readonly #options: WalkOptions
  /** From the root to the node that is looked at */
  readonly #path: Frame[] = []
  /** Those of this walk that are not whole, or all where nothing is kept of them */
  readonly #visited = new WalkedNodes()
  #nodes = 0
  /** Of the path */
  #weight = 0

  constructor(options: WalkOptions) {
    this.#options = options
  }

  /** The next link to a node; leaves those behind of which all below is walked */
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

  /** @returns the node that it leads to, unless it was walked or is not to be */
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
      throw new RefusedDagError(`more than ${dagLimits.nodes} nodes are below a root`)
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

  /** To the node above */
  #note({ height, weight, isWhole }: Pick<Known, 'height' | 'weight' | 'isWhole'>): void {
    const above = this.#path.at(-1)
    if (above !== undefined) {
      above.height = Math.max(above.height, height)
      above.weight = Math.max(above.weight, weight)
      above.isWhole &&= isWhole
    }
  }
}
