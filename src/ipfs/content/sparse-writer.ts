import type { CID } from 'multiformats/cid'
import { digestFrom, type Digest, type DigestAlgorithm } from '../../oci/digest.ts'
import { blockKeys } from '../blocks/block-keys.ts'
import { copyToShared } from '../blocks/buffer-pool.ts'
import type { Content, SparseState, SparseWriter, SparseWriterInit } from '../content-store.ts'
import { buildFile, leafCid, leafSize, type FileLink } from '../dag/encode-node.ts'
import { DamagedBlockError, isMissingOrDamaged } from '../errors.ts'
import type { FileHasher } from '../hashing/hasher.ts'
import { LeafTable } from './leaf-table.ts'
import type { DagWriterComponents } from './dag-writer.ts'
import { requireVaried } from './require-varied.ts'

export interface DagSparseWriterComponents extends Omit<DagWriterComponents, 'get'> {
  /** @param into where the block may be read to */
  get: (cid: CID, into: Uint8Array) => Promise<Uint8Array>
}

/**
 * Writes a file whose leaves come in any order.
 *
 * The digest of the whole needs the bytes in order: a leaf that comes right after those that are hashed already is
 * hashed as it comes, any other is read again once its turn has come.
 */
export class DagSparseWriter implements SparseWriter {
  readonly size: number
  readonly leafCount: number
  readonly #components: DagSparseWriterComponents
  readonly #leaves: LeafTable
  /** The nodes that are stored so far */
  readonly #nodes: CID[] = []
  readonly #leafHasher: FileHasher
  #algorithm: DigestAlgorithm
  #whole: FileHasher
  /** Leaves that `#whole` has got, from the first on */
  #fed = 0
  /** Counts the times that the digest was begun anew */
  #round = 0
  #digest: Digest | undefined
  #feeding: Promise<void> | undefined
  /** The hashing of the last leaf, while it is under way */
  #ending: ReturnType<FileHasher['tail']> | undefined
  #failure: unknown
  #isDiscarded = false

  constructor(components: DagSparseWriterComponents, { size, digest, state }: SparseWriterInit) {
    this.#components = components
    this.size = size
    this.leafCount = Math.max(1, Math.ceil(size / leafSize))
    this.#algorithm = digest
    this.#leafHasher = components.hasher.file()
    this.#whole = components.hasher.file(digest)
    this.#leaves = new LeafTable(this.leafCount)
    if (state !== undefined) {
      this.#restore(state)
    }
  }

  get stored(): number {
    return this.#leaves.storedCount
  }

  has(leaf: number): boolean {
    return this.#leaves.has(leaf)
  }

  hash(leaf: number): Uint8Array | undefined {
    return this.has(leaf) ? this.#leaves.hash(leaf) : undefined
  }

  async write(leaf: number, bytes: Uint8Array): Promise<void> {
    this.#requireLength(leaf, bytes)
    if (bytes.buffer instanceof SharedArrayBuffer) {
      await this.#store(leaf, bytes)
      return
    }
    // a thread gets shared memory without a copy
    const buffer = this.#components.buffers.take()
    try {
      copyToShared(bytes, buffer, 0)
      await this.#store(leaf, buffer.subarray(0, bytes.byteLength))
    } finally {
      this.#components.buffers.give(buffer)
    }
  }

  async read(leaf: number, into?: Uint8Array): Promise<Uint8Array> {
    if (!this.has(leaf)) {
      throw new RangeError(`leaf ${leaf} is not here`)
    }
    const cid = this.#leaves.cid(leaf)
    try {
      const bytes = await this.#components.get(cid, into ?? new Uint8Array(leafSize))
      if (bytes.byteLength !== this.#lengthOf(leaf)) {
        throw new DamagedBlockError(`leaf ${leaf} has ${bytes.byteLength} bytes`)
      }
      return bytes
    } catch (err) {
      if (isMissingOrDamaged(err) && this.#leaves.is(leaf, cid.multihash.digest)) {
        this.#leaves.lose(leaf)
      }
      throw err
    }
  }

