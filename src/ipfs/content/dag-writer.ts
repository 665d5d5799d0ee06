import { CID } from 'multiformats/cid'
import { digestFrom, type Digest, type DigestAlgorithm } from '../../oci/digest.ts'
import type { Content, ContentWriter, WriterState } from '../content-store.ts'
import { blockKeys } from '../blocks/block-keys.ts'
import { copyToShared, type BufferPool } from '../blocks/buffer-pool.ts'
import type { Block } from '../blocks/block.ts'
import { buildFile, leafCid, leafSize, type FileLink } from '../dag/encode-node.ts'
import { DamagedBlockError } from '../errors.ts'
import { leavesInFlight } from './leaf-limits.ts'
import { requireVaried } from './require-varied.ts'
import type { FileHasher, Hasher } from '../hashing/hasher.ts'

export interface DagWriterComponents {
  put: (block: Block) => Promise<void>
  get: (cid: CID) => Promise<Uint8Array>
  /** For the leaves that are being filled, hashed or stored */
  buffers: Pick<BufferPool, 'take' | 'give'>
  hasher: Hasher
}

export interface DagWriterInit {
  /** What an earlier writer of the same file had stored */
  state?: WriterState | undefined
  /** Algorithm of the digest that {@link DagWriter.close} returns; undefined where none is wanted */
  digest?: DigestAlgorithm | undefined
}

/** Cuts a stream into leaves and stores each as soon as it is full */
export class DagWriter implements ContentWriter {
  readonly #components: DagWriterComponents
  /** CIDs of the full leaves, in order; undefined for a leaf that is not stored yet */
  readonly #leaves: Array<CID | undefined>
  readonly #inFlight = new Set<Promise<void>>()
  #buffer: Uint8Array | undefined
  #filled = 0
  /** The leaf in which the bytes of the buffer are stored; undefined while they are not */
  #tail: CID | undefined
  #tailSize = 0
  /** The nodes that are stored so far */
  readonly #nodes: CID[] = []
  /** Undefined where no digest is wanted, or can't be had because an earlier writer wrote the first leaves */
  readonly #algorithm: DigestAlgorithm | undefined
  readonly #hasher: FileHasher
  /** Digest of the file as it was at the last checkpoint */
  #digest: Digest | undefined
  #failure: unknown

  constructor(components: DagWriterComponents, { state = { size: 0, leaves: [] }, digest }: DagWriterInit = {}) {
    this.#components = components
    this.#algorithm = state.leaves.length === 0 ? digest : undefined
    this.#hasher = components.hasher.file(this.#algorithm)
    this.#leaves = state.leaves.map(leaf => CID.parse(leaf))
    this.#tail = state.tail === undefined ? undefined : CID.parse(state.tail)
    this.#tailSize = state.size - state.leaves.length * leafSize
  }

  get size(): number {
    return this.#leaves.length * leafSize + (this.#buffer === undefined ? this.#tailSize : this.#filled)
  }

