/**
 * What a block says about a DAG, and how much of that anybody may say: a node is decoded here and nowhere else, so what is refused once is
 * refused by whoever reads, marks, checks, saves or fetches.
 *
 * @see https://specs.ipfs.tech/unixfs/
 */
import * as dagPb from '@ipld/dag-pb'
import type { CID } from 'multiformats/cid'
import * as raw from 'multiformats/codecs/raw'
import type { StoreOptions } from '../content-store.ts'
import { RefusedDagError } from '../errors.ts'
import { inlineBlock, requireCid, shown } from '../blocks/block-cid.ts'
import { maxBlockBytes } from '../blocks/block.ts'
import { verifyBlock } from '../blocks/verify-block.ts'
import { decodeUnixfs, type UnixfsData } from './unixfs-data.ts'

const kibibyte = 1024
const gibibyte = 1024 ** 3

/** What a DAG may have; whatever has more is refused */
export const dagLimits = {
  blockBytes: maxBlockBytes,
  /** Links of a node: files of ours have up to 1024, directories are sharded before they have so many, and decoding more takes too long */
  links: 8 * 1024,
  /** Nodes on the way from the root to a leaf: repositories are directories within each other, and a name may have over a hundred parts */
  depth: 256,
  /** KiB of these nodes, each rounded up: they are in memory together */
  pathWeight: 32 * 1024,
  /** Different nodes below a root: at 1024 leaves of 1 MiB each, those of 16 PiB */
  nodes: 2 ** 24,
  /** Files of other nodes that claim more bytes than this are counted before they are read */
  uncountedBytes: 64 * gibibyte,
  /** How many times what its different blocks hold such a file may claim: it repeats itself */
  repetition: 1024,
} as const

export interface DagLink {
  cid: CID
  /** In a shard: behind the prefix that tells where it belongs */
  name: string
  /** What it has to lead to: anything as an entry of a directory, else a part of what the node is itself */
  to: 'entry' | 'part' | 'shard'
  /** Bytes of the part of a file; of the others 0 */
  size: number
  /** Bytes of all blocks below, as whoever made the link says: nobody has to believe it */
  claimedDagSize: number
}

/** A node of UnixFS */
export interface DagNode {
  type: UnixfsData['type']
  links: DagLink[]
  /** Of a file: bytes that come before those of its links */
  data: Uint8Array | undefined
  /** Bytes of a file, which are as many as its links say; of the others 0 */
  size: number
  /** KiB of its block, rounded up */
  weight: number
}

/** @throws RefusedDagError where it has more bytes than a block may have */
export function requireBlockSize(cid: CID, { byteLength }: Uint8Array): void {
  if (byteLength > dagLimits.blockBytes) {
    throw new RefusedDagError(`${shown(cid)} has ${byteLength} bytes, and a block may have ${dagLimits.blockBytes}`)
  }
}

/** @throws RefusedDagError where it is no node, or has more than {@link dagLimits} */
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
 * Reads a node, or takes it from its CID
 *
 * @throws RefusedDagError; DamagedBlockError where it is refused because it does not hold what it should; what `read` throws
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

/**
 * @param depth nodes on a way from the root down
 * @param weight of these nodes
 * @throws RefusedDagError
 */
export function requireDepth(cid: CID, depth: number, weight: number): void {
  if (depth > dagLimits.depth || weight > dagLimits.pathWeight) {
    throw new RefusedDagError(
      `${shown(cid)} is on a way of ${depth} nodes of ${weight} KiB, where there may be ${dagLimits.depth} of ${dagLimits.pathWeight}`,
    )
  }
}

/** @throws RefusedDagError where a link leads to something else than its node says */
export function requireChild(
  link: Pick<DagLink, 'cid' | 'to' | 'size'>,
  { type, size }: Pick<DagNode, 'type' | 'size'>,
): void {
  if (link.to === 'part' && (type !== 'file' || size !== link.size)) {
    throw new RefusedDagError(
      `${shown(link.cid)} is a ${type} of ${size} bytes, and was to be a part of a file, of ${link.size} bytes`,
    )
  }
  if (link.to === 'shard' && type !== 'shard') {
    throw new RefusedDagError(`${shown(link.cid)} is a ${type}, and was to be a part of a directory`)
  }
}

/**
 * To be called where a leaf has not as many bytes as it should
 *
 * @throws RefusedDagError; DamagedBlockError where that is so because it does not hold what it should
 */
export async function refuseLeaf(cid: CID, bytes: Uint8Array, expected: number | undefined): Promise<never> {
  await verifyBlock(cid, bytes)
  throw new RefusedDagError(
    `${shown(cid)} has ${bytes.byteLength} bytes instead of ${expected ?? `at most ${dagLimits.blockBytes}`}`,
  )
}

/** Whether it has as many bytes as its node says, and no more than a block may have */
export function isLeafOf(size: number | undefined, bytes: Uint8Array): boolean {
  return bytes.byteLength === (size ?? bytes.byteLength) && bytes.byteLength <= dagLimits.blockBytes
}

function toNode(bytes: Uint8Array): DagNode {
  const weight = Math.ceil(bytes.byteLength / kibibyte)
  const { Data: data, Links: links } = decodeDagPb(bytes)
  if (data === undefined) {
    throw new RangeError('is no node of UnixFS')
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
    throw new RangeError(`is no node: ${(err as Error).message}`, { cause: err })
  }
}

function fileNode({ data, blockSizes, fileSize }: UnixfsData, links: dagPb.PBLink[]): Omit<DagNode, 'weight'> {
  if (blockSizes.length !== links.length) {
    throw new RangeError(`has ${links.length} links and the sizes of ${blockSizes.length}`)
  }
  const size = blockSizes.reduce((total, size) => total + size, data?.byteLength ?? 0)
  if (!Number.isSafeInteger(size) || (fileSize !== undefined && fileSize !== size)) {
    throw new RangeError(`says that it has ${fileSize ?? size} bytes, where its parts have ${size}`)
  }
  return { type: 'file', data, size, links: links.map((link, i) => part(link, blockSizes[i]!)) }
}

function part({ Hash: cid, Tsize: claimedDagSize = 0 }: dagPb.PBLink, size: number): DagLink {
  requireLink(cid)
  if (size === 0) {
    throw new RangeError('has an empty part')
  }
  if (cid.code === raw.code && (size > dagLimits.blockBytes || size !== (inlineBlock(cid)?.byteLength ?? size))) {
    throw new RangeError(`says that the block ${shown(cid)} has ${size} bytes`)
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
    throw new RangeError('is a part of a sharded directory over a leaf')
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

/** Characters before a name in a sharded directory: the place of its hash, as hexadecimal digits */
function prefixLength({ fanout }: UnixfsData): number {
  if (fanout === undefined || fanout < 8 || fanout > 1024 || !Number.isInteger(Math.log2(fanout))) {
    throw new RangeError(`is a part of a sharded directory with a fanout of ${fanout}`)
  }
  return (fanout - 1).toString(16).length
}

/** Without decoding them, which takes its time; 0 where it is no node anyway */
function countLinks(bytes: Uint8Array): number {
  // each field of a node has a length: links are field 2, data is field 1
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
