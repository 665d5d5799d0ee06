/** Which CIDs a block may have: only what can be compared with its CID is stored, read and passed on. */
import * as dagPb from '@ipld/dag-pb'
import { CID } from 'multiformats/cid'
import * as raw from 'multiformats/codecs/raw'
import { identity } from 'multiformats/hashes/identity'
import { sha256, sha512 } from 'multiformats/hashes/sha2'
import { RefusedDagError } from '../errors.ts'

/** As peers exchange them */
export const maxBlockBytes = 2 * 1024 * 1024
/** Of a block that lies in its own CID */
export const maxInlineBytes = 128

/** Bytes of a digest, by the code of its hash function: those that we can compute, as nobody can check the others */
const digestBytes = new Map<number, number>([
  [sha256.code, 32],
  [sha512.code, 64],
])

/** Beyond this a CID is cut in messages */
const maxShownCid = 100

/** @throws RefusedDagError where it is none, or none that a DAG may have */
export function parseCid(text: string): CID {
  let cid: CID
  try {
    cid = CID.parse(text)
  } catch (err) {
    throw new RefusedDagError(`"${text.slice(0, maxShownCid)}" is no CID`, { cause: err })
  }
  requireCid(cid)
  return cid
}

/** @throws RefusedDagError where a DAG may not have it */
export function requireCid(cid: CID): void {
  if (cid.code !== dagPb.code && cid.code !== raw.code) {
    throw new RefusedDagError(`${shown(cid)} has the codec 0x${cid.code.toString(16)}, which is neither dag-pb nor raw`)
  }
  if (cid.multihash.code === identity.code) {
    if (cid.multihash.digest.byteLength > maxInlineBytes) {
      throw new RefusedDagError(
        `${shown(cid)} holds ${cid.multihash.digest.byteLength} bytes itself, and may hold ${maxInlineBytes}`,
      )
    }
  } else if (!hasFile(cid)) {
    throw new RefusedDagError(
      `${shown(cid)} has ${cid.multihash.digest.byteLength} bytes of the hash function 0x${cid.multihash.code.toString(16)}, which nobody here can check`,
    )
  }
}

/** Whether its block can lie in a file: only what can be compared with its CID is stored */
export function hasFile({ multihash: { code, digest } }: CID): boolean {
  return digestBytes.get(code) === digest.byteLength
}

/** The block that lies in its CID; undefined where it lies elsewhere */
export function inlineBlock({ multihash: { code, digest } }: CID): Uint8Array | undefined {
  return code === identity.code && digest.byteLength <= maxInlineBytes ? digest : undefined
}

/** As text, but no longer than anybody reads */
export function shown(cid: CID): string {
  // the text of a long one is not even made
  return cid.multihash.digest.byteLength > 2 * maxInlineBytes
    ? `a CID with a multihash of ${cid.multihash.digest.byteLength} bytes`
    : cid.toString().slice(0, maxShownCid)
}