  async write(chunk: Uint8Array): Promise<void> {
    for (let taken = 0; taken < chunk.byteLength; ) {
      this.#buffer ??= await this.#openBuffer()
      const buffer = this.#buffer
      const part = chunk.subarray(taken, taken + leafSize - this.#filled)
      copyToShared(part, buffer, this.#filled)
      this.#filled += part.byteLength
      taken += part.byteLength
      this.#tail = undefined
      if (this.#filled === leafSize) {
        this.#buffer = undefined
        this.#filled = 0
        this.#tailSize = 0
        await this.#storeLeaf(buffer)
      }
    }
  }

  stored(): WriterState {
    const pending = this.#leaves.indexOf(undefined)
    const leaves = this.#leaves.slice(0, pending === -1 ? undefined : pending).map(cid => `${cid}`)
    return { size: leaves.length * leafSize, leaves }
  }

  blocks(): string[] {
    return this.#cids().map(cid => cid.toString())
  }

  blockKeys(): Uint8Array {
    return blockKeys(this.#cids())
  }

  async checkpoint(): Promise<WriterState> {
    await this.#settle()
    if (this.#buffer !== undefined && this.#tail === undefined && this.#filled > 0) {
      this.#tail = await this.#storeTail(this.#buffer.subarray(0, this.#filled))
      this.#tailSize = this.#filled
    }
    // an upload that pauses keeps no buffer: the next write reads the tail again
    this.#giveBuffer()
    this.#filled = 0
    return { size: this.size, leaves: this.#fullLeaves().map(cid => cid.toString()), tail: this.#tail?.toString() }
  }

  async close(): Promise<Content & { digest: Digest | undefined }> {
    try {
      await this.checkpoint()
      const links: FileLink[] = this.#fullLeaves().map(cid => ({ cid, size: leafSize, dagSize: leafSize }))
      if (this.#tail !== undefined) {
        links.push({ cid: this.#tail, size: this.#tailSize, dagSize: this.#tailSize })
      } else if (links.length === 0) {
        this.#tail = await this.#storeTail(new Uint8Array())
        links.push({ cid: this.#tail, size: 0, dagSize: 0 })
      } else if (this.#algorithm !== undefined) {
        await this.#hashTail(new Uint8Array())
      }
      requireVaried(links)
      const file = await buildFile(links, async block => {
        await this.#components.put(block)
        this.#nodes.push(block.cid)
      })
      return { ...file, digest: this.#digest }
    } finally {
      this.discard()
    }
  }

  discard(): void {
    this.#hasher.discard()
    this.#giveBuffer()
  }

  #giveBuffer(): void {
    if (this.#buffer !== undefined) {
      this.#components.buffers.give(this.#buffer)
      this.#buffer = undefined
    }
  }

  async #openBuffer(): Promise<Uint8Array> {
    const tail = this.#tail === undefined ? undefined : await this.#components.get(this.#tail)
    // the buffer has bytes of another file, which would follow a tail that is too short
    if (tail !== undefined && tail.byteLength !== this.#tailSize) {
      throw new DamagedBlockError(`${String(this.#tail)} has ${tail.byteLength} bytes instead of ${this.#tailSize}`)
    }
    const buffer = this.#components.buffers.take()
    if (tail !== undefined) {
      buffer.set(tail)
    }
    this.#filled = this.#tailSize
    return buffer
  }

  async #storeLeaf(bytes: Uint8Array): Promise<void> {
    const position = this.#leaves.push(undefined) - 1
    const stored = this.#store(position, bytes)
    this.#inFlight.add(stored)
    void stored.finally(() => this.#inFlight.delete(stored))
    if (this.#inFlight.size >= leavesInFlight) {
      await Promise.race(this.#inFlight)
    }
    this.#throwFailure()
  }

  /** Never rejects: a failure is kept, and thrown by the next call of the writer */
  async #store(position: number, bytes: Uint8Array): Promise<void> {
    try {
      const cid = leafCid(await this.#hasher.leaf(bytes))
      await this.#components.put({ cid, bytes })
      this.#leaves[position] = cid
    } catch (err) {
      this.#failure ??= err
    } finally {
      this.#components.buffers.give(bytes)
    }
  }

  async #storeTail(bytes: Uint8Array): Promise<CID> {
    const cid = leafCid(await this.#hashTail(bytes))
    await this.#components.put({ cid, bytes })
    return cid
  }

  async #hashTail(bytes: Uint8Array): Promise<Uint8Array> {
    const { leaf, whole } = await this.#hasher.tail(bytes)
    if (this.#algorithm !== undefined) {
      this.#digest = digestFrom(this.#algorithm, Buffer.from(whole).toString('hex'))
    }
    return leaf
  }

  async #settle(): Promise<void> {
    await Promise.all(this.#inFlight)
    this.#throwFailure()
  }

  #throwFailure(): void {
    if (this.#failure !== undefined) {
      throw this.#failure
    }
  }

  #cids(): CID[] {
    return [...this.#fullLeaves(), ...(this.#tail === undefined ? [] : [this.#tail]), ...this.#nodes]
  }

  #fullLeaves(): CID[] {
    return this.#leaves.filter(leaf => leaf !== undefined)
  }
}
