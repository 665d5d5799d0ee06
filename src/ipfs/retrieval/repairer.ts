/**
 * Damaged blocks are taken out of the blockstore, and what is missing is fetched from peers and gateways. Reads that
 * find such a block ask for it by the way; a check of everything waits for it.
 */
import { LRUCache } from 'lru-cache'
import type { CID } from 'multiformats/cid'
import type { Logger } from '../../log.ts'
import type { Metrics } from '../../metrics.ts'
import type { UncheckedBlocks } from '../blockstore/unchecked-blocks.ts'
import type { DurableBlockstore } from '../blockstore/blockstore.ts'
import { DagChecker, type BadBlock } from '../dag/dag-checker.ts'
import type { Hasher } from '../hashing/hasher.ts'
import { RateLimit } from '../../scheduling/rate-limit.ts'
import type { Retrieval } from './retrieval.ts'

/** Blocks that are repaired at a time because somebody read them */
const concurrency = 8
/** Blocks that wait for it; a block that finds no place is asked for again by its next reader */
const maxWaiting = 1000
/** How long nobody is asked again for a block that nobody had, unless by a check; milliseconds */
const pause = 5000
const maxLost = 10_000

export interface RepairerComponents {
  blockstore: Pick<DurableBlockstore, 'quarantine' | 'sync'>
  files: Pick<UncheckedBlocks, 'list' | 'read'>
  hasher: Hasher
  retrieval: Pick<Retrieval, 'fetchBlock'>
  metrics: Pick<Metrics, 'repairs'>
  log: Logger
}

/** `right`: there was nothing to repair; `lost`: nobody has it */
export type Repair = 'right' | 'repaired' | 'lost'

export class Repairer {
  readonly #components: RepairerComponents
  readonly #waiting = new Map<string, CID>()
  readonly #running = new Map<string, Promise<Repair>>()
  readonly #lost = new LRUCache<string, true>({ max: maxLost, ttl: pause })
  #controller = new AbortController()
  #requested = 0

  constructor(components: RepairerComponents) {
    this.#components = components
  }

  async start(): Promise<void> {
    this.#controller = new AbortController()
  }

  /** What is not repaired yet is found again by its next reader */
  async stop(): Promise<void> {
    this.#controller.abort()
    this.#waiting.clear()
    await Promise.allSettled(this.#running.values())
  }

  /** Has a block repaired soon that a reader found missing or damaged. Returns at once and throws nothing. */
  request(cid: CID): void {
    const key = cid.toString()
    if (
      !this.#controller.signal.aborted &&
      !this.#running.has(key) &&
      !this.#lost.has(key) &&
      this.#waiting.size < maxWaiting
    ) {
      this.#waiting.set(key, cid)
      void this.#work()
    }
  }

  /** Whether the block may be here soon */
  isRepairing(cid: string): boolean {
    return this.#waiting.has(cid) || this.#running.has(cid)
  }

  /** Looks at a block and does what can be done for it. Calls for the same block share one repair. */
  async repair(cid: CID): Promise<Repair> {
    const key = cid.toString()
    let running = this.#running.get(key)
    if (running === undefined) {
      running = this.#repair(cid).finally(() => {
        this.#running.delete(key)
      })
      this.#running.set(key, running)
    }
    return await running
  }

  /**
   * Takes a block out of the blockstore if it is damaged
   *
   * @returns what was wrong with it; undefined where it is right, or somebody puts it now
   */
  async quarantine(cid: CID): Promise<BadBlock | undefined> {
    let found: BadBlock | undefined
    await this.#components.blockstore.quarantine(cid, async () => {
      found = await this.#check(cid)
      return found?.problem === 'damaged'
    })
    return found
  }

  async #work(): Promise<void> {
    if (this.#requested >= concurrency) {
      return
    }
    this.#requested++
    for (let next = this.#next(); next !== undefined; next = this.#next()) {
      // what went wrong is in the log
      await this.repair(next).catch(() => {})
    }
    this.#requested--
  }

  #next(): CID | undefined {
    for (const [key, cid] of this.#waiting) {
      this.#waiting.delete(key)
      return cid
    }
    return undefined
  }

  async #repair(cid: CID): Promise<Repair> {
    const { blockstore, log, metrics, retrieval } = this.#components
    const { signal } = this.#controller
    const key = cid.toString()
    try {
      const bad = await this.quarantine(cid)
      if (bad === undefined) {
        return 'right'
      }
      await retrieval.fetchBlock(cid, { signal })
      await blockstore.sync()
      metrics.repairs.inc({ result: 'success' })
      log.warn('block repaired', { cid: key, problem: bad.problem })
      return 'repaired'
    } catch (err) {
      signal.throwIfAborted()
      metrics.repairs.inc({ result: 'failure' })
      if ((err as Error).name !== 'UnavailableError') {
        log.error('block not repaired', { cid: key, err })
        throw err
      }
      this.#lost.set(key, true)
      log.error('block not repaired: no peer or gateway delivers it', { cid: key })
      return 'lost'
    }
  }

  async #check(cid: CID): Promise<BadBlock | undefined> {
    return await new DagChecker({ ...this.#components, rate: new RateLimit(Infinity), onChecked: () => {} }).block(cid)
  }
}
