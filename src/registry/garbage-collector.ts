/**
 * Garbage collection while the registry goes on. A cycle protects what is put from its beginning on, deletes from the index what nobody needs,
 * waits for those that may have seen it there, marks every block that is reachable, and deletes the blocks that are neither marked nor
 * protected. Where marking fails or is not complete, no block is deleted.
 */
import { raceSignal } from 'race-signal'
import type { DurableBlockstore } from '../ipfs/blockstore.ts'
import type { Logger } from '../log.ts'
import type { Metrics } from '../metrics.ts'
import { OciError } from '../oci/errors.ts'
import { IndexCleaner } from './index-cleaner.ts'
import type { IndexCondition } from './index-condition.ts'
import { ReachableBlocks, type ReachableBlocksComponents } from './reachable-blocks.ts'
import type { LinkGuard } from './link-guard.ts'
import type { Publisher } from './publisher.ts'
import type { Uploads } from './uploads.ts'

const second = 1000
/** Missing nodes that are named in the log */
const maxNamed = 10

export interface GarbageCollectorComponents extends ReachableBlocksComponents {
  /** Where the index was lost, what it does not know is no garbage */
  condition: Pick<IndexCondition, 'requireWhole'>
  blockstore: Pick<DurableBlockstore, 'beginCollection' | 'read' | 'size' | 'sweep'>
  uploads: Pick<Uploads, 'blocks' | 'expire'>
  links: LinkGuard
  publisher: Pick<Publisher, 'settled'>
  metrics: Pick<Metrics, 'collections' | 'collectionDuration' | 'freedBlocks' | 'freedBytes'>
  log: Logger
}

export interface GarbageCollectorInit {
  /** Time from one cycle to the next; milliseconds. 0: only when asked for */
  interval: number
  /** Manifests without a tag are deleted so long after they were pushed or lost their last tag; milliseconds. Undefined: never. */
  untagged?: number | undefined
  /** What was fetched from other nodes may take so many bytes */
  cacheBytes: number
}

/** How far a cycle is */
export interface CollectionProgress {
  phase: 'index' | 'mark' | 'sweep'
  /** Of which all below is marked */
  roots: number
  blocks: number
  bytes: number
}

/** What a cycle deleted, or in a dry run would delete */
export interface CollectionResult {
  dryRun: boolean
  manifests: number
  /** Blobs that a repository no longer has */
  links: number
  /** Images of other nodes */
  cached: number
  blocks: number
  bytes: number
  seconds: number
}

export interface CollectOptions {
  dryRun?: boolean | undefined
  onProgress?: ((progress: CollectionProgress) => void) | undefined
}

interface Cycle {
  listeners: Set<(progress: CollectionProgress) => void>
  result: Promise<CollectionResult>
}

export class GarbageCollector {
  readonly #components: GarbageCollectorComponents
  readonly #interval: number
  readonly #cleaner: IndexCleaner
  readonly #reachable: ReachableBlocks
  #controller = new AbortController()
  #timer: NodeJS.Timeout | undefined
  /** The cycles that have not begun yet, by whether they are dry */
  readonly #waiting = new Map<boolean, Cycle>()
  #last: Promise<unknown> = Promise.resolve()

  constructor (components: GarbageCollectorComponents, init: GarbageCollectorInit) {
    this.#components = components
    this.#interval = init.interval
    this.#cleaner = new IndexCleaner(components, init)
    this.#reachable = new ReachableBlocks(components, init)
  }

  async start (): Promise<void> {
    this.#controller = new AbortController()
    if (this.#interval > 0) {
      this.#timer ??= setInterval(() => {
        // what went wrong is in the log
        this.collect().catch(() => {})
      }, this.#interval).unref()
    }
  }

  /** Cuts a cycle short: the next one does what is left */
  async stop (): Promise<void> {
    clearInterval(this.#timer)
    this.#timer = undefined
    this.#controller.abort()
    await this.#last
  }

  /**
   * Runs a cycle that begins after the call. There is one at a time; calls that wait for the same share it.
   *
   * @throws OciError UNAVAILABLE where it is cut short or can't tell what is reachable, as where the index was lost
   */
  async collect ({ dryRun = false, onProgress }: CollectOptions = {}): Promise<CollectionResult> {
    const cycle = this.#waiting.get(dryRun) ?? this.#enqueue(dryRun)
    if (onProgress !== undefined) {
      cycle.listeners.add(onProgress)
    }
    try {
      return await cycle.result
    } finally {
      if (onProgress !== undefined) {
        cycle.listeners.delete(onProgress)
      }
    }
  }

  #enqueue (dryRun: boolean): Cycle {
    const { signal } = this.#controller
    const listeners: Cycle['listeners'] = new Set()
    const result = this.#last.then(async () => {
      this.#waiting.delete(dryRun)
      return await this.#run(dryRun, signal, progress => { listeners.forEach(listener => { listener(progress) }) })
    })
    const cycle = { listeners, result }
    this.#waiting.set(dryRun, cycle)
    this.#last = result.catch(() => {})
    return cycle
  }

  async #run (dryRun: boolean, signal: AbortSignal, report: (progress: CollectionProgress) => void): Promise<CollectionResult> {
    const { log, metrics } = this.#components
    const began = performance.now()
    try {
      signal.throwIfAborted()
      this.#components.condition.requireWhole()
      const found = await this.#cycle(dryRun, signal, report)
      const result = { dryRun, ...found, seconds: Math.round(performance.now() - began) / second }
      if (!dryRun) {
        metrics.collections.inc({ result: 'success' })
        metrics.collectionDuration.set(result.seconds)
        metrics.freedBlocks.inc(found.blocks)
        metrics.freedBytes.inc(found.bytes)
      }
      log.info('garbage collected', result)
      return result
    } catch (err) {
      if (signal.aborted) {
        throw new OciError('UNAVAILABLE', { detail: { reason: 'the server stops' }, cause: err })
      }
      metrics.collections.inc({ result: 'failure' })
      log.error('garbage not collected', { err, ...(err instanceof OciError ? err.detail : {}) })
      throw err
    }
  }

  async #cycle (dryRun: boolean, signal: AbortSignal, report: (progress: CollectionProgress) => void): Promise<Omit<CollectionResult, 'dryRun' | 'seconds'>> {
    const { blockstore, links, publisher, uploads } = this.#components
    using _blocks = blockstore.beginCollection()
    using _links = links.beginCollection()
    let roots = 0
    report({ phase: 'index', roots, blocks: 0, bytes: 0 })
    if (!dryRun) {
      await uploads.expire()
    }
    const without = await this.#cleaner.clean({ dryRun, signal })
    // a manifest on its way here may link to a blob that has just gone; once it is in the index, it is marked with all below it
    await raceSignal(links.repositories.idle(), signal)
    await raceSignal(publisher.settled(), signal)
    const { blocks, evicted, missing } = await this.#reachable.find({ dryRun, signal, without, onRoot: () => { report({ phase: 'mark', roots: ++roots, blocks: 0, bytes: 0 }) } })
    if (missing.size > 0) {
      throw new OciError('UNAVAILABLE', {
        detail: { reason: 'blocks are missing, and what is below them is not known: no block was deleted', missing: missing.size, cids: [...missing].slice(0, maxNamed) }
      })
    }
    const swept = await blockstore.sweep(blocks, { dryRun, signal, onProgress: swept => { report({ phase: 'sweep', roots, ...swept }) } })
    return { manifests: without.manifests.size, links: without.links.size, cached: evicted, ...swept }
  }
}
