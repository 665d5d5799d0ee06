import type { CID } from 'multiformats/cid'
import { keyBytes } from './block-set.ts'

/** The first 16 bytes of the hash of each block, one after the other: the short form in which the index keeps them */
export function blockKeys(cids: Iterable<CID>): Uint8Array {
  const list = [...cids]
  const bytes = new Uint8Array(list.length * keyBytes)
  list.forEach(({ multihash }, i) => {
    bytes.set(multihash.digest.subarray(0, keyBytes), i * keyBytes)
  })
  return bytes
}
