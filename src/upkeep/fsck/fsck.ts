/**
 * Compares all that is stored with what it should be, while the registry goes on: every block with its CID, every entry of the index with the
 * blocks that it leads to, and every digest with its bytes. Then it makes anew what the index is enough for, and has the rest fetched.
 */
import { CID } from 'multiformats/cid'
import { raceSignal } from 'race-signal'
import type { UncheckedBlocks } from '../../ipfs/blockstore/unchecked-blocks.ts'
import { DagChecker, type BadBlock } from '../../ipfs/dag/dag-checker.ts'
import { forEach } from '../../scheduling/for-each.ts'
import type { Hasher } from '../../ipfs/hashing/hasher.ts'
import { RateLimit } from '../../scheduling/rate-limit.ts'
import type { Repairer } from '../../ipfs/retrieval/repairer.ts'
import type { Logger } from '../../log.ts'
import type { Metrics } from '../../metrics.ts'
import { OciError } from '../../oci/errors.ts'
import { indexEntries, type Entry, type Finding, type IndexEntriesComponents } from './index-entries.ts'
import type { UnreadableFiles } from '../../registry/unreadable-files.ts'
import type { ManifestUpgrade } from '../rebuild/manifest-upgrade.ts'
import { blocksOf, reportFsck, type FsckReport } from './fsck-report.ts'

const second = 1000
/** Bad blocks that are named in the log one by one */
const maxNamed = 100
/** Blocks that are fetched at a time. One that nobody has takes as long as a pull waits. */
const concurrency = 32

export interface FsckComponents extends Omit<IndexEntriesComponents, 'checker'> {
  files: Pick<UncheckedBlocks, 'list' | 'read'>
  hasher: Hasher
  repairer: Pick<Repairer, 'quarantine' | 'repair'>
  unreadable: Pick<UnreadableFiles, 'note'>
  upgrade: Pick<ManifestUpgrade, 'run'>
  metrics: Pick<Metrics, 'fsckRuns' | 'fsckDuration' | 'fsckBlocks' | 'fsckBytes' | 'badBlocks'>
  log: Logger
}

export interface FsckInit {
  /** Time from one run to the next; milliseconds. 0: only when asked for */
  interval: number
  /** Bytes a second that are read; 0: as many as there are */
  rate: number
}

/** How far a run is */
export interface FsckProgress {
  phase: 'index' | 'blocks' | 'repair'
  /** That were read and are right */
  blocks: number
  bytes: number
  /** That are missing or damaged, or were */
  bad: number
  repaired: number
}

/** Its images and other problems are those that are left */
export interface FsckResult extends FsckReport {
  repair: boolean
  /** That were read and are right */
  blocks: number
  bytes: number
  /** Blocks that something needs: how many of them were missing and damaged, and of these are not any more */
  missing: number
  damaged: number
  repaired: number
  /** Damaged blocks that nothing needs */
  unneeded: number
  seconds: number
}

export interface FsckOptions {
  /** Whether what can be repaired is. @default true */
  repair?: boolean | undefined
  /** Bytes a second that are read; 0: as many as there are. @default that of the configuration */
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
        // what went wrong is in the log
        this.run().catch(() => {})
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
   * Runs once those that were asked for before are over
   *
   * @throws OciError UNAVAILABLE where the server stops meanwhile
   */
  async run(options: FsckOptions = {}): Promise<FsckResult> {
    const { signal } = this.#controller
    const result = this.#last.then(async () => await this.#reported(options, signal))
    this.#last = result.catch(() => {})
    return await result
  }

