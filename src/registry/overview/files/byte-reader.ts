import { ListingRefused } from './listing-bounds.ts'

/** Takes pieces of a wanted length out of a stream */
export class ByteReader implements AsyncDisposable {
  readonly #bytes: AsyncIterator<Uint8Array>
  #rest: Uint8Array = Buffer.alloc(0)

  constructor(bytes: AsyncIterable<Uint8Array>) {
    this.#bytes = bytes[Symbol.asyncIterator]()
  }

  /**
   * @returns undefined where the stream has ended
   * @throws ListingRefused with `malformed` where it ends within the piece
   */
  async read(length: number): Promise<Buffer | undefined> {
    if (length > 0 && !(await this.#fill())) {
      return undefined
    }
    const parts: Uint8Array[] = []
    await this.pass(length, part => {
      parts.push(part)
    })
    return Buffer.concat(parts)
  }

  /** @throws ListingRefused with `malformed` where the stream ends before */
  async pass(length: number, onPart: (part: Uint8Array) => void = () => {}): Promise<void> {
    let left = length
    while (left > 0) {
      if (!(await this.#fill())) {
        throw new ListingRefused('malformed')
      }
      const part = this.#rest.subarray(0, left)
      this.#rest = this.#rest.subarray(part.byteLength)
      left -= part.byteLength
      onPart(part)
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#bytes.return?.()
  }

  /** @returns whether there is anything left */
  async #fill(): Promise<boolean> {
    while (this.#rest.byteLength === 0) {
      const next = await this.#bytes.next()
      if (next.done === true) {
        return false
      }
      this.#rest = next.value
    }
    return true
  }
}
