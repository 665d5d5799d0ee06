import { equals } from 'multiformats/bytes'
import type { CID } from 'multiformats/cid'
import { hashBytes, leafCid } from '../dag/encode-node.ts'

/** What is known of a leaf; a hash is known too of one that could not be stored, or that was lost again */
const [unknown, hashed, stored] = [0, 1, 2] as const

/** Which leaves of a file are stored, and their hashes: 33 bytes for each */
export class LeafTable {
  readonly #hashes: Uint8Array
  readonly #known: Uint8Array
  #storedCount = 0

  constructor(count: number) {
    this.#known = new Uint8Array(count)
    this.#hashes = new Uint8Array(count * hashBytes)
  }

  get storedCount(): number {
    return this.#storedCount
  }

  has(leaf: number): boolean {
    return this.#known[leaf] === stored
  }

  /** Whether this is the hash that is known of a leaf */
  is(leaf: number, hash: Uint8Array): boolean {
    return equals(hash, this.#hashOf(leaf))
  }

  hash(leaf: number): Uint8Array {
    return this.#hashOf(leaf).slice()
  }

  cid(leaf: number): CID {
    return leafCid(this.hash(leaf))
  }

  /** CIDs of those that are stored */
  stored(): CID[] {
    return Array.from(this.#known.keys())
      .filter(leaf => this.has(leaf))
      .map(leaf => this.cid(leaf))
  }

  /** To be called when a leaf is hashed that may not be stored yet; one whose hash is known keeps it */
  hashed(leaf: number, hash: Uint8Array): void {
    if (this.#known[leaf] === unknown) {
      this.#hashes.set(hash, leaf * hashBytes)
      this.#note(leaf, hashed)
    }
  }

  /** @returns whether another hash of it was known before */
  store(leaf: number, hash: Uint8Array): boolean {
    const isOther = this.#known[leaf] !== unknown && !this.is(leaf, hash)
    this.#hashes.set(hash, leaf * hashBytes)
    this.#note(leaf, stored)
    return isOther
  }

  /** To be called when a leaf can't be read any more */
  lose(leaf: number): void {
    this.#note(leaf, hashed)
  }

  /** The hashes of those that are stored, one after the other; zeros for the others */
  save(): Uint8Array {
    const hashes = this.#hashes.slice()
    this.#known.forEach((known, leaf) => {
      if (known !== stored) {
        hashes.fill(0, leaf * hashBytes, (leaf + 1) * hashBytes)
      }
    })
    return hashes
  }

  /**
   * @param hashes of an earlier {@link save}
   * @throws RangeError where they are of another number of leaves
   */
  restore(hashes: Uint8Array): void {
    if (hashes.byteLength !== this.#hashes.byteLength) {
      throw new RangeError(`the state has ${hashes.byteLength / hashBytes} leaves instead of ${this.#known.length}`)
    }
    this.#hashes.set(hashes)
    this.#known.forEach((_, leaf) => {
      this.#note(leaf, this.#hashOf(leaf).some(byte => byte !== 0) ? stored : unknown)
    })
  }

  #note(leaf: number, known: number): void {
    this.#storedCount += Number(known === stored) - Number(this.has(leaf))
    this.#known[leaf] = known
  }

  #hashOf(leaf: number): Uint8Array {
    return this.#hashes.subarray(leaf * hashBytes, (leaf + 1) * hashBytes)
  }
}
