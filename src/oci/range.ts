import { OciError } from './errors.ts'

/** Bytes `start` to `end`, both inclusive as in HTTP */
export interface ByteRange {
  start: number
  end: number
}

/**
 * Ranges in ascending order that lie close together are read in one go; each range out of order costs a read of its own
 */
const maxUnordered = 64

/**
 * Reads a `Range` header for a body of `size` bytes (RFC 9110, section 14.2)
 *
 * @param maxRanges per request, as each range costs a header and a seek
 * @returns the ranges in the order in which the client asked for them, cut to the body; undefined where the whole body
 *   has to be sent: there is no header, or one with an unknown unit or syntax, which RFC 9110 tells a server to ignore
 * @throws OciError RANGE_INVALID where no range lies within the body; REQUEST_INVALID where there are too many, or too
 *   many out of order. The status 400 makes podman ask for half as many ranges, while it would give up after 416.
 */
export function parseRange(header: string | undefined, size: number, maxRanges = 1024): ByteRange[] | undefined {
  const match = /^bytes=(.+)$/i.exec(header?.trim() ?? '')
  if (match?.[1] === undefined) {
    return undefined
  }
  const specs = match[1]
    .split(',')
    .map(spec => spec.trim())
    .filter(spec => spec !== '')
  if (specs.length === 0 || !specs.every(spec => /^(\d{1,15}-\d{0,15}|-\d{1,15})$/.test(spec))) {
    return undefined
  }
  if (specs.length > maxRanges) {
    throw new OciError('REQUEST_INVALID', {
      detail: { reason: `more than ${maxRanges} ranges in one request`, maxRanges },
    })
  }
  const asked = specs.map(spec => {
    const [first = '', last = ''] = spec.split('-')
    return first === ''
      ? { start: Math.max(0, size - Number(last)), end: last === '0' ? -1 : size - 1 }
      : { start: Number(first), end: last === '' ? size - 1 : Math.min(Number(last), size - 1) }
  })
  if (asked.filter(({ start }, i) => start <= (asked[i - 1]?.end ?? -1)).length > maxUnordered) {
    throw new OciError('REQUEST_INVALID', {
      detail: { reason: `more than ${maxUnordered} ranges are out of order` },
    })
  }
  // a range that ends before it starts is refused like one beyond the body: the client does not want the whole blob
  const ranges = asked.filter(({ start, end }) => start <= end)
  if (ranges.length === 0) {
    throw new OciError('RANGE_INVALID', { detail: { size }, headers: { 'Content-Range': `bytes */${size}` } })
  }
  return ranges
}

/**
 * Reads the `Content-Range` of a chunk: `<start>-<end>` as in the OCI specification, or `bytes <start>-<end>/<size>` as
 * in RFC 9110
 *
 * @see https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pushing-a-blob-in-chunks
 * @throws OciError RANGE_INVALID where the text is neither
 */
export function parseContentRange(text: string): ByteRange {
  const match = /^(?:bytes[ =])?(\d{1,15})-(\d{1,15})(?:\/(?:\d+|\*))?$/.exec(text.trim())
  const start = Number(match?.[1])
  const end = Number(match?.[2])
  if (match === null || end < start) {
    throw new OciError('RANGE_INVALID', { detail: { contentRange: text.slice(0, 100) } })
  }
  return { start, end }
}
