import { randomInt } from 'node:crypto'

/**
 * What JSON may hold at most. Without limits, `JSON.parse` can take seconds for a few MiB, as each object and each new
 * member name takes it about a microsecond.
 */
export interface JsonLimits {
  /** Levels of nesting, the outermost included */
  depth: number
  /** Number of values, including lists and objects. An empty list or object counts twice. */
  values: number
  /** Number of different member names. They are counted by their hashes, so a few more may pass. */
  names: number
}

/** Digits of one number. No finite number needs more than 309, and `JSON.parse` takes longer for each further digit. */
const maxDigits = 1000

const space = 0x20
const quote = 0x22
const comma = 0x2c
const colon = 0x3a
const backslash = 0x5c
const openings = [0x5b, 0x7b]
const closings = [0x5d, 0x7d]

/** Random, so that nobody can choose names that have the same hash */
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

/** Bytes that are checked in a few milliseconds, even before V8 has compiled the loop */
const bytesPerStep = 2 ** 18

/**
 * Checks in one pass over the bytes, before they are parsed, that JSON stays within limits, in steps of a few
 * milliseconds. The answer for bytes that are not JSON means nothing.
 *
 * @returns which limit is exceeded; undefined where none is
 */
// biome-ignore lint/complexity/noExcessiveCognitiveComplexity: one loop, as it goes over every byte of up to 64 MiB
export function* exceededLimit(
  bytes: Uint8Array,
  limits: JsonLimits,
): Generator<undefined, string | undefined, undefined> {
  const names = new Names()
  let level = 0
  // the first value stands alone, and one more follows each comma and each opening bracket
  let values = 1
  let start = 0
  let end = 0
  let digits = 0
  let pause = bytesPerStep
  for (let i = 0; i < bytes.length; i++) {
    if (i >= pause) {
      pause = i + bytesPerStep
      yield
    }
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

/** @returns the position of the closing quote, or of the end of the bytes */
function endOfString(bytes: Uint8Array, start: number): number {
  let i = start
  for (; i < bytes.length && bytes[i] !== quote; i++) {
    if (bytes[i] === backslash) {
      i++
    }
  }
  return i
}

/** Counts different names with one bit for each hash, so that no choice of names makes it slow */
class Names {
  readonly #bits = new Uint8Array(2 ** hashBits)
  #count = 0

  /** @returns the number of different names so far */
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
