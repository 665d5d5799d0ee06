/*
 * The messages of /ipdr/digest/1, by which appliances tell each other what they have of a blob
 *
 * One stream is for one digest. Each message is its length as a varint and then DAG-CBOR.
 *
 * asker      { digest: 'sha256:...' }                       once
 * answerer   null                                           nothing is known of it; the stream ends
 *            { size, root?, leaves?, claims? }              again and again, until the blob is whole
 *
 *   size      bytes of the blob; in every message the same
 *   root      CID of the file, in binary: the blob is whole there; the last message has it
 *   leaves    [[first, hashes], ...]: leaves of 1 MiB that can be fetched there now, in runs; `hashes` are their
 *             SHA-256 one after another, 32 bytes each. A leaf is told once.
 *   claims    [[from, to], ...]: leaves from `from` to before `to` that are being fetched from upstream there, and need
 *             not be fetched by others; they replace those of the message before
 *
 * Fields that a reader does not know are for a later version. A message without news shows that the answerer lives.
 * Nothing in it is believed: a leaf is compared with its CID, and the whole with its digest.
 */
import { decode as decodeCbor, encode as encodeCbor } from '@ipld/dag-cbor'
import { CID } from 'multiformats/cid'
import { z } from 'zod'
import { isDigest, type Digest } from '../../oci/digest.ts'
import { requireCid } from '../blocks/block-cid.ts'
import { hashBytes } from '../dag/encode-node.ts'
import { DigestProtocolError } from './errors.ts'

export const digestProtocol = '/ipdr/digest/1'

/** A run of as many hashes as fit in a message beside the rest of it */
export const maxHashes = 1024
const maxClaims = 64
/** Bytes of a question: a digest by SHA-512 has 135 */
export const maxQuestionBytes = 512
export const maxAnswerBytes = 64 * 1024
/** Bytes of the longest CID that a root may have */
const maxRootBytes = 128

/** Leaves that follow one another, with their SHA-256 one after another */
export interface LeafRun {
  first: number
  hashes: Uint8Array
}

/** Leaves from `from` to before `to` */
export interface LeafRange {
  from: number
  to: number
}

/** What is new at an answerer */
export interface DigestNews {
  /** Bytes of the blob */
  size: number
  /** CID of the file, where it is whole */
  root?: string | undefined
  leaves: LeafRun[]
  /** What is being fetched from upstream; undefined: the same as before */
  claims?: LeafRange[] | undefined
}

const count = z.int().min(0)
const questionSchema = z.object({ digest: z.custom<Digest>(isDigest) })
const newsSchema = z.object({
  size: count,
  root: z.instanceof(Uint8Array).optional(),
  leaves: z
    .array(z.tuple([count, z.instanceof(Uint8Array)]))
    .max(maxHashes)
    .optional(),
  claims: z
    .array(z.tuple([count, count]))
    .max(maxClaims)
    .optional(),
})

export function encodeQuestion(digest: Digest): Uint8Array {
  return encodeCbor({ digest })
}

/** @throws DigestProtocolError */
export function decodeQuestion(bytes: Uint8Array): Digest {
  return parse(bytes, questionSchema).digest
}

export const encodedUnknown: Uint8Array = encodeCbor(null)

/** @param news with at most {@link maxHashes} hashes; of more than 64 claims, the first are told */
export function encodeNews({ claims, leaves, root, size }: DigestNews): Uint8Array {
  return encodeCbor({
    size,
    ...(root === undefined ? {} : { root: CID.parse(root).bytes }),
    ...(leaves.length === 0 ? {} : { leaves: leaves.map(({ first, hashes }) => [first, hashes]) }),
    ...(claims === undefined ? {} : { claims: claims.slice(0, maxClaims).map(({ from, to }) => [from, to]) }),
  })
}

/**
 * @param leafCount leaves of a blob of so many bytes
 * @returns undefined where nothing is known of the digest
 * @throws DigestProtocolError for what can't be true of any blob
 */
export function decodeNews(bytes: Uint8Array, leafCount: (size: number) => number): DigestNews | undefined {
  const news = parse(bytes, newsSchema.nullable())
  if (news === null) {
    return undefined
  }
  const end = leafCount(news.size)
  const leaves = (news.leaves ?? []).map(([first, hashes]) => ({ first, hashes }))
  const claims = news.claims?.map(([from, to]) => ({ from, to }))
  if (
    leaves.some(
      ({ first, hashes }) => hashes.byteLength % hashBytes !== 0 || first + hashes.byteLength / hashBytes > end,
    ) ||
    claims?.some(({ from, to }) => from >= to || to > end) === true
  ) {
    throw new DigestProtocolError('leaves that the blob does not have')
  }
  return { size: news.size, root: news.root && rootOf(news.root), leaves, claims }
}

function rootOf(bytes: Uint8Array): string {
  if (bytes.byteLength > maxRootBytes) {
    throw new DigestProtocolError('a root that is too long')
  }
  try {
    const cid = CID.decode(bytes)
    requireCid(cid)
    return cid.toV1().toString()
  } catch (err) {
    throw new DigestProtocolError('a root that is not a CID', { cause: err })
  }
}

function parse<T>(bytes: Uint8Array, schema: z.ZodType<T>): T {
  try {
    return schema.parse(decodeCbor(bytes))
  } catch (err) {
    throw new DigestProtocolError('a message that is malformed', { cause: err })
  }
}
