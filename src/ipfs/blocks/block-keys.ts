import type { CID } from 'multiformats/cid'
import { hasFile } from './block-cid.ts'
import { keyBytes } from './block-set.ts'

/**
 * The first 16 bytes of the hash of each block, one after the other: the short form in which the index keeps them.
 * Blocks that lie in their own CIDs are left out: nobody fetches them, and whoever makes one chooses its "hash", which
 * could begin as that of another's block does.
 */
export function blockKeys(cids: Iterable<CID>): Uint8Array {
  const list = [...cids].filter(hasFile)
  const bytes = new Uint8Array(list.length * keyBytes)
  list.forEach(({ multihash }, i) => {
    bytes.set(multihash.digest.subarray(0, keyBytes), i * keyBytes)
  })
  return bytes
}
