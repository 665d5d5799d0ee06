/**
 * A compact set of blocks: 16 bytes of each multihash's digest, by open addressing in typed arrays. Two blocks that have these 16 bytes in
 * common count as one, so "in the set" may be wrong for one block in 2^128, and "not in the set" never is.
 *
 * It is cut into parts, each a table of its own: one that grows is small, and holds up the event loop for a moment only.
 */

/** 32-bit words of a key */
const words = 4
const wordBytes = 4
/** Slots of which the keys are given away together */
const atATime = 4096
const parts = 256
const initialSlots = 8
/** A table grows when it is fuller than this */
const maxLoad = 0.7

/** The first 16 bytes of a digest, as four numbers */
export type BlockKey = readonly [number, number, number, number]

interface Part {
  /** The key and the values of each slot; a key of zeros: free */
  table: Uint32Array
  used: number
}

/** @param digest the digest of a multihash, of any length */
export function blockKey(digest: Uint8Array): BlockKey {
  return [word(digest, 0), word(digest, 4), word(digest, 8), word(digest, 12)]
}

/** Keys, and with each some numbers. The key of zeros has no place in it: it would look like a free slot. */
class BlockTable {
  readonly #stride: number
  readonly #parts: Array<Part | undefined> = Array.from({ length: parts })

  /** @param values numbers of 32 bits with each key */
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

  /** @returns the values of the key; undefined where it is not there */
  get(key: BlockKey): Uint32Array | undefined {
    const part = this.#parts[key[0] % parts]
    const slot = part === undefined ? 0 : find(part.table, this.#stride, key)
    return part !== undefined && holds(part.table, slot, key) && !isZero(key)
      ? part.table.subarray(slot + words, slot + this.#stride)
      : undefined
  }

  /** With their free slots */
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

  /** All keys as the bytes that they were made of, some thousands at a time; nothing may be added meanwhile */
  *bytes(): Generator<Uint8Array> {
    if (this.#hasZero) {
      yield new Uint8Array(words * wordBytes)
    }
    for (const table of this.#table.tables()) {
      for (let at = 0; at < table.length; at += atATime * words) {
        yield bytesOf(table.subarray(at, at + atATime * words))
      }
    }
  }
}

/** Two numbers for each of a set of blocks: an exact one, and one of 32 bits */
export class BlockMap {
  readonly #table = new BlockTable(3)

  /** A digest that begins with 16 zeros is not kept: nobody has made one yet */
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
  // the first word chose the part
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
