import { blockKey, type BlockKey } from '../ipfs/blocks/block-set.ts'
import { hexOf, type Digest } from '../oci/digest.ts'

/** A digest as a key of the sets that hold many: its first 16 bytes */
export function digestKey(digest: Digest): BlockKey {
  return blockKey(Buffer.from(hexOf(digest).slice(0, 32), 'hex'))
}