  async #reported(options: FsckOptions, signal: AbortSignal): Promise<FsckResult> {
    const { log, metrics } = this.#components
    const began = performance.now()
    try {
      signal.throwIfAborted()
      const found = await this.#run(options, signal)
      const result = { ...found, seconds: Math.round(performance.now() - began) / second }
      const { images, others, ...counts } = result
      metrics.fsckRuns.inc({ result: 'success' })
      metrics.fsckDuration.set(result.seconds)
      metrics.badBlocks.set(result.missing + result.damaged - result.repaired)
      log[images.length + others.length === 0 ? 'info' : 'error']('blocks and index checked', {
        ...counts,
        images: images.length,
        others: others.length,
      })
      return result
    } catch (err) {
      if (signal.aborted) {
        throw new OciError('UNAVAILABLE', { detail: { reason: 'the server stops' }, cause: err })
      }
      metrics.fsckRuns.inc({ result: 'failure' })
      log.error('blocks and index not checked', { err })
      throw err
    }
  }

  async #run(
    { repair = true, rate = this.#init.rate, onProgress = () => {} }: FsckOptions,
    signal: AbortSignal,
  ): Promise<Omit<FsckResult, 'seconds'>> {
    const { files, hasher, index, metrics, repairer } = this.#components
    const progress: FsckProgress = { phase: 'index', blocks: 0, bytes: 0, bad: 0, repaired: 0 }
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
      await forEach(unneeded, concurrency, signal, async ({ cid }) => {
        await repairer.quarantine(CID.parse(cid))
      })
      await this.#repair(found, bad, signal, left => {
        onProgress({ ...progress, bad: bad.size, repaired: bad.size - left })
      })
      this.#noteLost(found)
    }
    const { blocks, bytes } = progress
    const count = (which: BadBlock['problem']): number =>
      bad
        .values()
        .filter(({ problem }) => problem === which)
        .toArray().length
    const repaired = bad.size - blocksOf(found.values()).length
    const names = new Map(Array.from(found, ([{ name }, finding]) => [name, finding]))
    return {
      repair,
      blocks,
      bytes,
      missing: count('missing'),
      damaged: count('damaged'),
      repaired,
      unneeded: unneeded.length,
      ...(await reportFsck(index, names)),
    }
  }

  async #find(checker: DagChecker, progress: FsckProgress, signal: AbortSignal): Promise<Map<Entry, Finding>> {
    const found = new Map<Entry, Finding>()
    for await (const entry of indexEntries({ ...this.#components, checker }, signal)) {
      const finding = await check(entry)
      if (finding !== undefined) {
        found.set(entry, finding)
        progress.bad = blocksOf(found.values()).length
        if (found.size <= maxNamed) {
          const { bad, problem } = finding
          this.#components.log.warn('stored content is not what it should be', {
            ...entry.name,
            problem,
            blocks: bad.slice(0, maxNamed).map(({ cid, problem }) => `${cid} ${problem}`),
          })
        }
      }
    }
    return found
  }

  /**
   * Takes out of `found` what is right then
   *
   * @param bad what was found so far: a node that was repaired may lead to more
   */
  async #repair(
    found: Map<Entry, Finding>,
    bad: Map<string, BadBlock>,
    signal: AbortSignal,
    report: (left: number) => void,
  ): Promise<void> {
    const { repairer } = this.#components
    await forEach([...bad.keys()], concurrency, signal, async cid => {
      await repairer.quarantine(CID.parse(cid))
    })
    await this.#rebuild(found, signal)
    const tried = new Set<string>()
    const untried = async (): Promise<BadBlock[]> => {
      await this.#checkAgain(found)
      const left = blocksOf(found.values())
      left
        .filter(({ cid }) => !bad.has(cid))
        .forEach(block => {
          bad.set(block.cid, block)
        })
      report(left.length)
      return left.filter(({ cid }) => !tried.has(cid))
    }
    for (let blocks = await untried(); blocks.length > 0; blocks = await untried()) {
      await forEach(blocks, concurrency, signal, async ({ cid }) => {
        tried.add(cid)
        await raceSignal(repairer.repair(CID.parse(cid)), signal)
      })
    }
  }

  async #rebuild(found: Map<Entry, Finding>, signal: AbortSignal): Promise<void> {
    for (const { name, rebuild } of found.keys()) {
      signal.throwIfAborted()
      try {
        await rebuild?.()
      } catch (err) {
        this.#components.log.warn('not made anew', { ...name, err })
      }
    }
  }

  async #checkAgain(found: Map<Entry, Finding>): Promise<void> {
    for (const entry of found.keys()) {
      const finding = await check(entry)
      if (finding === undefined) {
        found.delete(entry)
      } else {
        found.set(entry, finding)
      }
    }
  }

  #noteLost(found: ReadonlyMap<Entry, Finding>): void {
    for (const [{ file }, { bad }] of found) {
      if (file !== undefined && bad.length > 0) {
        this.#components.unreadable.note(file)
      }
    }
  }
}

/** What was deleted meanwhile lacks nothing, and what was in the middle of a change is looked at again */
async function check(entry: Entry): Promise<Finding | undefined> {
  return isFine(await entry.check()) || !(await entry.isCurrent())
    ? undefined
    : await entry.check().then(finding => (isFine(finding) ? undefined : finding))
}

function isFine({ bad, problem }: Finding): boolean {
  return bad.length === 0 && problem === undefined
}
