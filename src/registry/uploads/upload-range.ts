import { OciError } from '../../oci/errors.ts'
import type { ByteRange } from '../../oci/range.ts'

/** The `Range` header that tells a client how far its upload is; `0-0` stands for nothing too, as docker's registry has it */
export function uploadRange(size: number): { Range: string } {
  return { Range: `0-${Math.max(0, size - 1)}` }
}

/**
 * Passes on what a client appends
 *
 * @param range where the client says that the bytes belong
 * @param size bytes that the upload has before
 * @throws OciError RANGE_INVALID or SIZE_INVALID where they don't
 */
export async function* withinRange(
  source: AsyncIterable<Uint8Array>,
  range: ByteRange | undefined,
  size: number,
): AsyncGenerator<Uint8Array> {
  if (range !== undefined && range.start !== size) {
    throw new OciError('RANGE_INVALID', { detail: { start: range.start, expected: size }, headers: uploadRange(size) })
  }
  let end = size
  for await (const chunk of source) {
    end += chunk.byteLength
    if (range !== undefined && end > range.end + 1) {
      throw new OciError('SIZE_INVALID', { detail: { reason: 'the body is longer than its Content-Range' } })
    }
    yield chunk
  }
  if (range !== undefined && end !== range.end + 1) {
    throw new OciError('SIZE_INVALID', { detail: { reason: 'the body is shorter than its Content-Range' } })
  }
}
