import type { LeafRange } from '../../../ipfs/digests/digest-messages.ts'
import type { Logger } from '../../../log.ts'
import { OciError } from '../../../oci/errors.ts'
import { isStorageFull } from '../../errors.ts'
import type { BlobSource } from './blob-source.ts'
import { unavailable } from './fetch-errors.ts'
import { endsBefore, isIn, planFetch, segmentEnd } from './fetch-plan.ts'
import type { FetchedLeaves } from './fetched-leaves.ts'
import { MovingAverage } from './moving-average.ts'
import { UpstreamError } from '../../upstream.ts'

/**
 * How long a leaf may take that another appliance fetches from upstream: so many times what it takes us, or what an
 * answer takes of those that fetch the same, and at least so many milliseconds
 */
const patience = { leaves: 10, answers: 3, least: 5000 }

/** A job without a leaf for so many milliseconds, or so many times the usual time of one, stands still */
const stalled = { least: 1000, times: 4 }

export interface FetchJobsComponents {
  leaves: FetchedLeaves
  /** What comes from peers, as far as is known now */
  coverage: () => Coverage
  /** Milliseconds that peers took lately to say what they have */
  answerTime: () => number
  /** Called when a job has ended, or all leaves are here */
  onProgress: () => void
  /** Called where leaves can't be stored */
  onFull: (err: unknown) => void
  log: Logger
}

/** What comes from peers */
export interface Coverage {
  /** Whether a leaf comes from a peer, or is about to get to one */
  comes: (leaf: number) => boolean
  /** How many others are to ask upstream for a leaf before this appliance does */
  before: (leaf: number) => number
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
  /** The first leaf of it that is not stored */
  missing: number
  next: number
  to: number
  /** When its last leaf came, or it began; milliseconds */
  last: number
  source: Source
  stop: AbortController
  done: Promise<void>
}

/** What the sources of a blob are asked for, and which of them fail */
export class FetchJobs {
  readonly #components: FetchJobsComponents
  readonly #sources: Source[] = []
  readonly #jobs = new Set<Job>()
  readonly #leafTime = new MovingAverage()
  /** How long nothing was asked for, although something is missing that nobody fetches; milliseconds */
  #idle = 0
  #idleSince: number | undefined

  constructor(components: FetchJobsComponents) {
    this.#components = components
  }

  add(sources: readonly BlobSource[]): void {
    for (const source of sources) {
      this.#sources.push({ source, maxJobs: Infinity, hasDelivered: false, failure: undefined })
    }
  }

  /** Whether no source is left */
  get hasFailed(): boolean {
    return this.#sources.every(({ failure }) => failure !== undefined)
  }

  /** Milliseconds that a leaf takes; undefined: not known, or no source is left */
  get leafTime(): number | undefined {
    return this.hasFailed ? undefined : this.#leafTime.value
  }

