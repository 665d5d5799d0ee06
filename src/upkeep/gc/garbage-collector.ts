/**
 * `upkeep/gc` is garbage collection, while the registry goes on. It may import `rebuild` and `backup`. A cycle (begin
 * here) takes these steps:
 *
 * - It protects every block that is stored from now on.
 * - `mirror-eviction.ts` evicts images of other registries that have no room.
 * - `history-expiry.ts` forgets what is too old to be undone; what is not is marked later.
 * - `index-cleaner.ts` deletes from the index what nobody needs; `untagged-manifests.ts` tells which manifests these
 *   are.
 * - It waits for pushes that may have seen what was deleted.
 * - `reachable-blocks.ts` marks every block that is needed, while `cache-eviction.ts` evicts images of other nodes that
 *   have no room.
 * - It deletes the blocks that are neither marked nor protected. Where a node is missing or damaged, it deletes none.
 *
 * `storage-pressure.ts` begins a cycle where there is no room.
 */
import { raceSignal } from 'race-signal'
import type { HistoryIndex } from '../../index/history-index.ts'
import type { DurableBlockstore } from '../../ipfs/blockstore/blockstore.ts'
import { Pace } from '../../scheduling/pace.ts'
import type { RunLog } from '../../scheduling/run-log.ts'
import type { Logger } from '../../log.ts'
import type { Metrics } from '../../metrics.ts'
import { OciError } from '../../oci/errors.ts'
import { requireOwnFailure } from './stopped.ts'
import { MirrorEviction } from './mirror-eviction.ts'
import { HistoryExpiry, type HistoryExpiryInit } from './history-expiry.ts'
import { IndexCleaner, type IndexCleanerInit } from './index-cleaner.ts'
import type { EventSink } from '../../registry/event-sink.ts'
import type { IndexCondition } from '../../registry/index-condition.ts'
import { ReachableBlocks, requireNoneMissing, type ReachableBlocksComponents } from './reachable-blocks.ts'
import type { ReadOnlyMode } from '../../registry/policies/read-only-mode.ts'
import type { History } from '../../registry/history.ts'
import type { LinkGuard } from '../../registry/link-guard.ts'
import type { ManifestUpgrade } from '../rebuild/manifest-upgrade.ts'
import type { Mirroring } from '../../registry/mirror/mirroring.ts'
import type { Publisher } from '../../registry/tags/publisher.ts'
import { StoragePressure } from './storage-pressure.ts'
import type { Uploads } from '../../registry/uploads/uploads.ts'

const second = 1000

export interface GarbageCollectorComponents extends ReachableBlocksComponents {
  /** While the index is not whole, nothing counts as garbage */
  condition: Pick<IndexCondition, 'requireWhole'>
  blockstore: Pick<DurableBlockstore, 'beginCollection' | 'read' | 'size' | 'sweep'>
  /** While the registry is read-only, nothing is deleted */
  readOnly: Pick<ReadOnlyMode, 'begin' | 'signal' | 'state'>
  uploads: Pick<Uploads, 'blocks' | 'expire'>
  links: LinkGuard
  /** What can be undone; undefined: nothing ever could */
  remembered?: { history: HistoryIndex; historyWriter: History } | undefined
  /** Undefined where no other registry is mirrored */
  mirroring?: Pick<Mirroring, 'fetches' | 'manifests' | 'mirrors'> | undefined
  publisher: Pick<Publisher, 'settled'>
  upgrade: Pick<ManifestUpgrade, 'run'>
  /** @default nobody hears of events */
  events?: Pick<EventSink, 'commit'> | undefined
  metrics: Pick<Metrics, 'collections' | 'collectionDuration' | 'freedBlocks' | 'freedBytes'>
  /** Remembers the cycles; @default nobody does */
  collections?: Pick<RunLog<CollectionProgress, CollectionResult>, 'begin'> | undefined
  log: Logger
}

export interface GarbageCollectorInit {
  /** Time from one cycle to the next; milliseconds. 0 means only on request. */
  interval: number
  /** How long a manifest is kept after it was pushed or lost its last tag; milliseconds. Undefined: for ever. */
  untagged?: number | undefined
  isProtected?: IndexCleanerInit['isProtected']
  /** Bytes that images of other nodes may take */
  cacheBytes: number
  /** How long a change can be undone; milliseconds. @default nothing can be undone */
  historyKeep?: HistoryExpiryInit['keep'] | undefined
}