  state(): SparseState {
    return { size: this.size, leaves: this.#leaves.save() }
  }

  blocks(): string[] {
    return this.#cids().map(cid => cid.toString())
  }

  blockKeys(): Uint8Array {
    return blockKeys(this.#cids())
  }

  async close(algorithm: DigestAlgorithm): Promise<Content & { digest: Digest }> {
    if (algorithm !== this.#algorithm) {
      this.#algorithm = algorithm
      this.#startOver()
    }
    const digest = await this.#finishDigest()
    const links = this.#links()
    requireVaried(links)
    this.#nodes.length = 0
    const file = await buildFile(links, async block => {
      await this.#components.put(block)
      this.#nodes.push(block.cid)
    })
    return { ...file, digest }
  }

  discard(): void {
    this.#isDiscarded = true
    this.#leafHasher.discard()
    this.#whole.discard()
  }

  async #store(leaf: number, bytes: Uint8Array): Promise<void> {
    const hash = await this.#hash(leaf, bytes)
    await this.#components.put({ cid: leafCid(hash), bytes })
    await this.#note(leaf, hash)
  }

  /** Hashes a leaf, for the whole too where it is its turn; nothing is awaited before that is decided */
  async #hash(leaf: number, bytes: Uint8Array): Promise<Uint8Array> {
    if (leaf !== this.#fed || this.#feeding !== undefined || this.has(leaf)) {
      return await this.#leafHasher.leaf(bytes)
    }
    const hash = await this.#feed(leaf, bytes)
    this.#leaves.hashed(leaf, hash)
    return hash
  }

  async #feed(leaf: number, bytes: Uint8Array): Promise<Uint8Array> {
    const round = this.#round
    this.#fed = leaf + 1
    if (leaf < this.leafCount - 1) {
      return await this.#whole.leaf(bytes)
    }
    const ending = this.#whole.tail(bytes)
    this.#ending = ending
    const hashes = await ending.finally(() => {
      this.#ending = undefined
    })
    if (round === this.#round) {
      this.#digest = digestFrom(this.#algorithm, Buffer.from(hashes.whole).toString('hex'))
    }
    return hashes.leaf
  }

  async #note(leaf: number, hash: Uint8Array): Promise<void> {
    if (this.#leaves.store(leaf, hash) && leaf < this.#fed) {
      this.#startOver()
    }
    this.#feedStored()
  }

  #startOver(): void {
    this.#round++
    this.#fed = 0
    this.#digest = undefined
    this.#whole.discard()
    this.#whole = this.#components.hasher.file(this.#algorithm)
  }

  /** Has the whole hashed as far as it is stored, in the background */
  #feedStored(): void {
    if (this.#feeding === undefined && this.has(this.#fed) && !this.#isDiscarded) {
      this.#failure = undefined
      this.#feeding = this.#readAndFeed()
        .catch((err: unknown) => {
          this.#failure = err
        })
        .finally(() => {
          this.#feeding = undefined
        })
    }
  }

  async #readAndFeed(): Promise<void> {
    const buffer = this.#components.buffers.take()
    try {
      while (this.has(this.#fed) && !this.#isDiscarded) {
        const [leaf, round] = [this.#fed, this.#round]
        const bytes = await this.read(leaf, buffer)
        if (round === this.#round && !this.#leaves.is(leaf, await this.#feed(leaf, bytes))) {
          // another one was stored meanwhile
          this.#startOver()
        }
      }
    } finally {
      this.#components.buffers.give(buffer)
    }
  }

  /** @throws where a leaf can't be read any more; it is not here then */
  async #finishDigest(): Promise<Digest> {
    while (this.#digest === undefined) {
      if (this.#isDiscarded || this.stored < this.leafCount) {
        throw this.#failure ?? new RangeError('a leaf is not here')
      }
      if (!this.has(this.#fed) && this.#ending === undefined) {
        // the last leaf could not be hashed
        this.#startOver()
      }
      this.#feedStored()
      await (this.#feeding ?? this.#ending)
      if (this.#failure !== undefined) {
        throw this.#failure
      }
    }
    return this.#digest
  }

  #restore({ size, leaves }: SparseState): void {
    if (size !== this.size) {
      throw new RangeError(`the state is of a file of ${size} bytes`)
    }
    this.#leaves.restore(leaves)
    this.#feedStored()
  }

  #requireLength(leaf: number, { byteLength }: Uint8Array): void {
    if (byteLength !== this.#lengthOf(leaf)) {
      throw new RangeError(`leaf ${leaf} of ${this.leafCount} can't have ${byteLength} bytes`)
    }
  }

  /** @returns NaN where there is no such leaf */
  #lengthOf(leaf: number): number {
    return leaf >= 0 && leaf < this.leafCount ? Math.min(leafSize, this.size - leaf * leafSize) : Number.NaN
  }

  #links(): FileLink[] {
    return Array.from({ length: this.leafCount }, (_, leaf) => {
      const size = this.#lengthOf(leaf)
      return { cid: this.#leaves.cid(leaf), size, dagSize: size }
    })
  }

  #cids(): CID[] {
    return [...this.#leaves.stored(), ...this.#nodes]
  }
}