  /** How long a leaf may take that another appliance fetches; milliseconds */
  get patience(): number {
    const { answers, least, leaves } = patience
    return Math.max(least, leaves * (this.#leafTime.value ?? 0), answers * this.#components.answerTime())
  }

  /** What comes soon, and need not be fetched by others: to the end of a segment each */
  get claims(): LeafRange[] {
    return Array.from(this.#jobs, job => this.#comingOf(job)).filter(({ from, to }) => from < to)
  }

  /** What comes soon, by jobs that do not stand still */
  get coming(): LeafRange[] {
    const before = performance.now() - Math.max(stalled.least, stalled.times * (this.#leafTime.value ?? 0))
    return [...this.#jobs].filter(({ last }) => last > before).map(job => this.#comingOf(job))
  }

  /** Leaves to others what they fetch too */
  leave(claims: readonly LeafRange[]): void {
    for (const { next, stop } of this.#jobs) {
      if (isIn(next, claims)) {
        stop.abort()
      }
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
    const [has, isCovered] = [(leaf: number): boolean => leaves.has(leaf), this.#isCovered()]
    for (;;) {
      const maxJobs = Math.min(source.maxJobs, source.source.maxJobs)
      const { start, stop } = planFetch({ leafCount, has, isCovered, wanted, maxJobs, jobs: [...this.#jobs] })
      stop?.stop.abort()
      if (start === undefined) {
        this.#noteIdle()
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

  /** Leaves out whoever delivered something, as the whole does not match its digest */
  blame(): void {
    const { leaves, log } = this.#components
    const { digest } = leaves
    for (const source of this.#sources.filter(({ hasDelivered }) => hasDelivered)) {
      const { name } = source.source
      source.hasDelivered = false
      log.error('a source sent a blob that does not match its digest', { digest, source: name })
      source.failure = new UpstreamError(`${name} sent bytes that do not match ${digest}`, {
        upstream: name,
        reason: 'invalid',
      })
    }
  }

  /**
   * Tells of each leaf whether it is not to be asked for here: it comes, or it is the turn of another appliance. Each
   * time that our patience with these has run out, for what a client waits for or because there is nothing else to do,
   * we count as one further ahead: if all of them deliver nothing, everything is ours after so many times.
   */
  #isCovered(): (leaf: number) => boolean {
    const { coverage, leaves } = this.#components
    const [{ before, comes }, waits, patience] = [coverage(), leaves.waits(), this.patience]
    return leaf => comes(leaf) || before(leaf) > Math.floor(Math.max(this.#idle, waits.get(leaf) ?? 0) / patience)
  }

  /** To be called when there is nothing to ask for */
  #noteIdle(): void {
    const now = performance.now()
    this.#idle += now - (this.#idleSince ?? now)
    this.#idleSince = this.#jobs.size === 0 && this.#needsLeaf() ? now : undefined
  }

  /** Whether a leaf is missing that comes from nowhere */
  #needsLeaf(): boolean {
    const { coverage, leaves } = this.#components
    const { comes } = coverage()
    for (let leaf = 0; leaf < leaves.leafCount; leaf++) {
      if (!leaves.has(leaf) && !comes(leaf)) {
        return true
      }
    }
    return false
  }

  /** What a job delivers next, and what it has delivered that is not stored yet */
  #comingOf(job: Job): LeafRange {
    while (job.missing < job.next && this.#components.leaves.has(job.missing)) {
      job.missing++
    }
    return { from: job.missing, to: Math.min(job.to, segmentEnd(job.next)) }
  }

  #begin(source: Source, { from, to }: { from: number; to: number }): void {
    const [stop, last] = [new AbortController(), performance.now()]
    this.#idleSince = undefined
    const job: Job = { from, missing: from, next: from, to, last, source, stop, done: Promise.resolve() }
    this.#jobs.add(job)
    job.done = this.#run(job)
  }

  /** Never rejects */
  async #run(job: Job): Promise<void> {
    const { leaves, onProgress } = this.#components
    const { digest, size } = leaves
    const { name } = job.source.source
    const { signal } = job.stop
    try {
      await job.source.source.fetch({
        ...{ digest, size, from: job.from, to: job.to, signal },
        deliver: async (leaf, bytes) => {
          await this.#deliver(job, leaf, bytes)
        },
        arriving: (leaf, bytes) => {
          leaves.arrive(leaf, bytes, 'upstream', job)
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
    const { leaves, onProgress } = this.#components
    job.next = Math.max(job.next, leaf + 1)
    job.source.hasDelivered = true
    this.#leafTime.add(performance.now() - job.last)
    job.last = performance.now()
    await leaves.store(leaf, bytes, 'upstream')
    const has = (leaf: number): boolean => leaves.has(leaf)
    const isCovered = this.#isCovered()
    if (job.next === leaf + 1 && endsBefore({ has, isCovered, jobs: [...this.#jobs] }, job, job.next)) {
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