/** How far a cycle is */
export interface CollectionProgress {
  phase: 'index' | 'mark' | 'sweep'
  /** Number of roots that are marked, with everything below */
  roots: number
  /** Garbage that is found */
  blocks: number
  bytes: number
  /** In the last phase: how many blocks were looked at, of about how many */
  checked?: number
  total?: number
}

/** What a cycle deleted, or in a dry run would delete */
export interface CollectionResult {
  dryRun: boolean
  manifests: number
  /** Links of blobs to repositories */
  links: number
  /** Images of other nodes */
  cached: number
  blocks: number
  bytes: number
  seconds: number
}

export interface CollectOptions {
  dryRun?: boolean | undefined
  /** Milliseconds for which unneeded blocks, links and uploads are kept, where that is less than usual */
  grace?: number | undefined
  onProgress?: ((progress: CollectionProgress) => void) | undefined
}

interface Cycle {
  listeners: Set<(progress: CollectionProgress) => void>
  result: Promise<CollectionResult>
}

/** Calls that wait for a cycle of the same kind share it */
type CycleKind = Pick<CollectOptions, 'grace'> & { dryRun: boolean }
type Report = (progress: CollectionProgress) => void

export class GarbageCollector {
  /** Begins a cycle where there is no room */
  readonly pressure: StoragePressure
  readonly #components: GarbageCollectorComponents
  readonly #interval: number
  readonly #cleaner: IndexCleaner
  readonly #mirrored: MirrorEviction | undefined
  readonly #reachable: ReachableBlocks
  readonly #history: HistoryExpiry | undefined
  #controller = new AbortController()
  #timer: NodeJS.Timeout | undefined
  /** Cycles that have not begun yet, by their kind */
  readonly #waiting = new Map<string, Cycle>()
  #last: Promise<unknown> = Promise.resolve()

  constructor(components: GarbageCollectorComponents, init: GarbageCollectorInit) {
    this.#components = components
    this.#interval = init.interval
    const { mirroring, remembered } = components
    const historyWriter = (init.historyKeep ?? 0) > 0 ? remembered?.historyWriter : undefined
    this.#cleaner = new IndexCleaner({ ...components, historyWriter }, init)
    this.#mirrored = mirroring && new MirrorEviction({ ...components, mirroring }, init)
    this.#history = remembered && new HistoryExpiry({ ...components, ...remembered }, { keep: init.historyKeep ?? 0 })
    this.#reachable = new ReachableBlocks({ ...components, expiry: this.#history }, init)
    const collect = async (): Promise<unknown> => await this.#collectBySchedule()
    this.pressure = new StoragePressure({ collect, log: components.log }, init)
  }

