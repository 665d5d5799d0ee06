/**
 * Encodes files and directories as UnixFS, in the profile `unixfs-v1-2025`: `ipfs add` with that profile gives the same
 * bytes the same CID.
 *
 * The profile: CIDv1 and SHA-256; leaves are raw blocks of 1 MiB, of which the last may be shorter; a node has up to
 * 1024 links; the tree is balanced, built level by level until one node is left. A file of at most 1 MiB is a single
 * leaf.
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

/** Bytes of a leaf, the chunks that a file is cut into */
export const leafSize = 1024 * 1024
/** Bytes of the hash of a leaf, by SHA-256 */
export const hashBytes = 32
/** Links of a node of a file */
export const maxLinks = 1024
/** Multicodec code of sha2-256 */
const sha256 = 0x12
/** UnixFS's number for a file */
const fileType = 2

/** A link of a file, to a leaf or to a node */
export interface FileLink {
  cid: CID
  size: number
  dagSize: number
}

export async function hashBlock(codec: number, bytes: Uint8Array): Promise<CID> {
  // crypto.subtle works on the thread pool; createHash of node:crypto would hold up the event loop
  const digest = await crypto.subtle.digest('SHA-256', bytes as Uint8Array<ArrayBuffer>)
  return CID.createV1(codec, createMultihash(sha256, new Uint8Array(digest)))
}

/** @param digest SHA-256 of the leaf */
export function leafCid(digest: Uint8Array): CID {
  return CID.createV1(raw.code, createMultihash(sha256, digest))
}

/** Makes the nodes above the leaves of a file, from the lowest level up; `put` is awaited for each */
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
    throw new RangeError('a file needs at least one leaf, which may be empty')
  }
  return { cid: root.cid.toString(), size: root.size, dagSize: root.dagSize }
}

async function fileNode(children: FileLink[], put: (block: Block) => Promise<void>): Promise<FileLink> {
  const bytes = encodeFileNode(children)
  const cid = await hashBlock(dagPb.code, bytes)
  await put({ cid, bytes })
  return { cid, size: sum(children, 'size'), dagSize: bytes.byteLength + sum(children, 'dagSize') }
}

/** The block of a node of a file, whose children are leaves or nodes */
export function encodeFileNode(children: readonly FileLink[]): Uint8Array {
  return dagPb.encode({
    Data: fileData(children.map(({ size }) => size)),
    Links: children.map(child => ({ Name: '', Hash: child.cid, Tsize: child.dagSize })),
  })
}

/**
 * The UnixFS message of a node whose children have these sizes. `UnixFS.marshal` can't be used: its encoder,
 * protons-runtime, takes the low half of a 64-bit number as signed, and so writes wrong bytes, and not even the same
 * ones each time, for sizes from 2 GiB to 4 GiB.
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
