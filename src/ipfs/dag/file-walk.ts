import * as raw from 'multiformats/codecs/raw'
import type { CID } from 'multiformats/cid'
import { blockKey, BlockSet } from '../blocks/block-set.ts'
import { dagLimits, requireChild, requireDepth, type DagLink, type DagNode } from './decode-node.ts'
import { inlineBlock, requireCid, shown } from '../blocks/block-cid.ts'
import { leavesOf, walkNodes } from './dag-walk.ts'
import { RefusedDagError } from '../errors.ts'

/** A part of a file that lies in one leaf */
export interface LeafSlice {
  cid: CID
  /** Bytes of the whole leaf; undefined where the leaf is the file and nothing says it */
  leafSize: number | undefined
  /** Bytes of the leaf that are wanted: from `start` up to, not including, `end` */
  start: number
  end: number
}

interface Frame {
  cid: CID
  links: DagLink[]
  next: number
  /** Where in the file the next link begins */
  at: number
  /** Of the nodes from the root to it */
  weight: number
}

/**
 * Walks a file from left to right, only where the range goes, and yields the leaves, or the bytes where a node holds them itself,
 * as files do that were added without raw leaves, or a CID does
 *
 * @param load reads a node; undefined: it is not here, and is passed over
 * @param start first byte wanted
 * @param end byte after the last one wanted; Infinity: all
 * @throws RefusedDagError where it is no file
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

/** A link that is to be followed */
interface Step {
  cid: CID
  /** Where in the file it begins */
  at: number
  /** Undefined: nothing says it */
  size: number | undefined
}

/** The next link in the range; leaves the nodes behind that have no more */
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

/** @returns the bytes that lie in the node */
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
    throw new RefusedDagError(`${shown(cid)} is a ${node.type}, and no file`)
  }
  const weight = (path.at(-1)?.weight ?? 0) + node.weight
  requireDepth(cid, path.length + 1, weight)
  path.push({ cid, links: node.links, next: 0, at: at + (node.data?.byteLength ?? 0), weight })
  return node.data
}

/**
 * Counts what the different blocks of a file hold, where it claims to have many bytes, until that is enough: four blocks can claim a petabyte
 *
 * @param read reads a node
 * @throws RefusedDagError where it repeats itself more than {@link dagLimits} has it
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
  throw new RefusedDagError(`${shown(root)} claims to have ${size} bytes, and its blocks hold ${held}`)
}