  async start(): Promise<void> {
    this.#controller = new AbortController()
    this.pressure.start()
    if (this.#interval > 0) {
      this.#timer ??= setInterval(() => {
        // the failure is already in the log
        this.#collectBySchedule().catch(() => {})
      }, this.#interval).unref()
    }
  }

  /** Cuts a cycle short; the next one does the rest */
  async stop(): Promise<void> {
    clearInterval(this.#timer)
    this.#timer = undefined
    this.pressure.stop()
    this.#controller.abort()
    await this.#last
  }

  /**
   * Runs a cycle that begins after the call. Only one runs at a time, and calls that wait for the same kind of cycle
   * share it.
   *
   * @throws OciError UNAVAILABLE where the cycle is cut short, a block is missing or damaged, or the index is not
   *   whole; UNSUPPORTED while the registry is read-only, except for a dry run
   */
  async collect({ dryRun = false, grace, onProgress }: CollectOptions = {}): Promise<CollectionResult> {
    const key = `${dryRun} ${grace}`
    const cycle = this.#waiting.get(key) ?? this.#enqueue(key, { dryRun, grace })
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

  async #collectBySchedule(): Promise<unknown> {
    return this.#components.readOnly.state === undefined ? await this.collect() : undefined
  }

  #enqueue(key: string, kind: CycleKind): Cycle {
    const { signal } = this.#controller
    const listeners: Cycle['listeners'] = new Set()
    const result = this.#last.then(async () => {
      this.#waiting.delete(key)
      return await this.#run(kind, signal, progress => {
        listeners.forEach(listener => {
          listener(progress)
        })
      })
    })
    const cycle = { listeners, result }
    this.#waiting.set(key, cycle)
    this.#last = result.catch(() => {})
    return cycle
  }

  async #run(kind: CycleKind, stop: AbortSignal, report: Report): Promise<CollectionResult> {
    const { dryRun } = kind
    const { log, metrics, readOnly } = this.#components
    using _write = dryRun ? undefined : readOnly.begin()
    const signal = dryRun ? stop : AbortSignal.any([stop, readOnly.signal])
    using run = this.#components.collections?.begin()
    const began = performance.now()
    try {
      signal.throwIfAborted()
      this.#components.condition.requireWhole()
      const found = await this.#cycle(kind, signal, progress => {
        run?.progress(progress)
        report(progress)
      })
      const result = { dryRun, ...found, seconds: Math.round(performance.now() - began) / second }
      if (!dryRun) {
        metrics.collections.inc({ result: 'success' })
        metrics.collectionDuration.set(result.seconds)
        metrics.freedBlocks.inc(found.blocks)
        metrics.freedBytes.inc(found.bytes)
      }
      run?.done(result)
      log.info('garbage collected', result)
      return result
    } catch (err) {
      requireOwnFailure(err, { stop, signal })
      run?.failed(err)
      metrics.collections.inc({ result: 'failure' })
      log.error('garbage not collected', { err, ...(err instanceof OciError ? err.detail : {}) })
      throw err
    }
  }

  async #cycle(
    { dryRun, grace }: CycleKind,
    signal: AbortSignal,
    report: Report,
  ): Promise<Omit<CollectionResult, 'dryRun' | 'seconds'>> {
    const { blockstore, links, mirroring, publisher, uploads } = this.#components
    using _blocks = blockstore.beginCollection()
    using _links = links.beginCollection()
    using collection = this.#components.remembered?.historyWriter.beginCollection()
    // where there is no room, new blocks are not spared for their age alone: those of uploads and pushes are marked or
    // protected anyway
    const wanted = dryRun ? undefined : this.pressure.begin()
    const recent = wanted === undefined ? grace : 0
    const pace = new Pace({ isHurried: () => wanted !== undefined || this.pressure.isPressing })
    let roots = 0
    report({ phase: 'index', roots, blocks: 0, bytes: 0 })
    if (!dryRun) {
      await uploads.expire({ idle: grace, refused: wanted !== undefined })
      await mirroring?.fetches.expire({ idle: grace })
    }
    await this.#components.upgrade.run(signal)
    const mirrored = await this.#mirrored?.evict({ dryRun, room: wanted ?? 0, signal })
    // images of other nodes can be fetched again, so they go first
    const room = Math.max(0, (wanted ?? 0) - (mirrored?.freed ?? 0))
    const lacking = Math.max(0, room - this.pressure.cachedBytes)
    const forget = async (): Promise<number> => (await this.#history?.expire({ dryRun, room: lacking, signal })) ?? 0
    const without = await this.#cleaner.clean({ dryRun, grace, signal, forget, evicted: mirrored?.manifests })
    // a manifest that is being put may name a blob whose record has just been deleted; once it is in the index, its
    // blocks get marked
    await raceSignal(links.repositories.idle(), signal)
    await raceSignal(publisher.settled(), signal)
    const onRoot = (): void => {
      report({ phase: 'mark', roots: ++roots, blocks: 0, bytes: 0 })
    }
    const { blocks, evicted, cachedBytes, missing } = await this.#reachable.find({
      dryRun,
      signal,
      without,
      room,
      collection,
      taken: mirrored?.kept ?? 0,
      pace,
      onRoot,
    })
    requireNoneMissing(missing)
    const swept = await blockstore.sweep(blocks, {
      dryRun,
      recent,
      signal,
      pace,
      onProgress: swept => report({ phase: 'sweep', roots, ...swept }),
    })
    if (!dryRun) {
      this.pressure.end(cachedBytes + (mirrored?.kept ?? 0))
    }
    return { manifests: without.manifests.size, links: without.links.size, cached: evicted, ...swept }
  }
}
