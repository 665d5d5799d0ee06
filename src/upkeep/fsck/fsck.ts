/**
 * `upkeep/fsck` checks what is stored against what it should be, while the registry goes on: every block against its
 * CID, every entry of the index against the blocks that it leads to, and every file against its digest. Then it repairs
 * what it can. It may import every other room of `upkeep`. Begin here:
 *
 * - `fsck.ts`: one run after another
 * - `index-entries.ts`: all entries of the index, each with its check; `check-content.ts`: these checks
 * - `repair-findings.ts`: repairs from the index, from peers and from gateways
 * - `fsck-report.ts`: which images are affected by what was found
 */
import type { UncheckedBlocks } from '../../ipfs/blockstore/unchecked-blocks.ts'
import { DagChecker, type BadBlock } from '../../ipfs/dag/dag-checker.ts'
import type { Hasher } from '../../ipfs/hashing/hasher.ts'
import { RateLimit } from '../../scheduling/rate-limit.ts'
import type { RunLog } from '../../scheduling/run-log.ts'
import type { Repairer } from '../../ipfs/retrieval/repairer.ts'
import type { Logger } from '../../log.ts'
import type { Metrics } from '../../metrics.ts'
import { blocksOf, type Finding } from './check-content.ts'
import { indexEntries, type Entry, type IndexEntriesComponents } from './index-entries.ts'
import { checkEntry, quarantine, repairFindings } from './repair-findings.ts'
import type { ReadOnlyMode } from '../../registry/policies/read-only-mode.ts'
import type { UnreadableFiles } from '../../registry/unreadable-files.ts'
import type { ManifestUpgrade } from '../rebuild/manifest-upgrade.ts'
import { requireOwnFailure } from '../gc/stopped.ts'
import { reportFsck, type FsckReport } from './fsck-report.ts'

const second = 1000
/** Findings, and blocks of each, that are named in the log */
const maxNamed = 100
/** Affected images that are remembered of a run */
const maxRemembered = 20

export interface FsckComponents extends Omit<IndexEntriesComponents, 'checker'> {
  files: Pick<UncheckedBlocks, 'list' | 'read'>
  hasher: Hasher
  repairer: Pick<Repairer, 'quarantine' | 'repair'>
  unreadable: Pick<UnreadableFiles, 'note'>
  /** Tells how much there is to check; @default nobody knows */
  blockstore?: { space: { usage: { total: number | undefined } } } | undefined
  /** While the registry is read-only, nothing is repaired */
  readOnly: Pick<ReadOnlyMode, 'begin' | 'signal' | 'state'>
  upgrade: Pick<ManifestUpgrade, 'run'>
  metrics: Pick<Metrics, 'fsckRuns' | 'fsckDuration' | 'fsckBlocks' | 'fsckBytes' | 'badBlocks'>
  /** Remembers the runs; @default nobody does */
  checks?: Pick<RunLog<FsckProgress, FsckSummary>, 'begin'> | undefined
  log: Logger
}

export interface FsckInit {
  /** Time from one run to the next; milliseconds. 0 means only on request. */
  interval: number
  /** Bytes per second that are read; 0 means unlimited */
  rate: number
}

/** How far a run is */
export interface FsckProgress {
  phase: 'index' | 'blocks' | 'repair'
  /** Number of blocks that were read and are right */
  blocks: number
  bytes: number
  /** Number of blocks that are or were missing or damaged */
  bad: number
  repaired: number
  /** Bytes of all blocks when the run began; undefined: they are not counted yet */
  total?: number | undefined
}

/** The images and other problems of the report are those that are left after the repair */
export interface FsckResult extends FsckReport {
  repair: boolean
  /** Number of blocks that were read and are right */
  blocks: number
  bytes: number
  /** Blocks that something needs: how many were missing, how many were damaged, and how many of these were repaired */
  missing: number
  damaged: number
  repaired: number
  /** Damaged blocks that nothing needs */
  unneeded: number
  seconds: number
}

/** What is remembered of a run */
export interface FsckSummary extends Omit<FsckResult, 'images' | 'others' | 'unlisted'> {
  /** Number of images that clients can't pull whole, and the first of them */
  affected: number
  images: { repository: string; digest: string; tags: string[] }[]
  /** Number of other problems */
  others: number
}

export interface FsckOptions {
  /** Whether to repair what can be repaired. @default true */
  repair?: boolean | undefined
  /** Bytes per second that are read; 0 means unlimited. @default that of the configuration */
  rate?: number | undefined
  onProgress?: ((progress: FsckProgress) => void) | undefined
}

export class Fsck {
  readonly #components: FsckComponents
  readonly #init: FsckInit
  #controller = new AbortController()
  #timer: NodeJS.Timeout | undefined
  #last: Promise<unknown> = Promise.resolve()

  constructor(components: FsckComponents, init: FsckInit) {
    this.#components = components
    this.#init = init
  }

  async start(): Promise<void> {
    this.#controller = new AbortController()
    if (this.#init.interval > 0) {
      this.#timer ??= setInterval(() => {
        // the failure is already in the log
        this.run({ repair: this.#components.readOnly.state === undefined }).catch(() => {})
      }, this.#init.interval).unref()
    }
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer)
    this.#timer = undefined
    this.#controller.abort()
    await this.#last
  }

