import { inlineHasher, smallFile, type FileHasher, type Hasher } from '../ipfs/hashing/hasher.ts'
import { algorithmOf, digestFrom, type Digest } from '../oci/digest.ts'
import { OciError } from '../oci/errors.ts'

export interface ExpectedDigest {
  digest: Digest
  onMatch: () => void
  /** @default on the thread of the caller */
  hasher?: Hasher | undefined
}

/** Chunks that are hashed while more come; the memory of each is copied */
const maxBehind = 4

/** Compares the bytes of a file with its digest, while they go to somebody else */
export class DigestCheck implements Disposable {
  readonly #expected: ExpectedDigest
  readonly #file: FileHasher
  /** Of the chunks that were added and are not hashed yet */
  readonly #adding: Array<Promise<void>> = []

  /** @param size bytes of the file */
  constructor(expected: ExpectedDigest, size: number) {
    const { digest, hasher = inlineHasher } = expected
    this.#expected = expected
    this.#file = (size <= smallFile ? inlineHasher : hasher).file(algorithmOf(digest))
  }

  /** Resolves when the next bytes may be added; these may change then */
  async add(bytes: Uint8Array): Promise<void> {
    const adding = this.#file.add(bytes)
    // whoever adds more, or asks for the result, gets the error
    adding.catch(() => {})
    this.#adding.push(adding)
    if (this.#adding.length > maxBehind) {
      await this.#adding.shift()
    }
  }

  /** @throws OciError UNAVAILABLE where the bytes that were added do not match */
  async requireMatch(): Promise<void> {
    const { digest, onMatch } = this.#expected
    await Promise.all(this.#adding)
    const { whole } = await this.#file.tail(new Uint8Array())
    if (digestFrom(algorithmOf(digest), Buffer.from(whole).toString('hex')) !== digest) {
      throw new OciError('UNAVAILABLE', {
        detail: { digest, reason: 'the image links to bytes that do not match this digest' },
      })
    }
    onMatch()
  }

  [Symbol.dispose](): void {
    this.#file.discard()
  }
}
