import { randomInt } from 'node:crypto'

/** What JSON may hold at most. Beyond it JSON.parse takes seconds for a few MiB: each object and each new name costs it a microsecond */
export interface JsonLimits {
  /** Levels of nesting, the outermost included */
  depth: number
  /** Values in all, lists and objects included; one that is empty counts twice */
  values: number
  /** Different names of members, told apart by a hash: a few more than these may pass */
  names: number
}

/** Of a number: the largest that JSON.parse tells from infinity has 309, and each more costs it time */
const maxDigits = 1000

const space = 0x20
const quote = 0x22
const comma = 0x2c
const colon = 0x3a
const backslash = 0x5c
const openings = [0x5b, 0x7b]
const closings = [0x5d, 0x7d]

/** So that nobody knows which names have the same hash */
const seed = randomInt(2 ** 32)
const hashBits = 16

/** What each byte means outside of a string */
const kinds = new Uint8Array(256)
const [other, quoteKind, commaKind, colonKind, openingKind, closingKind] = [0, 1, 2, 3, 4, 5] as const
kinds[quote] = quoteKind
kinds[comma] = commaKind
kinds[colon] = colonKind
openings.forEach(byte => {
  kinds[byte] = openingKind
})
closings.forEach(byte => {
  kinds[byte] = closingKind
})

/**
 * Looks in one pass over the bytes whether JSON is within limits, before anybody parses it; 4 MiB take some ten milliseconds. Of bytes that are no
 * JSON it says anything.
 *
 * @returns what is wrong, or undefined
 */
export function exceededLimit(bytes: Uint8Array, limits: JsonLimits): string | undefined {
  const names = new Names()
  let level = 0
  // each comma and each opening is followed by one value, and the first is there without either
  let values = 1
  let start = 0
  let end = 0
  let digits = 0
  for (let i = 0; i < bytes.length; i++) {
    const kind = kinds[bytes[i]!]!
    if (kind === other) {
      digits = bytes[i]! > space ? digits + 1 : 0
      if (digits > maxDigits) {
        return `has a number of more than ${maxDigits} digits`
      }
      continue
    }
    digits = 0
    if (kind === quoteKind) {
      start = i + 1
      end = endOfString(bytes, start)
      i = end
    } else if (kind === colonKind) {
      if (names.add(bytes, start, end) > limits.names) {
        return `has more than ${limits.names} different names`
      }
    } else if (kind === closingKind) {
      level--
    } else {
      if (kind === openingKind && ++level > limits.depth) {
        return `is nested deeper than ${limits.depth} levels`
      }
      if (++values > limits.values) {
        return `has more than ${limits.values} values`
      }
    }
  }
  return undefined
}

/** @returns where its quote is, or the end of the bytes */
function endOfString(bytes: Uint8Array, start: number): number {
  let i = start
  for (; i < bytes.length && bytes[i] !== quote; i++) {
    if (bytes[i] === backslash) {
      i++
    }
  }
  return i
}

/** Counts names by a bit for each hash, so that no choice of names makes it slow */
class Names {
  readonly #bits = new Uint8Array(2 ** hashBits)
  #count = 0

  /** @returns how many different ones there were so far */
  add(bytes: Uint8Array, start: number, end: number): number {
    // FNV-1a
    let hash = seed
    for (let i = start; i < end; i++) {
      hash = Math.imul(hash ^ bytes[i]!, 0x01000193)
    }
    const place = hash >>> (32 - hashBits)
    if (this.#bits[place] === 0) {
      this.#bits[place] = 1
      this.#count++
    }
    return this.#count
  }
}
