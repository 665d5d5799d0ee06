/** Which CIDs a block may have: only a block that can be compared with its CID is stored, read or passed on */
import * as dagPb from '@ipld/dag-pb'
import { CID } from 'multiformats/cid'
import * as raw from 'multiformats/codecs/raw'
import { identity } from 'multiformats/hashes/identity'
import { sha256, sha512 } from 'multiformats/hashes/sha2'
import { RefusedDagError } from '../errors.ts'

/** An identity CID contains its block; the longest such block that is accepted */
export const maxInlineBytes = 128

/** Node's names of the hash functions that we compute, by their multihash codes; blocks by others can't be compared */
export const hashNames = new Map<number, 'sha256' | 'sha512'>([
  [sha256.code, 'sha256'],
  [sha512.code, 'sha512'],
])

/**
 * Digests that were cut short are not accepted: the shorter they are, the easier another block with the same one is to
 * find
 */
const digestBytes = { sha256: 32, sha512: 64 }

/** A longer CID is cut in messages */
const maxShownCid = 100

/** @throws RefusedDagError where the text is not a CID, or one that a DAG may not have */
export function parseCid(text: string): CID {
  let cid: CID
  try {
    cid = CID.parse(text)
  } catch (err) {
    throw new RefusedDagError(`"${text.slice(0, maxShownCid)}" is not a CID`, { cause: err })
  }
  requireCid(cid)
  return cid
}

/** @throws RefusedDagError where a DAG may not have this CID */
export function requireCid(cid: CID): void {
  const { code, digest } = cid.multihash
  if (cid.code !== dagPb.code && cid.code !== raw.code) {
    throw new RefusedDagError(`${shown(cid)} has the codec 0x${cid.code.toString(16)}, which is neither dag-pb nor raw`)
  }
  if (code === identity.code) {
    if (digest.byteLength > maxInlineBytes) {
      throw new RefusedDagError(
        `${shown(cid)} contains a block of ${digest.byteLength} bytes, and may contain ${maxInlineBytes}`,
      )
    }
  } else if (!hasFile(cid)) {
    throw new RefusedDagError(
      `${shown(cid)} has ${digest.byteLength} bytes of the hash function 0x${code.toString(16)}; ` +
        'whole digests by SHA-256 and SHA-512 are accepted',
    )
  }
}

/**
 * Whether the block of this CID lies in a file if it is stored: it is not contained in the CID, and can be compared
 * with it
 */
export function hasFile({ multihash: { code, digest } }: CID): boolean {
  const name = hashNames.get(code)
  return name !== undefined && digestBytes[name] === digest.byteLength
}

/** The block that an identity CID contains; undefined for other CIDs */
export function inlineBlock({ multihash: { code, digest } }: CID): Uint8Array | undefined {
  return code === identity.code && digest.byteLength <= maxInlineBytes ? digest : undefined
}

/** A CID as text for a message, cut where it is too long to read */
export function shown(cid: CID): string {
  // a multihash of megabytes is not even converted
  return cid.multihash.digest.byteLength > 2 * maxInlineBytes
    ? `a CID with a multihash of ${cid.multihash.digest.byteLength} bytes`
    : cid.toString().slice(0, maxShownCid)
}
