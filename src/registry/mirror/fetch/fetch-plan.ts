import type { LeafRange } from '../../../ipfs/digests/digest-messages.ts'

/** A job whose leaves come in order */
export interface RunningJob {
  /** Its first leaf */
  readonly from: number
  /** The leaf that comes next */
  readonly next: number
  /** The leaf after its last one */
  readonly to: number
}

export interface FetchPlanInput<Job extends RunningJob> {
  leafCount: number
  has: (leaf: number) => boolean
  /** Whether a leaf comes from somewhere else, or is another appliance's to fetch */
  isCovered: (leaf: number) => boolean
  /** Under way */
  jobs: readonly Job[]
  /** Leaves that clients wait for, in the order in which they began to */
  wanted: readonly number[]
  /** The most jobs at a time; a source with one delivers from the first leaf that is missing */
  maxJobs: number
}

/** What is to be done next; nothing where neither is set */
export interface FetchStep<Job> {
  start?: { from: number; to: number }
  /** A job that no client needs, in whose place another one is needed */
  stop?: Job
}

/** A client waits for a job that delivers its leaf after at most so many others; 1 MiB each */
const near = 8

/** Leaves that one appliance asks for at a time where others fetch the same blob; it tells them of so many */
const segmentLeaves = 4

/** The number of the segment of a leaf */
export function segmentOf(leaf: number): number {
  return Math.floor(leaf / segmentLeaves)
}

/** The leaf after the segment of one */
export function segmentEnd(leaf: number): number {
  return (segmentOf(leaf) + 1) * segmentLeaves
}

/** Whether one of the ranges has a leaf */
export function isIn(leaf: number, ranges: readonly LeafRange[]): boolean {
  return ranges.some(({ from, to }) => leaf >= from && leaf < to)
}

/** Decides which leaves to ask for next: those that a client waits for, else the first one that is missing */
export function planFetch<Job extends RunningJob>(input: FetchPlanInput<Job>): FetchStep<Job> {
  const { jobs, leafCount, maxJobs, wanted } = input
  const uncovered = wanted.find(leaf => isFree(input, leaf) && !jobs.some(job => reaches(input, job, leaf)))
  if (maxJobs > 1 && uncovered !== undefined) {
    const stop = jobs.length < maxJobs ? undefined : jobs.find(job => !wanted.some(leaf => reaches(input, job, leaf)))
    return jobs.length < maxJobs
      ? { start: { from: uncovered, to: endOf(input, uncovered) } }
      : stop === undefined
        ? {}
        : { stop }
  }
  if (jobs.length > 0) {
    return {}
  }
  for (let leaf = 0; leaf < leafCount; leaf++) {
    if (isFree(input, leaf)) {
      return { start: { from: leaf, to: endOf(input, leaf) } }
    }
  }
  return {}
}

function isFree<Job extends RunningJob>({ has, isCovered }: FetchPlanInput<Job>, leaf: number): boolean {
  return !has(leaf) && !isCovered(leaf)
}

/** Whether a job delivers a leaf soon: nothing that would end it comes before */
function reaches<Job extends RunningJob>(input: FetchPlanInput<Job>, job: Job, leaf: number): boolean {
  if (leaf < job.from || leaf >= Math.min(job.to, job.next + near)) {
    return false
  }
  for (let between = job.next; between <= leaf; between++) {
    if (endsBefore(input, job, between)) {
      return false
    }
  }
  return true
}

/** Whether a job that has come to a leaf is not needed for it */
export function endsBefore<Job extends RunningJob>(
  { has, isCovered, jobs }: Pick<FetchPlanInput<Job>, 'has' | 'isCovered' | 'jobs'>,
  job: Job,
  leaf: number,
): boolean {
  return (
    has(leaf) ||
    jobs.some(other => other !== job && other.from === leaf) ||
    // what others have told of a segment that has begun does not matter any more
    (leaf % segmentLeaves === 0 && leaf !== job.from && isCovered(leaf))
  )
}

/** The leaf at which a job ends that begins at `from` */
function endOf<Job extends RunningJob>(input: FetchPlanInput<Job>, from: number): number {
  for (let leaf = from + 1; leaf < input.leafCount; leaf++) {
    if (!isFree(input, leaf) || input.jobs.some(job => job.from === leaf)) {
      return leaf
    }
  }
  return input.leafCount
}
