/** Bytes of the layers that are read for a listing, as they are stored */
export const maxStoredBytes = 64 * 1024 * 1024
/** Files, directories and whiteouts of these layers */
export const maxEntries = 20_000
/** Bytes that these layers unpack to */
const maxUnpackedBytes = 512 * 1024 * 1024
/** Characters of all names */
const maxNames = 4 * 1024 * 1024

/** Why files are not listed: beyond a bound, or not what layers are */
export type ListingRefusal =
  | 'too large'
  | 'too many files'
  | 'unpacks to too much'
  | 'malformed'
  | 'not here'
  | 'took too long'

export class ListingRefused extends Error {
  override readonly name = 'ListingRefused'
  readonly refusal: ListingRefusal

  constructor(refusal: ListingRefusal, options?: ErrorOptions) {
    super(`files are not listed: ${refusal}`, options)
    this.refusal = refusal
  }
}

/** What is left of the bounds of one listing, over all layers that it reads */
export class ListingBounds {
  #stored = maxStoredBytes
  #entries = maxEntries
  #names = maxNames
  #unpacked = maxUnpackedBytes

  /** @throws ListingRefused */
  takeEntry(path: string): void {
    this.#entries--
    this.#names -= path.length
    if (this.#entries < 0 || this.#names < 0) {
      throw new ListingRefused('too many files')
    }
  }

  /** @throws ListingRefused */
  takeStored(bytes: number): void {
    this.#stored -= bytes
    if (this.#stored < 0) {
      throw new ListingRefused('too large')
    }
  }

  /** @throws ListingRefused */
  takeUnpacked(bytes: number): void {
    this.#unpacked -= bytes
    if (this.#unpacked < 0) {
      throw new ListingRefused('unpacks to too much')
    }
  }
}
