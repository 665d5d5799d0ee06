import { OciError } from '../../oci/errors.ts'
import type { ByteRange } from '../../oci/range.ts'

/**
 * The `Range` header that tells a client how far its upload is. As in docker's registry, an empty upload has `0-0` too.
 */
export function uploadRange(size: number): { Range: string } {
  return { Range: `0-${Math.max(0, size - 1)}` }
}

/** Compares the bytes that a client appends with the range that it announced; checks nothing where it announced none */
export class UploadRangeCheck {
  readonly #range: ByteRange | undefined
  #end: number

  /**
   * @param size of the upload before
   * @throws OciError RANGE_INVALID where the range does not begin at the end of the upload
   */
  constructor(range: ByteRange | undefined, size: number) {
    this.#range = range
    this.#end = size
    if (range !== undefined && range.start !== size) {
      throw new OciError('RANGE_INVALID', {
        detail: { start: range.start, expected: size },
        headers: uploadRange(size),
      })
    }
  }

  /** @throws OciError SIZE_INVALID where there are more bytes than the range has */
  add(bytes: number): void {
    this.#end += bytes
    if (this.#range !== undefined && this.#end > this.#range.end + 1) {
      throw new OciError('SIZE_INVALID', { detail: { reason: 'the body is longer than its Content-Range' } })
    }
  }

  /** @throws OciError SIZE_INVALID where there were fewer bytes than the range has */
  finish(): void {
    if (this.#range !== undefined && this.#end !== this.#range.end + 1) {
      throw new OciError('SIZE_INVALID', { detail: { reason: 'the body is shorter than its Content-Range' } })
    }
  }
}
