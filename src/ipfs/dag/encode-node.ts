/**
 * A blob as a UnixFS DAG, in the profile `unixfs-v1-2025`: the same bytes get the same CID as from `ipfs add` under it.
 *
 * CIDv1, sha2-256; leaves are raw blocks of 1 MiB, the last one shorter; a node has up to 1024 links; the tree is balanced:
 * nodes are filled level by level until one is left. A blob of at most 1 MiB is its only leaf.
 *
 * @see https://specs.ipfs.tech/ipips/ipip-0499/
 */
import * as dagPb from '@ipld/dag-pb'
import { UnixFS } from 'ipfs-unixfs'
import { varint } from 'multiformats'
import { CID } from 'multiformats/cid'
import * as raw from 'multiformats/codecs/raw'
import { create as createMultihash } from 'multiformats/hashes/digest'
import type { Block } from '../blocks/block.ts'
import type { Content, DirectoryEntry } from '../content-store.ts'

export const leafSize = 1024 * 1024
export const maxLinks = 1024
/** Multicodec code of sha2-256 */
const sha256 = 0x12
/** UnixFS's number for a file */
const fileType = 2

/** A link of a file: a leaf, or a node over leaves */
export interface FileLink {
  cid: CID
  size: number
  dagSize: number
}

export async function hashBlock(codec: number, bytes: Uint8Array): Promise<CID> {
  // crypto.subtle works in the thread pool; node:crypto's createHash would hold up the event loop
  const digest = await crypto.subtle.digest('SHA-256', bytes as Uint8Array<ArrayBuffer>)
  return CID.createV1(codec, createMultihash(sha256, new Uint8Array(digest)))
}

/** @param digest SHA-256 of the leaf */
export function leafCid(digest: Uint8Array): CID {
  return CID.createV1(raw.code, createMultihash(sha256, digest))
}

/** Makes the nodes over the leaves of a file, from the lowest level up; `put` is awaited for each */
export async function buildFile(leaves: FileLink[], put: (block: Block) => Promise<void>): Promise<Content> {
  let level = leaves
  while (level.length > 1) {
    const parents: FileLink[] = []
    for (let i = 0; i < level.length; i += maxLinks) {
      parents.push(await fileNode(level.slice(i, i + maxLinks), put))
    }
    level = parents
  }
  const [root] = level
  if (root === undefined) {
    throw new RangeError('a file has at least one leaf, be it empty')
  }
  return { cid: root.cid.toString(), size: root.size, dagSize: root.dagSize }
}

async function fileNode(children: FileLink[], put: (block: Block) => Promise<void>): Promise<FileLink> {
  const bytes = encodeFileNode(children)
  const cid = await hashBlock(dagPb.code, bytes)
  await put({ cid, bytes })
  return { cid, size: sum(children, 'size'), dagSize: bytes.byteLength + sum(children, 'dagSize') }
}

/** The block of a node over leaves, or over nodes */
export function encodeFileNode(children: readonly FileLink[]): Uint8Array {
  return dagPb.encode({
    Data: fileData(children.map(({ size }) => size)),
    Links: children.map(child => ({ Name: '', Hash: child.cid, Tsize: child.dagSize })),
  })
}

/**
 * The UnixFS message of a node over children of these sizes. It is not left to `UnixFS.marshal`: protons-runtime, which encodes it there, takes
 * the low half of a 64-bit number for a signed one, and writes neither the right bytes nor the same ones twice for sizes from 2 GiB to 4 GiB.
 *
 * @see https://specs.ipfs.tech/unixfs/#data-field
 */
function fileData(blockSizes: readonly number[]): Uint8Array {
  const fileSize = blockSizes.reduce((total, size) => total + size, 0)
  const fields = [[0x08, fileType], [0x18, fileSize], ...blockSizes.map(size => [0x20, size])] as Array<
    [tag: number, value: number]
  >
  const bytes = new Uint8Array(fields.reduce((total, [, value]) => total + 1 + varint.encodingLength(value), 0))
  let offset = 0
  for (const [tag, value] of fields) {
    bytes[offset] = tag
    varint.encodeTo(value, bytes, offset + 1)
    offset += 1 + varint.encodingLength(value)
  }
  return bytes
}

export async function directoryBlock(entries: readonly DirectoryEntry[]): Promise<Block & { content: Content }> {
  const bytes = dagPb.encode(
    dagPb.prepare({
      Data: new UnixFS({ type: 'directory' }).marshal(),
      Links: entries.map(({ name, content }) => ({ Name: name, Hash: CID.parse(content.cid), Tsize: content.dagSize })),
    }),
  )
  const cid = await hashBlock(dagPb.code, bytes)
  const dagSize = bytes.byteLength + entries.reduce((total, { content }) => total + content.dagSize, 0)
  return { cid, bytes, content: { cid: cid.toString(), size: 0, dagSize } }
}

function sum<Key extends string>(items: Array<Record<Key, number>>, key: Key): number {
  return items.reduce((total, item) => total + item[key], 0)
}
