/** A job whose leaves come in order */
export interface RunningJob {
  /** Its first leaf */
  readonly from: number
  /** The leaf that comes next */
  readonly next: number
}

export interface FetchPlanInput<Job extends RunningJob> {
  leafCount: number
  has: (leaf: number) => boolean
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

/** Decides which leaves to ask for next: those that a client waits for, else the first one that is missing */
export function planFetch<Job extends RunningJob>(input: FetchPlanInput<Job>): FetchStep<Job> {
  const { has, jobs, leafCount, maxJobs, wanted } = input
  const uncovered = wanted.find(leaf => !has(leaf) && !jobs.some(job => reaches(input, job, leaf)))
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
    if (!has(leaf)) {
      return { start: { from: leaf, to: endOf(input, leaf) } }
    }
  }
  return {}
}

/** Whether a job delivers a leaf soon: nothing that would end it comes before */
function reaches<Job extends RunningJob>({ has, jobs }: FetchPlanInput<Job>, job: Job, leaf: number): boolean {
  if (leaf < job.from || leaf >= job.next + near) {
    return false
  }
  for (let between = job.next; between <= leaf; between++) {
    if (has(between) || jobs.some(other => other !== job && other.from === between)) {
      return false
    }
  }
  return true
}

/** The leaf at which a job ends that begins at `from` */
function endOf<Job extends RunningJob>({ has, jobs, leafCount }: FetchPlanInput<Job>, from: number): number {
  for (let leaf = from + 1; leaf < leafCount; leaf++) {
    if (has(leaf) || jobs.some(job => job.from === leaf)) {
      return leaf
    }
  }
  return leafCount
}
