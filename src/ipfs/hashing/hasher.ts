import { createHash, hash, type Hash } from 'node:crypto'
import type { DigestAlgorithm } from '../../oci/digest.ts'

/** Hashes of what may be the end of a file */
export interface TailHashes {
  /** SHA-256 of the leaf */
  leaf: Uint8Array
  /** Of the file up to the end of this leaf; of no meaning where it was not asked for */
  whole: Uint8Array
}

/** Hashes one file, leaf by leaf, in the order of the file. The bytes of a leaf may not change until its promise settles. */
export interface FileHasher {
  /** @returns SHA-256 of the next leaf */
  leaf: (bytes: Uint8Array) => Promise<Uint8Array>
  /** Of the leaf that comes next, which may still grow: it is not counted as part of the file yet */
  tail: (bytes: Uint8Array) => Promise<TailHashes>
  /** Called once nothing more is asked of it */
  discard: () => void
}

export interface Hasher {
  /** @param algorithm of the hash of the whole file; undefined: that one is not wanted */
  file: (algorithm?: DigestAlgorithm) => FileHasher
}

/** On the thread that calls it */
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
    if (this.#algorithm !== undefined) {
      this.#whole ??= createHash(this.#algorithm)
      this.#whole.update(bytes)
    }
    return hash('sha256', bytes, 'buffer')
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