  /**
   * Checks everything, after the runs that were requested before
   *
   * @throws OciError UNAVAILABLE where the server stops meanwhile; UNSUPPORTED for a repair while the registry is
   *   read-only
   */
  async run(options: FsckOptions = {}): Promise<FsckResult> {
    const { signal } = this.#controller
    const result = this.#last.then(async () => await this.#runAndLog(options, signal))
    this.#last = result.catch(() => {})
    return await result
  }

  async #runAndLog(options: FsckOptions, stop: AbortSignal): Promise<FsckResult> {
    const { log, metrics, readOnly } = this.#components
    const repairs = options.repair !== false
    using _write = repairs ? readOnly.begin() : undefined
    const signal = repairs ? AbortSignal.any([stop, readOnly.signal]) : stop
    using run = this.#components.checks?.begin()
    const began = performance.now()
    try {
      signal.throwIfAborted()
      const onProgress = (progress: FsckProgress): void => {
        run?.progress(progress)
        options.onProgress?.(progress)
      }
      const found = await this.#run({ ...options, onProgress }, signal)
      const result = { ...found, seconds: Math.round(performance.now() - began) / second }
      const { images, others, ...counts } = result
      metrics.fsckRuns.inc({ result: 'success' })
      metrics.fsckDuration.set(result.seconds)
      metrics.badBlocks.set(result.missing + result.damaged - result.repaired)
      run?.done(summaryOf(result))
      log[images.length + others.length === 0 ? 'info' : 'error']('fsck finished', {
        ...counts,
        images: images.length,
        others: others.length,
      })
      return result
    } catch (err) {
      requireOwnFailure(err, { stop, signal })
      run?.failed(err)
      metrics.fsckRuns.inc({ result: 'failure' })
      log.error('fsck failed', { err })
      throw err
    }
  }

  async #run(
    { repair = true, rate = this.#init.rate, onProgress = () => {} }: FsckOptions,
    signal: AbortSignal,
  ): Promise<Omit<FsckResult, 'seconds'>> {
    const { files, hasher, index, metrics, repairer } = this.#components
    const progress: FsckProgress = {
      phase: 'index',
      blocks: 0,
      bytes: 0,
      bad: 0,
      repaired: 0,
      total: this.#components.blockstore?.space.usage.total,
    }
    const onChecked = (bytes: number): void => {
      progress.blocks++
      progress.bytes += bytes
      metrics.fsckBlocks.inc()
      metrics.fsckBytes.inc(bytes)
      onProgress({ ...progress })
    }
    const checker = new DagChecker({ files, hasher, onChecked, rate: new RateLimit(rate === 0 ? Infinity : rate) })
    await this.#components.upgrade.run(signal)
    const found = await this.#find(checker, progress, signal)
    progress.phase = 'blocks'
    const unneeded = await Array.fromAsync(checker.others({ signal }))
    const bad = new Map(blocksOf(found.values()).map(block => [block.cid, block]))
    if (repair) {
      progress.phase = 'repair'
      const damaged = unneeded.map(({ cid }) => cid)
      await quarantine(repairer, damaged, signal)
      const report = (left: number): void => {
        onProgress({ ...progress, bad: bad.size, repaired: bad.size - left })
      }
      await repairFindings(this.#components, found, { bad, signal, report })
      this.#noteUnreadable(found)
    }
    const names = new Map(Array.from(found, ([{ name }, finding]) => [name, finding]))
    return {
      repair,
      blocks: progress.blocks,
      bytes: progress.bytes,
      missing: count(bad.values(), 'missing'),
      damaged: count(bad.values(), 'damaged'),
      repaired: bad.size - blocksOf(found.values()).length,
      unneeded: unneeded.length,
      ...(await reportFsck(index, names)),
    }
  }

  async #find(checker: DagChecker, progress: FsckProgress, signal: AbortSignal): Promise<Map<Entry, Finding>> {
    const found = new Map<Entry, Finding>()
    for await (const entry of indexEntries({ ...this.#components, checker }, signal)) {
      const finding = await checkEntry(entry)
      if (finding !== undefined) {
        found.set(entry, finding)
        progress.bad = blocksOf(found.values()).length
        if (found.size <= maxNamed) {
          this.#logFinding(entry, finding)
        }
      }
    }
    return found
  }

  #logFinding({ name }: Entry, { bad, problem }: Finding): void {
    this.#components.log.warn('stored content is damaged, missing or wrong', {
      ...name,
      problem,
      blocks: bad.slice(0, maxNamed).map(({ cid, problem }) => `${cid} ${problem}`),
    })
  }

  /** From now on, clients that ask whether they have to push one of these files are told to push it */
  #noteUnreadable(found: ReadonlyMap<Entry, Finding>): void {
    for (const [{ file }, { bad }] of found) {
      if (file !== undefined && bad.length > 0) {
        this.#components.unreadable.note(file)
      }
    }
  }
}

function summaryOf({ images, others, unlisted, ...counts }: FsckResult): FsckSummary {
  const remembered = images
    .slice(0, maxRemembered)
    .map(({ digest, repository, tags }) => ({ repository, digest, tags }))
  return { ...counts, affected: images.length, images: remembered, others: others.length + unlisted }
}

function count(blocks: Iterable<BadBlock>, which: BadBlock['problem']): number {
  return [...blocks].filter(({ problem }) => problem === which).length
}
