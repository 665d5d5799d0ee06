/**
 * Compares all that is stored with what it should be, while the registry goes on: every block with its CID, every entry of the index with the
 * blocks that it leads to, and every digest with its bytes.
 */
import type { BlockFiles } from '../ipfs/block-files.ts'
import { DagChecker } from '../ipfs/dag-checker.ts'
import type { Hasher } from '../ipfs/hasher.ts'
import { RateLimit } from '../ipfs/rate-limit.ts'
import type { Logger } from '../log.ts'
import type { Metrics } from '../metrics.ts'
import { OciError } from '../oci/errors.ts'
import { indexEntries, type Entry, type EntryName, type Finding, type IndexEntriesComponents } from './index-entries.ts'
import { blocksOf, reportScrub, type ScrubReport } from './scrub-report.ts'

const second = 1000
/** Bad blocks that are named in the log one by one */
const maxNamed = 100

export interface ScrubberComponents extends Omit<IndexEntriesComponents, 'checker'> {
  files: Pick<BlockFiles, 'list' | 'read'>
  hasher: Hasher
  metrics: Pick<Metrics, 'scrubs' | 'scrubDuration' | 'scrubbedBlocks' | 'scrubbedBytes' | 'badBlocks'>
  log: Logger
}

export interface ScrubberInit {
  /** Time from one scrub to the next; milliseconds. 0: only when asked for */
  interval: number
  /** Bytes a second that are read; 0: as many as there are */
  rate: number
}

/** How far a scrub is */
export interface ScrubProgress {
  phase: 'index' | 'blocks'
  /** That were read */
  blocks: number
  bytes: number
  /** That are missing or damaged */
  bad: number
}

export interface ScrubResult extends ScrubReport {
  /** That were read and are right */
  blocks: number
  bytes: number
  /** Missing or damaged blocks that something needs */
  missing: number
  damaged: number
  /** Damaged blocks that nothing needs */
  unneeded: number
  seconds: number
}

export interface ScrubOptions {
  /** Bytes a second that are read; 0: as many as there are. @default that of the configuration */
  rate?: number | undefined
  onProgress?: ((progress: ScrubProgress) => void) | undefined
}

export class Scrubber {
  readonly #components: ScrubberComponents
  readonly #init: ScrubberInit
  #controller = new AbortController()
  #timer: NodeJS.Timeout | undefined
  #last: Promise<unknown> = Promise.resolve()

  constructor (components: ScrubberComponents, init: ScrubberInit) {
    this.#components = components
    this.#init = init
  }

  async start (): Promise<void> {
    this.#controller = new AbortController()
    if (this.#init.interval > 0) {
      this.#timer ??= setInterval(() => {
        // what went wrong is in the log
        this.scrub().catch(() => {})
      }, this.#init.interval).unref()
    }
  }

  async stop (): Promise<void> {
    clearInterval(this.#timer)
    this.#timer = undefined
    this.#controller.abort()
    await this.#last
  }

  /**
   * Runs a scrub once those that were asked for before are over
   *
   * @throws OciError UNAVAILABLE where the server stops meanwhile
   */
  async scrub (options: ScrubOptions = {}): Promise<ScrubResult> {
    const { signal } = this.#controller
    const result = this.#last.then(async () => await this.#run(options, signal))
    this.#last = result.catch(() => {})
    return await result
  }

  async #run (options: ScrubOptions, signal: AbortSignal): Promise<ScrubResult> {
    const { log, metrics } = this.#components
    const began = performance.now()
    try {
      signal.throwIfAborted()
      const found = await this.#find(options, signal)
      const result = { ...found, seconds: Math.round(performance.now() - began) / second }
      const { images, others, ...counts } = result
      metrics.scrubs.inc({ result: 'success' })
      metrics.scrubDuration.set(result.seconds)
      metrics.badBlocks.set(result.missing + result.damaged)
      log[images.length + others.length === 0 ? 'info' : 'error']('blocks and index checked', { ...counts, images: images.length, others: others.length })
      return result
    } catch (err) {
      if (signal.aborted) {
        throw new OciError('UNAVAILABLE', { detail: { reason: 'the server stops' }, cause: err })
      }
      metrics.scrubs.inc({ result: 'failure' })
      log.error('blocks and index not checked', { err })
      throw err
    }
  }

  async #find ({ rate = this.#init.rate, onProgress = () => {} }: ScrubOptions, signal: AbortSignal): Promise<Omit<ScrubResult, 'seconds'>> {
    const { files, hasher, index, metrics } = this.#components
    const progress: ScrubProgress = { phase: 'index', blocks: 0, bytes: 0, bad: 0 }
    const onChecked = (bytes: number): void => {
      progress.blocks++
      progress.bytes += bytes
      metrics.scrubbedBlocks.inc()
      metrics.scrubbedBytes.inc(bytes)
      onProgress({ ...progress })
    }
    const checker = new DagChecker({ files, hasher, onChecked, rate: new RateLimit(rate === 0 ? Infinity : rate) })
    const found = new Map<EntryName, Finding>()
    for await (const entry of indexEntries({ ...this.#components, checker }, signal)) {
      const finding = await check(entry)
      if (finding !== undefined) {
        found.set(entry.name, finding)
        progress.bad += finding.bad.length
        this.#log(finding, found.size, entry.name)
      }
    }
    progress.phase = 'blocks'
    const unneeded = await Array.fromAsync(checker.others({ signal }))
    const bad = blocksOf(found.values())
    return {
      blocks: progress.blocks,
      bytes: progress.bytes,
      missing: bad.filter(({ problem }) => problem === 'missing').length,
      damaged: bad.filter(({ problem }) => problem === 'damaged').length,
      unneeded: unneeded.length,
      ...await reportScrub(index, found)
    }
  }

  #log ({ bad, problem }: Finding, count: number, name: EntryName): void {
    if (count <= maxNamed) {
      this.#components.log.warn('stored content is not what it should be', { ...name, problem, blocks: bad.slice(0, maxNamed).map(({ cid, problem }) => `${cid} ${problem}`) })
    }
  }
}

/** What was deleted meanwhile lacks nothing, and what was in the middle of a change is looked at again */
async function check (entry: Entry): Promise<Finding | undefined> {
  return isFine(await entry.check()) || !await entry.isCurrent() ? undefined : await entry.check().then(finding => isFine(finding) ? undefined : finding)
}

function isFine ({ bad, problem }: Finding): boolean {
  return bad.length === 0 && problem === undefined
}
