import { setTimeout as sleep } from 'node:timers/promises'
import { copyToShared, type BufferPool } from '../../../ipfs/blocks/buffer-pool.ts'
import type { Digest } from '../../../oci/digest.ts'
import { OciError } from '../../../oci/errors.ts'
import type { BlobSource, FetchJob } from './blob-source.ts'
import { UpstreamError, type Upstream, type UpstreamBody } from '../../upstream.ts'

/** Requests for a blob at a time, where clients wait for bytes that are far apart */
const maxRequests = 3
/** Leaves of a job that are hashed or stored while the next one comes */
const leavesInFlight = 3
/** How many times a request is made again from where the last one broke, if nothing has come in between */
const attempts = 5
/** Milliseconds before the first of them; each time twice as long */
const firstPause = 200
/** An upstream that asks to come back later than this is not waited for; seconds */
const longestWait = 10

export interface UpstreamSourceComponents {
  upstream: Upstream
  /** Of leaves */
  buffers: BufferPool
}

/** A blob of another registry */
export class UpstreamSource implements BlobSource {
  readonly #components: UpstreamSourceComponents
  readonly #repository: string
  #ignoresRanges = false

  /** @param init.repository as the upstream names it */
  constructor(components: UpstreamSourceComponents, { repository }: { repository: string }) {
    this.#components = components
    this.#repository = repository
  }

  get name(): string {
    return this.#components.upstream.name
  }

  get maxJobs(): number {
    return this.#ignoresRanges ? 1 : maxRequests
  }

  async fetch(job: FetchJob): Promise<void> {
    const leaves = new ArrivingLeaves(this.#components.buffers, job)
    try {
      let failures = 0
      while (!leaves.isWhole) {
        const before = leaves.position
        try {
          await this.#request(job, leaves)
        } catch (err) {
          failures = leaves.position > before ? 1 : failures + 1
          await leaves.settle()
          await this.#pause(err, failures, job.signal)
        }
      }
      await leaves.settle()
    } finally {
      await leaves.stop()
    }
  }

  /** Waits before the next attempt; throws the error of the last one where there is none */
  async #pause(err: unknown, failures: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    const { reason, retryAfter = 0 } = err as Partial<UpstreamError>
    const isPassing = err instanceof UpstreamError && (reason === 'unreachable' || reason === 'throttled')
    if (!isPassing || failures >= attempts || retryAfter > longestWait) {
      throw err
    }
    await sleep(Math.max(retryAfter * 1000, firstPause * 2 ** (failures - 1)), undefined, { signal, ref: false })
  }

  async #request({ digest, signal, size }: FetchJob, leaves: ArrivingLeaves): Promise<void> {
    const { position: start, end } = leaves
    const range = start === 0 && end === size ? {} : { start, end: end - 1 }
    const body = await this.#components.upstream.blob(this.#repository, digest, { signal, ...range })
    if (body === undefined) {
      throw new OciError('BLOB_UNKNOWN', { detail: { digest, upstream: this.name } })
    }
    let skipped = this.#requireRightBody(digest, body, start, size)
    for await (const chunk of body.bytes) {
      signal.throwIfAborted()
      const taken = chunk.subarray(skipped)
      skipped -= chunk.byteLength - taken.byteLength
      await leaves.add(taken)
      if (leaves.isWhole) {
        return
      }
    }
    if (!leaves.isWhole) {
      throw this.#failed('unreachable', `${this.name} broke off in the middle of ${digest}`)
    }
  }

  /** @returns bytes that come before those that are wanted */
  #requireRightBody(digest: Digest, body: UpstreamBody, start: number, size: number): number {
    if (body.start > start || (body.size !== undefined && body.size !== size)) {
      const has = body.size === undefined ? `begins at ${body.start} instead of ${start}` : `has ${body.size} bytes`
      throw this.#failed('invalid', `${digest} ${has} at ${this.name}, and should have ${size}`)
    }
    this.#ignoresRanges ||= body.start < start
    return start - body.start
  }

  #failed(reason: UpstreamError['reason'], message: string): UpstreamError {
    return new UpstreamError(message, { upstream: this.name, reason })
  }
}

/** The leaves of a job while they come, the last of which stays half filled where a request breaks off */
class ArrivingLeaves {
  readonly #buffers: BufferPool
  readonly #job: FetchJob
  readonly #inFlight = new Set<Promise<void>>()
  readonly #leafSize: number
  /** The next byte that is wanted */
  position: number
  /** The byte after the last one that is wanted */
  readonly end: number
  #buffer: Uint8Array | undefined
  #failure: { err: unknown } | undefined

  constructor(buffers: BufferPool, job: FetchJob) {
    this.#buffers = buffers
    this.#job = job
    this.#leafSize = buffers.size
    this.position = job.from * buffers.size
    this.end = Math.min(job.size, job.to * buffers.size)
    if (job.size === 0) {
      // an empty blob is one empty leaf, for which nothing has to come
      this.#deliver(0, this.#buffers.take(), 0)
    }
  }

  get isWhole(): boolean {
    return this.position >= this.end
  }

  /** Takes as much of the chunk as is wanted */
  async add(chunk: Uint8Array): Promise<void> {
    for (let taken = 0; taken < chunk.byteLength && !this.isWhole; ) {
      const leaf = Math.floor(this.position / this.#leafSize)
      const filled = this.position % this.#leafSize
      const full = Math.min(this.#leafSize, this.end - leaf * this.#leafSize)
      this.#buffer ??= this.#buffers.take()
      const buffer = this.#buffer
      const part = chunk.subarray(taken, taken + full - filled)
      copyToShared(part, buffer, filled)
      taken += part.byteLength
      this.position += part.byteLength
      if (filled + part.byteLength < full) {
        this.#job.arriving?.(leaf, buffer.subarray(0, filled + part.byteLength))
        return
      }
      this.#buffer = undefined
      this.#deliver(leaf, buffer, full)
      if (this.#inFlight.size >= leavesInFlight) {
        await Promise.race(this.#inFlight)
      }
      this.#throwFailure()
    }
  }

  /** @throws what a delivery threw */
  async settle(): Promise<void> {
    await Promise.all(this.#inFlight)
    this.#throwFailure()
  }

  /** Gives back all buffers */
  async stop(): Promise<void> {
    await Promise.all(this.#inFlight)
    if (this.#buffer !== undefined) {
      this.#job.arriving?.(Math.floor(this.position / this.#leafSize), undefined)
      this.#buffers.give(this.#buffer)
      this.#buffer = undefined
    }
  }

  #deliver(leaf: number, buffer: Uint8Array, length: number): void {
    const delivered = this.#job
      .deliver(leaf, buffer.subarray(0, length))
      .catch((err: unknown) => {
        this.#failure ??= { err }
      })
      .finally(() => {
        this.#buffers.give(buffer)
        this.#inFlight.delete(delivered)
      })
    this.#inFlight.add(delivered)
  }

  #throwFailure(): void {
    if (this.#failure !== undefined) {
      throw this.#failure.err
    }
  }
}
