/**
 * Sets and maps of blocks that take 16 bytes a block: a key is the first 16 bytes of the digest in the multihash. Two
 * blocks with the same 16 bytes would count as one, so "in the set" could be wrong for one block in 2^128, and "not in
 * the set" is always right.
 *
 * The keys lie in typed arrays, as hash tables with open addressing. There are 256 tables, each for a part of the keys,
 * so that growing one holds up the event loop only for a moment.
 */

/** 32-bit words of a key */
const words = 4
const wordBytes = 4
/** Bytes of a key */
export const keyBytes = words * wordBytes
/** Slots that {@link BlockSet.bytes} takes together */
const slotsPerChunk = 4096
const parts = 256
const initialSlots = 8
/** A table grows when it is fuller than this */
const maxLoad = 0.7

/** The first 16 bytes of a digest, as four numbers */
export type BlockKey = readonly [number, number, number, number]

interface Part {
  /** The key and the values of each slot; the key of a free slot is all zeros */
  table: Uint32Array
  used: number
}

/** @param digest the digest of a multihash, of any length */
export function blockKey(digest: Uint8Array): BlockKey {
  return [word(digest, 0), word(digest, 4), word(digest, 8), word(digest, 12)]
}

/** Keys, each with some numbers. It can't hold the key of zeros, which would look like a free slot. */
class BlockTable {
  readonly #stride: number
  readonly #parts: Array<Part | undefined> = Array.from({ length: parts })

  /** @param values how many 32-bit numbers belong to each key */
  constructor(values: number) {
    this.#stride = words + values
  }

  /** @returns whether it was not there before */
  add(key: BlockKey, values?: readonly number[]): boolean {
    const stride = this.#stride
    const number = key[0] % parts
    const part = this.#parts[number] ?? { table: new Uint32Array(initialSlots * stride), used: 0 }
    this.#parts[number] = part
    const slot = find(part.table, stride, key)
    const isNew = isFree(part.table, slot)
    if (values !== undefined) {
      part.table.set(values, slot + words)
    }
    if (isNew) {
      part.table.set(key, slot)
      part.used++
      if (part.used > (part.table.length / stride) * maxLoad) {
        grow(part, stride)
      }
    }
    return isNew
  }

  has(key: BlockKey): boolean {
    const part = this.#parts[key[0] % parts]
    return part !== undefined && holds(part.table, find(part.table, this.#stride, key), key)
  }

  /** @returns the numbers of the key; undefined where the table does not have it */
  get(key: BlockKey): Uint32Array | undefined {
    const part = this.#parts[key[0] % parts]
    const slot = part === undefined ? 0 : find(part.table, this.#stride, key)
    return part !== undefined && holds(part.table, slot, key) && !isZero(key)
      ? part.table.subarray(slot + words, slot + this.#stride)
      : undefined
  }

  /** The tables as they are, free slots included */
  tables(): Uint32Array[] {
    return this.#parts.flatMap(part => part?.table ?? [])
  }
}

export class BlockSet {
  readonly #table = new BlockTable(0)
  #hasZero = false
  #size = 0

  get size(): number {
    return this.#size
  }

  /** @returns whether it was not there before */
  add(key: BlockKey): boolean {
    const isNew = isZero(key) ? !this.#hasZero : this.#table.add(key)
    this.#hasZero ||= isZero(key)
    this.#size += Number(isNew)
    return isNew
  }

  has(key: BlockKey): boolean {
    return isZero(key) ? this.#hasZero : this.#table.has(key)
  }

  /** The bytes of all keys, some thousands of keys at a time; nothing may be added meanwhile */
  *bytes(): Generator<Uint8Array> {
    if (this.#hasZero) {
      yield new Uint8Array(keyBytes)
    }
    for (const table of this.#table.tables()) {
      for (let at = 0; at < table.length; at += slotsPerChunk * words) {
        yield bytesOf(table.subarray(at, at + slotsPerChunk * words))
      }
    }
  }
}

/** Two numbers for each block: one of up to 53 bits, and one of 32 bits */
export class BlockMap {
  readonly #table = new BlockTable(3)

  /** A digest that begins with 16 bytes of zeros is not kept; none is known */
  set(key: BlockKey, exact: number, small: number): void {
    if (!isZero(key)) {
      this.#table.add(key, [Math.floor(exact / 2 ** 32), exact >>> 0, small])
    }
  }

  get(key: BlockKey): { exact: number; small: number } | undefined {
    const values = this.#table.get(key)
    return values === undefined ? undefined : { exact: values[0]! * 2 ** 32 + values[1]!, small: values[2]! }
  }
}

function bytesOf(table: Uint32Array): Uint8Array {
  const bytes = Buffer.alloc(table.length * wordBytes)
  let length = 0
  for (let at = 0; at < table.length; at += words) {
    if (!isFree(table, at)) {
      for (let word = 0; word < words; word++) {
        length = bytes.writeUInt32BE(table[at + word]!, length)
      }
    }
  }
  return bytes.subarray(0, length)
}

/** @returns where the key is, or the free slot where it belongs */
function find(table: Uint32Array, stride: number, key: BlockKey): number {
  const slots = table.length / stride
  // the first word of the key has chosen the part
  for (let slot = key[1] % slots; ; slot = (slot + 1) % slots) {
    const at = slot * stride
    if (isFree(table, at) || holds(table, at, key)) {
      return at
    }
  }
}

function grow(part: Part, stride: number): void {
  const { table } = part
  part.table = new Uint32Array(2 * table.length)
  for (let at = 0; at < table.length; at += stride) {
    if (!isFree(table, at)) {
      const key: BlockKey = [table[at]!, table[at + 1]!, table[at + 2]!, table[at + 3]!]
      part.table.set(table.subarray(at, at + stride), find(part.table, stride, key))
    }
  }
}

function isFree(table: Uint32Array, at: number): boolean {
  return table[at] === 0 && table[at + 1] === 0 && table[at + 2] === 0 && table[at + 3] === 0
}

function holds(table: Uint32Array, at: number, key: BlockKey): boolean {
  return table[at] === key[0] && table[at + 1] === key[1] && table[at + 2] === key[2] && table[at + 3] === key[3]
}

function isZero(key: BlockKey): boolean {
  return key[0] === 0 && key[1] === 0 && key[2] === 0 && key[3] === 0
}

function word(bytes: Uint8Array, at: number): number {
  return (
    (((bytes[at] ?? 0) << 24) | ((bytes[at + 1] ?? 0) << 16) | ((bytes[at + 2] ?? 0) << 8) | (bytes[at + 3] ?? 0)) >>> 0
  )
}
