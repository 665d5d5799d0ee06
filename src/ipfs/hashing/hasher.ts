/**
 * Hashes of files: SHA-256 of each leaf for its CID, and the digest of the whole file, in one pass.
 *
 * `hash-workers.ts` does it on other threads, for pushes and for what comes from peers; `inlineHasher` here on the
 * thread of its caller, for small files. Imports `src/scheduling`, the buffers of `blocks` and the digests of
 * `src/oci`. Begin with {@link Hasher}.
 */
import { createHash, hash, type Hash } from 'node:crypto'
import type { DigestAlgorithm } from '../../oci/digest.ts'

/** Bytes up to which it takes less time to hash a file here than to send it to another thread */
export const smallFile = 64 * 1024

/** Hashes of a leaf that may be the last one of a file */
export interface TailHashes {
  /** SHA-256 of the leaf */
  leaf: Uint8Array
  /**
   * Digest of the file up to the end of this leaf; means nothing where {@link Hasher.file} was called without an
   * algorithm
   */
  whole: Uint8Array
}

/**
 * Hashes one file, leaf by leaf, from its first to its last. The bytes of a leaf must not change until its promise
 * settles.
 */
export interface FileHasher {
  /** @returns SHA-256 of the next leaf */
  leaf: (bytes: Uint8Array) => Promise<Uint8Array>
  /**
   * Adds the next bytes of a file of which only the digest of the whole is wanted. The bytes may change as soon as the
   * call has returned.
   */
  add: (bytes: Uint8Array) => Promise<void>
  /** Hashes the next leaf without adding it to the file: it may still grow, and is hashed again then */
  tail: (bytes: Uint8Array) => Promise<TailHashes>
  /** To be called when nothing more is to be hashed */
  discard: () => void
}

export interface Hasher {
  /** @param algorithm of the digest of the whole file; undefined where that is not wanted */
  file: (algorithm?: DigestAlgorithm) => FileHasher
}

/** Hashes on the thread of its caller */
export const inlineHasher: Hasher = {
  file: algorithm => new InlineFileHasher(algorithm),
}

class InlineFileHasher implements FileHasher {
  readonly #algorithm: DigestAlgorithm | undefined
  /** Undefined before the first leaf */
  #whole: Hash | undefined

  constructor(algorithm: DigestAlgorithm | undefined) {
    this.#algorithm = algorithm
  }

  async leaf(bytes: Uint8Array): Promise<Uint8Array> {
    await this.add(bytes)
    return hash('sha256', bytes, 'buffer')
  }

  async add(bytes: Uint8Array): Promise<void> {
    if (this.#algorithm !== undefined) {
      this.#whole ??= createHash(this.#algorithm)
      this.#whole.update(bytes)
    }
  }

  async tail(bytes: Uint8Array): Promise<TailHashes> {
    const leaf = hash('sha256', bytes, 'buffer')
    if (this.#whole === undefined) {
      return {
        leaf,
        whole:
          this.#algorithm === undefined || this.#algorithm === 'sha256' ? leaf : hash(this.#algorithm, bytes, 'buffer'),
      }
    }
    return { leaf, whole: this.#whole.copy().update(bytes).digest() }
  }

  discard(): void {}
}
