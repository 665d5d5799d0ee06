import { equals } from 'multiformats/bytes'
import { raceSignal } from 'race-signal'
import type { BufferPool } from '../../../ipfs/blocks/buffer-pool.ts'
import type { Content, ContentStore, SparseState, SparseWriter } from '../../../ipfs/content-store.ts'
import { hashBytes } from '../../../ipfs/dag/encode-node.ts'
import { isMissingOrDamaged } from '../../../ipfs/errors.ts'
import { algorithmOf, type Digest } from '../../../oci/digest.ts'
import { toOciError } from '../../errors.ts'
import type { SourceKind } from '../../repository.ts'
import type { ComingLeaves } from './read-fetch.ts'

export interface FetchedLeavesComponents {
  content: Pick<ContentStore, 'sparseWriter'>
  /** Of leaves */
  buffers: BufferPool
  /** Called when a client waits for another leaf, or one has to come again */
  onWanted: () => void
  /** Called with each leaf that is stored */
  onStored: (leaf: number, kind: SourceKind) => void
}

export interface FetchedLeavesInit {
  digest: Digest
  /** Bytes */
  size: number
  /** What was stored before a restart */
  saved: SparseState | undefined
}

/** Bytes, by where they came from */
export type CameFrom = Partial<Record<SourceKind, number>>

/** How much of a blob is here; bytes */
export interface FetchProgress {
  size: number
  here: number
  /** What came since the start of the server, by where it came from */
  came: CameFrom
}

/** The leaves of a blob that is on its way: which are here, which come, and who waits for them */
export class FetchedLeaves implements ComingLeaves {
  readonly digest: Digest
  readonly size: number
  readonly leafSize: number
  round = 0
  readonly #components: FetchedLeavesComponents
  #writer: SparseWriter
  readonly #wanted = new Map<object, { leaf: number; since: number }>()
  readonly #waiting = new Map<number, PromiseWithResolvers<void>>()
  /** Each with the job that it comes by */
  readonly #arriving = new Map<number, { bytes: Uint8Array; kind: SourceKind; job: object }>()
  /** Of those that came since the start */
  readonly #kinds = new Map<number, SourceKind>()
  /** Hashes of those that could not be read again */
  readonly #lost = new Map<number, Uint8Array>()
  #isVerified = false
  #failure: { err: unknown } | undefined

  constructor(components: FetchedLeavesComponents, { digest, size, saved }: FetchedLeavesInit) {
    this.#components = components
    this.digest = digest
    this.size = size
    this.leafSize = components.buffers.size
    this.#writer = this.#begin(saved)
  }

  get leafCount(): number {
    return this.#writer.leafCount
  }

  /** How many are stored */
  get stored(): number {
    return this.#writer.stored
  }

  get progress(): FetchProgress {
    const last = this.leafCount - 1
    const here = this.stored * this.leafSize - (this.has(last) ? this.leafSize - this.lengthOf(last) : 0)
    const came: CameFrom = {}
    for (const [leaf, kind] of this.#kinds) {
      came[kind] = (came[kind] ?? 0) + this.lengthOf(leaf)
    }
    return { size: this.size, here, came }
  }

  get isWhole(): boolean {
    return this.stored === this.leafCount
  }

  /** Whether all were compared with the digest */
  get isVerified(): boolean {
    return this.#isVerified
  }

