import type { CID } from 'multiformats/cid'
import { algorithmOf, hexOf, type Digest } from '../../oci/digest.ts'
import { leafCid } from '../dag/encode-node.ts'

/**
 * The CID under which nodes tell the DHT that they have a blob: that of its bytes as one raw block, however many it is
 * stored as
 *
 * @returns undefined where the digest is not by SHA-256
 */
export function digestCid(digest: Digest): CID | undefined {
  return algorithmOf(digest) === 'sha256' ? leafCid(Buffer.from(hexOf(digest), 'hex')) : undefined
}
