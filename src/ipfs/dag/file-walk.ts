import * as raw from 'multiformats/codecs/raw'
import type { CID } from 'multiformats/cid'
import { blockKey, BlockSet } from '../blocks/block-set.ts'
import { dagLimits, requireDepth } from './dag-limits.ts'
import { requireChild } from './require-child.ts'
import type { DagLink, DagNode } from './decode-node.ts'
import { inlineBlock, requireCid, shown } from '../blocks/block-cid.ts'
import { leavesOf, walkNodes } from './dag-walk.ts'
import { RefusedDagError } from '../errors.ts'

/** A part of a file that lies in one leaf */
export interface LeafSlice {
  cid: CID
  /** Bytes of the whole leaf; undefined where the file is only this leaf, so no node says it */
  leafSize: number | undefined
  /** The part of the leaf that is wanted: from byte `start` to before byte `end` */
  start: number
  end: number
}

/** A node on the path from the root to the current one */
interface Frame {
  cid: CID
  links: DagLink[]
  next: number
  /** The byte of the file at which the next link begins */
  at: number
  /** KiB of the nodes from the root to this one */
  weight: number
}

/**
 * Walks the part of a file that is wanted, from its first byte to its last. Yields the leaves to read, or bytes where a
 * node or a CID contains them: nodes do in files that were added to IPFS without raw leaves.
 *
 * @param load reads a node; undefined where it is missing: the walk passes over it then
 * @param start first byte that is wanted
 * @param end byte after the last one that is wanted; Infinity for all
 * @throws RefusedDagError where the root is not a file, or exceeds {@link dagLimits}
 */
export async function* walkFile(
  root: CID,
  load: (cid: CID) => Promise<DagNode | undefined>,
  start: number,
  end: number,
): AsyncGenerator<LeafSlice | Uint8Array> {
  requireCid(root)
  if (root.code === raw.code) {
    yield inlineBlock(root)?.subarray(start, end) ?? { cid: root, leafSize: undefined, start, end }
    return
  }
  const path: Frame[] = []
  for (
    let link: Step | undefined = { cid: root, at: 0, size: undefined };
    link !== undefined;
    link = nextStep(path, start, end)
  ) {
    const { cid, at, size } = link
    const from = Math.max(0, start - at)
    const inline = inlineBlock(cid)
    if (cid.code !== raw.code) {
      const data = await enter(link, path, load)
      if (data !== undefined && from < data.byteLength && at < end) {
        yield data.subarray(from, end - at)
      }
    } else if (inline !== undefined) {
      yield inline.subarray(from, end - at)
    } else {
      yield { cid, leafSize: size, start: from, end: Math.min(size!, end - at) }
    }
  }
}

/** A link to follow */
interface Step {
  cid: CID
  /** The byte of the file at which it begins */
  at: number
  /** Bytes that it should have; undefined for the root, as no node says it */
  size: number | undefined
}

/** The next link that is wanted; takes the nodes off the path that have no more of them */
function nextStep(path: Frame[], start: number, end: number): Step | undefined {
  for (let frame = path.at(-1); frame !== undefined; frame = path.at(-1)) {
    while (frame.next < frame.links.length && frame.at < end) {
      const { cid, size } = frame.links[frame.next++]!
      const { at } = frame
      frame.at += size
      if (frame.at > start) {
        return { cid, at, size }
      }
    }
    path.pop()
  }
  return undefined
}

/**
 * Adds the node that a link leads to to the path
 *
 * @returns the bytes that the node itself contains
 */
async function enter(
  { cid, at, size }: Step,
  path: Frame[],
  load: (cid: CID) => Promise<DagNode | undefined>,
): Promise<Uint8Array | undefined> {
  if (path.some(above => above.cid.equals(cid))) {
    throw new RefusedDagError(`${shown(cid)} is below itself`)
  }
  const node = await load(cid)
  if (node === undefined) {
    return undefined
  }
  if (size !== undefined) {
    requireChild({ cid, to: 'part', size }, node)
  } else if (node.type !== 'file') {
    throw new RefusedDagError(`${shown(cid)} is not a file but a ${node.type}`)
  }
  const weight = (path.at(-1)?.weight ?? 0) + node.weight
  requireDepth(cid, path.length + 1, weight)
  path.push({ cid, links: node.links, next: 0, at: at + (node.data?.byteLength ?? 0), weight })
  return node.data
}

/**
 * Refuses a large file that is few blocks repeated very often: four blocks are enough to claim a petabyte. Counts the
 * bytes of the different blocks, and stops as soon as there are enough of them.
 *
 * @param read reads a node
 * @throws RefusedDagError where the file repeats itself more often than {@link dagLimits} allow
 */
export async function requireBacked(
  root: CID,
  { size }: Pick<DagNode, 'size'>,
  read: (cid: CID) => Promise<Uint8Array>,
): Promise<void> {
  if (size <= dagLimits.uncountedBytes) {
    return
  }
  const leaves = new BlockSet()
  let held = 0
  for await (const { node, bytes } of walkNodes(root, { load: read })) {
    held += bytes.byteLength
    for (const { cid, size } of leavesOf(node)) {
      held += leaves.add(blockKey(cid.multihash.digest)) ? size : 0
    }
    if (held * dagLimits.repetition >= size) {
      return
    }
  }
  throw new RefusedDagError(`${shown(root)} claims ${size} bytes, and its different blocks have ${held}`)
}
