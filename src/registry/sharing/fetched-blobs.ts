import type { DigestAnswer } from '../../ipfs/digests/digest-server.ts'
import type { Digest } from '../../oci/digest.ts'

/** Blobs that are being fetched, of which peers get what is here while the rest comes */
export interface FetchedBlobs {
  /**
   * @param peer that asks, which fetches the blob itself then
   * @returns undefined where the digest is not being fetched, or for no repository that is meant
   */
  answer: (peer: string, digest: Digest, isMeant: (repository: string) => boolean) => DigestAnswer | undefined
  /** Whether a block of this SHA-256 is here of a blob that is being fetched for a repository that is meant */
  hasBlock: (hash: Uint8Array, isMeant: (repository: string) => boolean) => boolean
}
