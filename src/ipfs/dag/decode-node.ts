/**
 * Decodes a node of a DAG. Every reader, walk and check decodes here, so a node that is refused once is refused
 * everywhere.
 *
 * @see https://specs.ipfs.tech/unixfs/
 */
import * as dagPb from '@ipld/dag-pb'
import type { CID } from 'multiformats/cid'
import * as raw from 'multiformats/codecs/raw'
import { inlineBlock, requireCid, shown } from '../blocks/block-cid.ts'
import { verifyBlock } from '../blocks/verify-block.ts'
import type { StoreOptions } from '../content-store.ts'
import { RefusedDagError } from '../errors.ts'
import { dagLimits, requireBlockSize } from './dag-limits.ts'
import { decodeUnixfs, type UnixfsData } from './unixfs-data.ts'

const kibibyte = 1024

export interface DagLink {
  cid: CID
  /** The name in the directory; in a shard without the prefix for its place */
  name: string
  /**
   * What it has to lead to: `entry` to any file or directory, `part` to a part of this file, `shard` to a part of this
   * directory
   */
  to: 'entry' | 'part' | 'shard'
  /** Bytes of the part of a file; 0 for the others */
  size: number
  /** Bytes of all blocks below, as the link claims; they were not counted */
  claimedDagSize: number
}

/** A node of UnixFS */
export interface DagNode {
  type: UnixfsData['type']
  links: DagLink[]
  /** Bytes of a file that the node itself holds; they come before those of its links */
  data: Uint8Array | undefined
  /** Bytes of a file: the sum of its own and of what its links claim; 0 for the others */
  size: number
  /** KiB of its block, rounded up */
  weight: number
}

/** @throws RefusedDagError where the block is not a node, or exceeds {@link dagLimits} */
export function decodeNode(cid: CID, bytes: Uint8Array): DagNode {
  requireCid(cid)
  requireBlockSize(cid, bytes)
  try {
    return toNode(bytes)
  } catch (err) {
    throw new RefusedDagError(`${shown(cid)} ${(err as Error).message}`, { cause: err })
  }
}

/**
 * Reads a node, or takes it from an identity CID, which contains it
 *
 * @throws RefusedDagError; DamagedBlockError where it can't be decoded because it does not match its CID; what `read`
 *   throws
 */
export async function readNode(
  cid: CID,
  read: (cid: CID, options?: StoreOptions) => Promise<Uint8Array>,
  options: StoreOptions = {},
): Promise<DagNode & { bytes: Uint8Array }> {
  requireCid(cid)
  const bytes = inlineBlock(cid) ?? (await read(cid, options))
  try {
    return { bytes, ...decodeNode(cid, bytes) }
  } catch (err) {
    await verifyBlock(cid, bytes)
    throw err
  }
}

function toNode(bytes: Uint8Array): DagNode {
  const weight = Math.ceil(bytes.byteLength / kibibyte)
  const { Data: data, Links: links } = decodeDagPb(bytes)
  if (data === undefined) {
    throw new RangeError('is not a UnixFS node')
  }
  const unixfs = decodeUnixfs(data, dagLimits.links)
  switch (unixfs.type) {
    case 'file':
      return { ...fileNode(unixfs, links), weight }
    case 'symlink':
      if (links.length > 0) {
        throw new RangeError('is a symbolic link with links')
      }
  }
  const prefix = unixfs.type === 'shard' ? prefixLength(unixfs) : Infinity
  return { type: unixfs.type, data: undefined, size: 0, weight, links: links.map(link => entry(link, prefix)) }
}

function decodeDagPb(bytes: Uint8Array): dagPb.PBNode {
  if (countLinks(bytes) > dagLimits.links) {
    throw new RangeError(`has more than ${dagLimits.links} links`)
  }
  try {
    return dagPb.decode(bytes)
  } catch (err) {
    throw new RangeError(`is not a node: ${(err as Error).message}`, { cause: err })
  }
}

function fileNode({ data, blockSizes, fileSize }: UnixfsData, links: dagPb.PBLink[]): Omit<DagNode, 'weight'> {
  if (blockSizes.length !== links.length) {
    throw new RangeError(`has ${links.length} links, and sizes for ${blockSizes.length}`)
  }
  const size = blockSizes.reduce((total, size) => total + size, data?.byteLength ?? 0)
  if (!Number.isSafeInteger(size) || (fileSize !== undefined && fileSize !== size)) {
    throw new RangeError(`claims ${fileSize ?? size} bytes, and its parts have ${size}`)
  }
  return { type: 'file', data, size, links: links.map((link, i) => part(link, blockSizes[i]!)) }
}

function part({ Hash: cid, Tsize: claimedDagSize = 0 }: dagPb.PBLink, size: number): DagLink {
  requireLink(cid)
  if (size === 0) {
    throw new RangeError('has a part without bytes')
  }
  if (cid.code === raw.code && (size > dagLimits.blockBytes || size !== (inlineBlock(cid)?.byteLength ?? size))) {
    throw new RangeError(`claims that the leaf ${shown(cid)} has ${size} bytes`)
  }
  return { cid, name: '', to: 'part', size, claimedDagSize }
}

function entry({ Hash: cid, Name: name = '', Tsize: claimedDagSize = 0 }: dagPb.PBLink, prefix: number): DagLink {
  requireLink(cid)
  const to = name.length === prefix ? 'shard' : 'entry'
  if (name.length < prefix && prefix !== Infinity) {
    throw new RangeError('is a part of a sharded directory with a name that is too short')
  }
  if (to === 'shard' && cid.code !== dagPb.code) {
    throw new RangeError('is a part of a sharded directory that has a leaf as a part')
  }
  return { cid, name: prefix === Infinity ? name : name.slice(prefix), to, size: 0, claimedDagSize }
}

function requireLink(cid: CID): void {
  try {
    requireCid(cid)
  } catch (err) {
    throw new RangeError(`has a link that is refused: ${(err as Error).message}`, { cause: err })
  }
}

/** How many characters precede each name in a sharded directory: its place in the shard, in hexadecimal digits */
function prefixLength({ fanout }: UnixfsData): number {
  if (fanout === undefined || fanout < 8 || fanout > 1024 || !Number.isInteger(Math.log2(fanout))) {
    throw new RangeError(`is a part of a sharded directory with a fanout of ${fanout}`)
  }
  return (fanout - 1).toString(16).length
}

/** Counts the links without decoding them, which would take long for many; any number where the block is not a node */
function countLinks(bytes: Uint8Array): number {
  // a node is fields with a length each: links are field 2, the data is field 1
  let links = 0
  for (let offset = 0; offset < bytes.byteLength; ) {
    links += Number(bytes[offset] === 0x12)
    let length = 0
    let shift = 0
    do {
      offset++
      length += ((bytes[offset] ?? 0) & 0x7f) * 2 ** shift
      shift += 7
    } while (bytes[offset]! >= 0x80)
    offset += length + 1
  }
  return links
}
