import { LRUCache } from 'lru-cache'
import type { Digest } from '../../oci/digest.ts'

/** Each entry takes some 200 bytes */
const maxNoted = 10_000

/**
 * Remembers which files of other nodes' images match the digest under which they are linked. A CID always stands for
 * the same bytes, so one comparison is enough. This is not in the index: there, a digest has one CID for all
 * repositories, and the CID that a stranger's image links under a digest must be served for that image alone.
 */
export class VerifiedFiles {
  readonly #noted = new LRUCache<string, true>({ max: maxNoted })

  has(digest: Digest, cid: string): boolean {
    return this.#noted.get(`${digest} ${cid}`) === true
  }

  /** To be called once the whole file was compared with the digest */
  note(digest: Digest, cid: string): void {
    this.#noted.set(`${digest} ${cid}`, true)
  }
}
