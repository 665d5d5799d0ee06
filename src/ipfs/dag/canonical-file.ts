import * as dagPb from '@ipld/dag-pb'
import { equals } from 'multiformats/bytes'
import type { CID } from 'multiformats/cid'
import * as raw from 'multiformats/codecs/raw'
import { sha256 } from 'multiformats/hashes/sha2'
import type { Content } from '../content-store.ts'
import { decodeNode } from './decode-node.ts'
import { encodeFileNode, leafSize, maxLinks, type FileLink } from './encode-node.ts'

type Read = (cid: CID) => Promise<Uint8Array>

/** A node that was looked at already, by its CID and size: zeros have the same one many times over */
type Known = Map<string, FileLink>

/**
 * Compares the DAG of a file with the one that dag-writer.ts makes. Its size alone gives the shape of that: how many levels there are, and how
 * many links each node has. So the first node that is not as it should be ends the walk, and each node is read once.
 *
 * @returns undefined where it is another DAG, or none that anybody has to walk
 * @throws what `read` throws
 */
export async function canonicalFile(root: CID, read: Read): Promise<Content | undefined> {
  if (!isOurs(root)) {
    return undefined
  }
  try {
    const bytes = await read(root)
    const size = root.code === raw.code ? bytes.byteLength : decodeNode(root, bytes).size
    const file = await subtree(root, bytes, size, levelsOf(size), read, new Map())
    return file === undefined ? undefined : { cid: root.toString(), size: file.size, dagSize: file.dagSize }
  } catch (err) {
    if ((err as Error).name !== 'RefusedDagError') {
      throw err
    }
    return undefined
  }
}

/** @param bytes of its block; undefined where it is not read yet */
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
  // whatever else a node may say differs from what is written here
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

/** Bytes below a node that has all its links, at `level` above the leaves */
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
