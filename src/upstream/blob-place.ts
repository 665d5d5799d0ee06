import type { Answer } from '../remote/http/answer.ts'
import type { UpstreamErrors } from './upstream-errors.ts'

export interface AskedPart {
  start?: number | undefined
  /** Included */
  end?: number | undefined
  /** Bytes of the whole blob, where that is known */
  size?: number | undefined
}

/** The part of a blob that an answer has */
export interface BlobPlace {
  start: number
  /** Bytes of the whole blob */
  size: number | undefined
  /** Bytes of the answer */
  length: number | undefined
}

/** The header that asks for a part; undefined for a whole blob */
export function rangeHeader({ end, start = 0 }: AskedPart): string | undefined {
  return start === 0 && end === undefined ? undefined : `bytes=${start}-${end ?? ''}`
}

/** @throws UpstreamError where the answer contradicts itself, the question, or the known size */
export function placeOf({ headers, status }: Answer, asked: AskedPart, errors: UpstreamErrors): BlobPlace {
  const told = lengthOf(headers)
  const { length, size, start } =
    status === 206
      ? partOf(headers.get('Content-Range') ?? '', asked, errors)
      : { start: 0, size: told ?? asked.size, length: told ?? asked.size }
  if (asked.size !== undefined && size !== asked.size) {
    throw errors.invalid(`says that a blob of ${asked.size} bytes has ${size}`)
  }
  if (told !== undefined && told !== length) {
    throw errors.invalid(`says that ${length} bytes of a blob are ${told}`)
  }
  return { start, size, length }
}

function partOf(header: string, asked: AskedPart, errors: UpstreamErrors): BlobPlace {
  const { end, start = 0 } = asked
  const match = /^bytes (\d{1,15})-(\d{1,15})\/(\d{1,15}|\*)$/i.exec(header.trim())
  const [first, last] = [Number(match?.[1]), Number(match?.[2])]
  const size = match?.[3] === undefined || match[3] === '*' ? asked.size : Number(match[3])
  const wanted = Math.min(end ?? Infinity, size === undefined ? Infinity : size - 1)
  const isRight = first === start && last >= first && (last === wanted || wanted === Infinity)
  if (rangeHeader(asked) === undefined || !isRight) {
    throw errors.invalid('answered with another part of a blob than it was asked for')
  }
  return { start: first, size, length: last - first + 1 }
}

/** @returns undefined where the answer does not tell */
export function lengthOf(headers: Headers): number | undefined {
  const text = headers.get('Content-Length') ?? ''
  return /^\d{1,15}$/.test(text) ? Number(text) : undefined
}
