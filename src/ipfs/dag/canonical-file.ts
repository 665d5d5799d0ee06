import * as dagPb from '@ipld/dag-pb'
import { equals } from 'multiformats/bytes'
import type { CID } from 'multiformats/cid'
import * as raw from 'multiformats/codecs/raw'
import { sha256 } from 'multiformats/hashes/sha2'
import type { Content } from '../content-store.ts'
import { isRefused } from '../errors.ts'
import { ignoring } from '../ignoring.ts'
import { decodeNode } from './decode-node.ts'
import { encodeFileNode, leafSize, maxLinks, type FileLink } from './encode-node.ts'

type Read = (cid: CID) => Promise<Uint8Array>

/** Nodes that were compared already, by CID and size: a file of zeros links to the same node many times */
type Known = Map<string, FileLink>

/**
 * Compares the DAG of a file with the one that our writer makes of the same bytes. The size of a file determines its
 * shape: how many levels there are, and how many links each node has. So the first node that differs ends the walk, and
 * each node is read once.
 *
 * @returns undefined where our writer would make another DAG, or the DAG is refused
 * @throws what `read` throws
 */
export async function canonicalFile(root: CID, read: Read): Promise<Content | undefined> {
  if (!isOurs(root)) {
    return undefined
  }
  return await ignoring(isRefused, async () => {
    const bytes = await read(root)
    const size = root.code === raw.code ? bytes.byteLength : decodeNode(root, bytes).size
    const file = await subtree(root, bytes, size, levelsOf(size), read, new Map())
    return file === undefined ? undefined : { cid: root.toString(), size: file.size, dagSize: file.dagSize }
  })
}

/** @param bytes of the block; undefined where it has not been read yet */
async function subtree(
  cid: CID,
  bytes: Uint8Array | undefined,
  size: number,
  level: number,
  read: Read,
  known: Known,
): Promise<FileLink | undefined> {
  if (!isOurs(cid) || (cid.code === raw.code) !== (level === 0)) {
    return undefined
  }
  if (level === 0) {
    return { cid, size, dagSize: size }
  }
  const key = `${cid.toString()} ${size}`
  const file = known.get(key) ?? (await node(cid, bytes ?? (await read(cid)), size, level, read, known))
  if (file !== undefined) {
    known.set(key, file)
  }
  return file
}

async function node(
  cid: CID,
  bytes: Uint8Array,
  size: number,
  level: number,
  read: Read,
  known: Known,
): Promise<FileLink | undefined> {
  const childSize = sizeOfFull(level - 1)
  const { links } = decodeNode(cid, bytes)
  if (links.length !== Math.ceil(size / childSize)) {
    return undefined
  }
  const children: FileLink[] = []
  for (const [i, link] of links.entries()) {
    const child = await subtree(link.cid, undefined, Math.min(childSize, size - i * childSize), level - 1, read, known)
    if (child === undefined) {
      return undefined
    }
    children.push(child)
  }
  // encoded by us, the same children give the same bytes, unless the node says something else as well
  return equals(encodeFileNode(children), bytes)
    ? { cid, size, dagSize: children.reduce((total, { dagSize }) => total + dagSize, bytes.byteLength) }
    : undefined
}

function levelsOf(size: number): number {
  let levels = 0
  while (sizeOfFull(levels) < size) {
    levels++
  }
  return levels
}

/** Bytes of the file below a node with all its links, `level` levels above the leaves */
function sizeOfFull(level: number): number {
  return leafSize * maxLinks ** level
}

function isOurs({ version, code, multihash }: CID): boolean {
  return (
    version === 1 &&
    (code === raw.code || code === dagPb.code) &&
    multihash.code === sha256.code &&
    multihash.digest.byteLength === 32
  )
}
