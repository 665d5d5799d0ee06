import { ListingRefused } from './listing-bounds.ts'

export const blockSize = 512
const checksumField = { start: 148, end: 156 }
const ustar = Buffer.from('ustar\0')

/** The first block of an entry */
export interface TarHeader {
  name: string
  mode: number
  uid: number
  gid: number
  /** Bytes that follow, without what fills the last block */
  size: number
  /** One character */
  type: string
  target: string
  /** Of an old sparse file: whether blocks follow that tell of more holes, and how long the file is with its holes */
  sparse: { hasMore: boolean; size: number }
}

/**
 * @returns undefined for a block of zeros, which ends an archive
 * @throws ListingRefused with `malformed`
 * @see https://pubs.opengroup.org/onlinepubs/9799919799/utilities/pax.html#tag_20_94_13_06
 */
export function parseTarHeader(block: Buffer): TarHeader | undefined {
  if (block.every(byte => byte === 0)) {
    return undefined
  }
  if (!hasRightChecksum(block)) {
    throw new ListingRefused('malformed')
  }
  const isUstar = block.subarray(257, 263).equals(ustar)
  const prefix = isUstar ? textIn(block, 345, 155) : ''
  const name = textIn(block, 0, 100)
  return {
    name: prefix === '' ? name : `${prefix}/${name}`,
    mode: numberIn(block, 100, 8),
    uid: numberIn(block, 108, 8),
    gid: numberIn(block, 116, 8),
    size: numberIn(block, 124, 12),
    type: block[156] === 0 ? '0' : String.fromCharCode(block[156]!),
    target: textIn(block, 157, 100),
    sparse: { hasMore: block[482] === 1, size: block[156] === 0x53 ? numberIn(block, 483, 12) : 0 },
  }
}

/** Up to the first NUL */
export function textOfField(field: Buffer): string {
  const end = field.indexOf(0)
  return field.toString('utf8', 0, end < 0 ? field.byteLength : end)
}

function textIn(block: Buffer, start: number, length: number): string {
  return textOfField(block.subarray(start, start + length))
}

/** Octal digits, or for large numbers the number itself, of which the highest bit is set */
function numberIn(block: Buffer, start: number, length: number): number {
  const field = block.subarray(start, start + length)
  const value = (field[0]! & 0x80) === 0 ? octal(field) : binary(field)
  if (!Number.isSafeInteger(value) || value < 0) {
    throw new ListingRefused('malformed')
  }
  return value
}

function octal(field: Buffer): number {
  const text = textOfField(field).trim()
  return text === '' ? 0 : /^[0-7]+$/.test(text) ? Number.parseInt(text, 8) : Number.NaN
}

function binary(field: Buffer): number {
  // negative numbers begin with 0xff: no size is one
  return [...field].reduce((sum, byte, i) => (i === 0 ? byte & 0x7f : sum * 256 + byte), 0)
}

/** Old programs add signed bytes */
function hasRightChecksum(block: Buffer): boolean {
  const expected = octal(block.subarray(checksumField.start, checksumField.end))
  let [unsigned, signed] = [0, 0]
  for (let i = 0; i < blockSize; i++) {
    const isField = i >= checksumField.start && i < checksumField.end
    unsigned += isField ? 0x20 : block[i]!
    signed += isField ? 0x20 : block.readInt8(i)
  }
  return expected === unsigned || expected === signed
}
