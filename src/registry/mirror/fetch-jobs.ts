import type { Logger } from '../../log.ts'
import type { Digest } from '../../oci/digest.ts'
import { OciError } from '../../oci/errors.ts'
import { isStorageFull } from '../errors.ts'
import type { BlobSource } from './blob-source.ts'
import { planFetch } from './fetch-plan.ts'
import type { FetchedLeaves } from './fetched-leaves.ts'
import { UpstreamError } from './upstream.ts'

export interface FetchJobsComponents {
  leaves: FetchedLeaves
  /** Called with the bytes of each leaf that is stored */
  onStored: (bytes: number) => void
  /** Called when a job has ended, or all leaves are here */
  onProgress: () => void
  /** Called where leaves can't be stored */
  onFull: (err: unknown) => void
  log: Logger
}

interface Source {
  source: BlobSource
  /** Fewer than the source takes, where it refused more */
  maxJobs: number
  hasDelivered: boolean
  failure: unknown
}

interface Job {
  from: number
  next: number
  source: Source
  stop: AbortController
  done: Promise<void>
}

/** What the sources of a blob are asked for, and which of them fail */
export class FetchJobs {
  readonly #components: FetchJobsComponents
  readonly #sources: Source[] = []
  readonly #jobs = new Set<Job>()

  constructor(components: FetchJobsComponents) {
    this.#components = components
  }

  add(sources: readonly BlobSource[]): void {
    for (const source of sources) {
      this.#sources.push({ source, maxJobs: Infinity, hasDelivered: false, failure: undefined })
    }
  }

  /**
   * Begins the jobs that are needed now
   *
   * @returns why nothing more comes; undefined where it does
   */
  plan(): unknown {
    const { leaves } = this.#components
    const source = this.#sources.find(({ failure }) => failure === undefined)
    if (source === undefined) {
      return this.#sources.at(-1)?.failure ?? unavailable(leaves.digest, 'no source has it')
    }
    const { leafCount, wanted } = leaves
    const has = (leaf: number): boolean => leaves.has(leaf)
    for (;;) {
      const maxJobs = Math.min(source.maxJobs, source.source.maxJobs)
      const { start, stop } = planFetch({ leafCount, has, wanted, maxJobs, jobs: [...this.#jobs] })
      stop?.stop.abort()
      if (start === undefined) {
        return undefined
      }
      this.#begin(source, start)
    }
  }

  /** Resolves when no job is under way */
  async stop(): Promise<void> {
    for (const { stop } of this.#jobs) {
      stop.abort()
    }
    await Promise.all(Array.from(this.#jobs, async ({ done }) => await done))
  }

  /**
   * Leaves out whoever delivered something, as the whole does not match its digest; an upstream only where no peer did,
   * which needs no log-in to lie
   */
  blame(): void {
    const { leaves, log } = this.#components
    const { digest } = leaves
    const delivered = this.#sources.filter(({ hasDelivered }) => hasDelivered)
    const peers = delivered.filter(({ source }) => source.kind === 'peer')
    for (const source of delivered) {
      source.hasDelivered = false
    }
    for (const source of peers.length > 0 ? peers : delivered) {
      const { name } = source.source
      source.source.blame?.()
      log.error('a source sent a blob that does not match its digest', { digest, source: name })
      source.failure = new UpstreamError(`${name} sent bytes that do not match ${digest}`, {
        upstream: name,
        reason: 'invalid',
      })
    }
  }

  #begin(source: Source, { from, to }: { from: number; to: number }): void {
    const job: Job = { from, next: from, source, stop: new AbortController(), done: Promise.resolve() }
    this.#jobs.add(job)
    job.done = this.#run(job, to)
  }

  /** Never rejects */
  async #run(job: Job, to: number): Promise<void> {
    const { leaves, onProgress } = this.#components
    const { digest, size } = leaves
    const { kind, name } = job.source.source
    const { signal } = job.stop
    try {
      await job.source.source.fetch({
        ...{ digest, size, from: job.from, to, signal },
        deliver: async (leaf, bytes) => {
          await this.#deliver(job, leaf, bytes)
        },
        arriving: (leaf, bytes) => {
          leaves.arrive(leaf, bytes, kind, job)
        },
      })
      if (job.next === job.from && !signal.aborted) {
        job.source.failure = unavailable(digest, `${name} delivers nothing`)
      }
    } catch (err) {
      if (!signal.aborted) {
        this.#failed(job, err)
      }
    } finally {
      this.#jobs.delete(job)
    }
    onProgress()
  }

  async #deliver(job: Job, leaf: number, bytes: Uint8Array): Promise<void> {
    const { leaves, onProgress, onStored } = this.#components
    job.next = Math.max(job.next, leaf + 1)
    job.source.hasDelivered = true
    if (await leaves.store(leaf, bytes, job.source.source.kind)) {
      onStored(bytes.byteLength)
    }
    const { next } = job
    // it has come to what is here, or comes by another job
    if (
      next === leaf + 1 &&
      (leaves.has(next) || [...this.#jobs].some(other => other !== job && other.from === next))
    ) {
      job.stop.abort()
    }
    if (leaves.isWhole) {
      onProgress()
    }
  }

  /** A source that fails is left out, unless it goes on with another request */
  #failed(job: Job, err: unknown): void {
    const { leaves, log, onFull } = this.#components
    const { source } = job
    if (isStorageFull(err)) {
      onFull(err)
      return
    }
    const others = [...this.#jobs].filter(other => other !== job && other.source === source).length
    if (others > 0 && err instanceof UpstreamError && err.reason !== 'invalid') {
      source.maxJobs = others
      return
    }
    source.failure = err
    if (!(err instanceof OciError)) {
      log.warn('a source of a blob fails', { digest: leaves.digest, source: source.source.name, err })
    }
  }
}

export function unavailable(digest: Digest, reason: string): OciError {
  return new OciError('UNAVAILABLE', { detail: { digest, reason } })
}