  /** Those that clients wait for */
  get wanted(): number[] {
    return Array.from(this.#wanted.values(), ({ leaf }) => leaf)
  }

  /** Milliseconds that clients have waited for each of them; the longest time counts */
  waits(): Map<number, number> {
    const now = performance.now()
    // those who wait longest come last
    return new Map(Array.from(this.#wanted.values(), ({ leaf, since }) => [leaf, now - since] as const).reverse())
  }

  get buffers(): BufferPool {
    return this.#components.buffers
  }

  has(leaf: number): boolean {
    return this.#writer.has(leaf)
  }

  blocks(): string[] {
    return this.#writer.blocks()
  }

  blockKeys(): Uint8Array {
    return this.#writer.blockKeys()
  }

  /** SHA-256 of at most so many from one on, zeros for one that is not stored */
  hashes(from: number, count: number): Uint8Array {
    const hashes = new Uint8Array(Math.min(count, this.leafCount - from) * hashBytes)
    for (let at = 0; at < hashes.byteLength; at += hashBytes) {
      hashes.set(this.hashOf(from + at / hashBytes) ?? [], at)
    }
    return hashes
  }

  /** SHA-256 of a leaf; undefined where it is not stored */
  hashOf(leaf: number): Uint8Array | undefined {
    return this.#writer.hash(leaf)
  }

  /** Bytes of a leaf */
  lengthOf(leaf: number): number {
    return Math.min(this.leafSize, this.size - leaf * this.leafSize)
  }

  /** Stores a leaf, if it is not here yet */
  async store(leaf: number, bytes: Uint8Array, kind: SourceKind): Promise<void> {
    const isNew = !this.has(leaf)
    if (isNew) {
      await this.#writer.write(leaf, bytes)
      this.#kinds.set(leaf, kind)
      const lost = this.#lost.get(leaf)
      this.#lost.delete(leaf)
      if (lost !== undefined && !equals(lost, this.hashOf(leaf) ?? lost)) {
        this.#nextRound()
      }
    }
    this.#arriving.delete(leaf)
    this.#wake(leaf)
    if (isNew) {
      this.#components.onStored(leaf, kind)
    }
  }

  /** @param bytes what has come of a leaf; undefined: the rest of it does not come by this job */
  arrive(leaf: number, bytes: Uint8Array | undefined, kind: SourceKind, job: object): void {
    if (bytes !== undefined && !this.has(leaf)) {
      this.#arriving.set(leaf, { bytes, kind, job })
      this.#wake(leaf)
    } else if (this.#arriving.get(leaf)?.job === job) {
      this.#arriving.delete(leaf)
    }
  }

  /**
   * Compares all of them with the digest
   *
   * @returns undefined where they do not match: they are forgotten then
   * @throws where one can't be read any more: it is missing then
   */
  async close(): Promise<Content | undefined> {
    const file = await this.#writer.close(algorithmOf(this.digest))
    if (file.digest === this.digest) {
      this.#isVerified = true
      this.#wakeAll()
      return file
    }
    this.#writer.discard()
    this.#writer = this.#begin(undefined)
    this.#lost.clear()
    this.#kinds.clear()
    this.#nextRound()
    return undefined
  }

  /** Whoever waits gets the error; what was compared with the digest can still be read */
  fail(err: unknown): void {
    this.#failure = this.#isVerified ? undefined : { err }
    this.#wakeAll()
  }

  /** To be called when nothing more comes */
  discard(): void {
    this.#writer.discard()
  }

  requireComing(): void {
    if (this.#failure !== undefined) {
      throw this.#failure.err
    }
  }

  isReady(leaf: number): boolean {
    return this.has(leaf) && (leaf < this.leafCount - 1 || this.#isVerified)
  }

  async readLeaf(leaf: number, into: Uint8Array): Promise<Uint8Array | undefined> {
    const writer = this.#writer
    const hash = writer.hash(leaf)
    try {
      return await writer.read(leaf, into)
    } catch (err) {
      if (writer !== this.#writer || hash === undefined) {
        return undefined
      }
      if (!isMissingOrDamaged(err) || this.#isVerified) {
        throw toOciError(err)
      }
      if (!this.#lost.has(leaf)) {
        this.#lost.set(leaf, hash)
      }
      return undefined
    }
  }

  arriving(leaf: number): { bytes: Uint8Array; kind: SourceKind } | undefined {
    return this.#arriving.get(leaf)
  }

  kindOf(leaf: number): SourceKind {
    return this.#kinds.get(leaf) ?? 'disk'
  }

  async wait(leaf: number, signal: AbortSignal | undefined): Promise<void> {
    const client = {}
    const waiting = this.#waiting.get(leaf) ?? Promise.withResolvers<void>()
    this.#waiting.set(leaf, waiting)
    this.#wanted.set(client, { leaf, since: performance.now() })
    try {
      this.#components.onWanted()
      await raceSignal(waiting.promise, signal)
    } finally {
      this.#wanted.delete(client)
    }
  }

  #begin(state: SparseState | undefined): SparseWriter {
    const { digest, size } = this
    return this.#components.content.sparseWriter({ size, digest: algorithmOf(digest), state })
  }

  #nextRound(): void {
    this.round++
    this.#wakeAll()
  }

  #wake(leaf: number): void {
    this.#waiting.get(leaf)?.resolve()
    this.#waiting.delete(leaf)
  }

  #wakeAll(): void {
    for (const leaf of this.#waiting.keys()) {
      this.#wake(leaf)
    }
  }
}
