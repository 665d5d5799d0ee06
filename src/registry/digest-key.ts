import { blockKey, type BlockKey } from '../ipfs/blocks/block-set.ts'
import { hexOf, type Digest } from '../oci/digest.ts'

/** The first 16 bytes of a digest: a short key for sets that hold many digests */
export function digestKey(digest: Digest): BlockKey {
  return blockKey(Buffer.from(hexOf(digest).slice(0, 32), 'hex'))
}
