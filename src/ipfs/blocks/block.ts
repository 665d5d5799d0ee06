/**
 * What a block is, without the disk: bytes and the CID that they must match.
 *
 * - `block-cid.ts`: which CIDs a block may have; what is stored, read or passed on has one of these
 * - `verify-block.ts`: the comparison of bytes with their CID
 * - `block-set.ts`: sets and maps of millions of blocks in little memory
 * - `buffer-pool.ts`: the buffers that blocks of 1 MiB are read into and written from
 *
 * Imports the errors of `src/ipfs` and nothing else of ours. Begin with `block-cid.ts`.
 */
import { NotFoundError } from 'interface-store'
import type { CID } from 'multiformats/cid'

/** The largest block that is accepted from anywhere; IPFS implementations agree on 2 MiB */
export const maxBlockBytes = 2 * 1024 * 1024

/**
 * What claims to be a block and is longer than this is not read into memory at all. Twice the largest block: one that
 * is only somewhat too large is still read, and refused for its size instead of being reported as damaged.
 */
export const maxReadBytes = 2 * maxBlockBytes

export interface Block {
  cid: CID
  bytes: Uint8Array
}

export function blockNotFound(cid: CID): NotFoundError {
  return new NotFoundError(`No block ${cid.toString()}`)
}
