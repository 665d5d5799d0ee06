import { copyToShared, type BufferPool } from '../../../ipfs/blocks/buffer-pool.ts'
import { OciError } from '../../../oci/errors.ts'
import type { SourceKind } from '../../repository.ts'

/** Leaves of a blob that are here, or come */
export interface ComingLeaves {
  readonly leafCount: number
  readonly leafSize: number
  /** Of leaves */
  readonly buffers: BufferPool
  /** Counts how many times bytes that may have been read turned out to be wrong */
  readonly round: number
  /** @throws why the blob will not come */
  requireComing: () => void
  /** Whether a leaf can be read; the last one only once all of them were compared with the digest */
  isReady: (leaf: number) => boolean
  /** @returns undefined where it could not be read after all, and comes again */
  readLeaf: (leaf: number, into: Uint8Array) => Promise<Uint8Array | undefined>
  /** What has come of a leaf that is not here yet */
  arriving: (leaf: number) => { bytes: Uint8Array; kind: SourceKind } | undefined
  /** Where a leaf came from */
  kindOf: (leaf: number) => SourceKind
  /** Resolves when something has changed about the leaf, and has it asked for */
  wait: (leaf: number, signal: AbortSignal | undefined) => Promise<void>
}

export interface ReadFetchOptions {
  start: number
  /** Included */
  end: number
  signal?: AbortSignal | undefined
  /** Told before each chunk where its bytes came from: `disk` if they were here when they were asked for */
  onSource?: ((kind: SourceKind, bytes: number) => void) | undefined
}

/** Reads a blob, or a part of it, while it comes. A chunk may be overwritten once the next one is asked for. */
export async function* readFetch(leaves: ComingLeaves, options: ReadFetchOptions): AsyncGenerator<Uint8Array> {
  const { start, end, onSource, signal } = options
  const reader = new FetchReader(leaves)
  try {
    let at = start
    while (at <= end) {
      const chunk = await reader.next(at, end, signal)
      at += chunk.bytes.byteLength
      onSource?.(chunk.kind, chunk.bytes.byteLength)
      yield chunk.bytes
    }
    if (start > end) {
      await reader.untilReady(0, signal)
    }
  } finally {
    reader.end()
  }
}

class FetchReader {
  readonly #leaves: ComingLeaves
  readonly #whole: Uint8Array
  /** What was passed on of the leaf before it was whole */
  readonly #early: Uint8Array
  #earlyStart = 0
  #earlyEnd = 0
  #leaf = -1
  #waited = false
  #hasBegun = false
  #round: number

  constructor(leaves: ComingLeaves) {
    this.#leaves = leaves
    this.#whole = leaves.buffers.take()
    this.#early = leaves.buffers.take()
    this.#round = leaves.round
  }

  end(): void {
    this.#leaves.buffers.give(this.#whole)
    this.#leaves.buffers.give(this.#early)
  }

  /** @returns the bytes from `at` on, up to the end of a leaf at most */
  async next(
    at: number,
    end: number,
    signal: AbortSignal | undefined,
  ): Promise<{ bytes: Uint8Array; kind: SourceKind }> {
    const { leafSize } = this.#leaves
    const leaf = Math.floor(at / leafSize)
    const [from, to] = [at - leaf * leafSize, Math.min(leafSize, end + 1 - leaf * leafSize)]
    this.#enter(leaf, from)
    for (;;) {
      signal?.throwIfAborted()
      this.#requireSame()
      if (this.#leaves.isReady(leaf)) {
        const bytes = await this.#leaves.readLeaf(leaf, this.#whole)
        this.#requireSame()
        if (bytes !== undefined) {
          this.#requireAsBefore(bytes)
          this.#hasBegun = true
          return { bytes: bytes.subarray(from, to), kind: this.#waited ? this.#leaves.kindOf(leaf) : 'disk' }
        }
      }
      const early = this.#takeEarly(leaf, from, to)
      if (early !== undefined) {
        return early
      }
      this.#waited = true
      await this.#leaves.wait(leaf, signal)
    }
  }

  async untilReady(leaf: number, signal: AbortSignal | undefined): Promise<void> {
    while (!this.#leaves.isReady(leaf)) {
      this.#requireSame()
      await this.#leaves.wait(leaf, signal)
    }
  }

  #enter(leaf: number, from: number): void {
    if (leaf !== this.#leaf) {
      this.#leaf = leaf
      this.#waited = false
      this.#earlyStart = from
      this.#earlyEnd = from
    }
  }

  /** Of the last leaf nothing is passed on before the whole was compared with the digest */
  #takeEarly(leaf: number, from: number, to: number): { bytes: Uint8Array; kind: SourceKind } | undefined {
    const piece = leaf < this.#leaves.leafCount - 1 ? this.#leaves.arriving(leaf) : undefined
    const length = Math.min(to, piece?.bytes.byteLength ?? 0)
    if (piece === undefined || length <= from) {
      return undefined
    }
    copyToShared(piece.bytes.subarray(from, length), this.#early, from)
    this.#earlyEnd = length
    this.#waited = true
    this.#hasBegun = true
    return { bytes: this.#early.subarray(from, length), kind: piece.kind }
  }

  /** The leaf may have come from somewhere else than its first bytes */
  #requireAsBefore(bytes: Uint8Array): void {
    const [start, end] = [this.#earlyStart, this.#earlyEnd]
    if (Buffer.compare(this.#early.subarray(start, end), bytes.subarray(start, end)) !== 0) {
      throw changed()
    }
  }

  #requireSame(): void {
    this.#leaves.requireComing()
    if (this.#round !== this.#leaves.round) {
      if (this.#hasBegun) {
        throw changed()
      }
      this.#round = this.#leaves.round
    }
  }
}

function changed(): OciError {
  return new OciError('UNAVAILABLE', { detail: { reason: 'what was sent so far does not match the digest' } })
}
