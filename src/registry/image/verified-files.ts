import { LRUCache } from 'lru-cache'
import type { Digest } from '../../oci/digest.ts'

/** Each takes some 200 bytes */
const maxNoted = 10_000

/**
 * Files of other nodes' images whose bytes were compared with a digest: a CID stands for the same bytes for ever. It is kept apart from the
 * index, in which a digest has one file for all repositories: what a stranger's image links to a digest, that image alone gets.
 */
export class VerifiedFiles {
  readonly #noted = new LRUCache<string, true>({ max: maxNoted })

  has(digest: Digest, cid: string): boolean {
    return this.#noted.get(`${digest} ${cid}`) === true
  }

  /** To be called once all bytes of the file have gone into the digest */
  note(digest: Digest, cid: string): void {
    this.#noted.set(`${digest} ${cid}`, true)
  }
}
