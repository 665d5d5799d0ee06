/**
 * Repairs blocks: a damaged one is moved out of the blockstore, and a damaged or missing one is fetched from peers and
 * gateways. A read that finds such a block asks for its repair and does not wait; fsck waits.
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

/** Repairs that run at a time, of blocks that reads found */
const concurrency = 8
/** Blocks that wait for such a repair; one that finds no place here is found again by the next read */
const maxWaiting = 1000
/** How long reads do not ask again for the repair of a block that no peer or gateway had; milliseconds */
const pause = 5000
/** Blocks of which that is remembered */
const maxLost = 10_000

export interface RepairerComponents {
  blockstore: Pick<DurableBlockstore, 'quarantine' | 'sync'>
  files: Pick<UncheckedBlocks, 'list' | 'read'>
  hasher: Hasher
  retrieval: Pick<Retrieval, 'fetchBlock'>
  metrics: Pick<Metrics, 'repairs'>
  /** Called after each repair that was necessary. Returns at once, and never throws. */
  onRepair?: ((cid: string, result: Exclude<Repair, 'right'>) => void) | undefined
  log: Logger
}

/** `right` means that there was nothing to repair, `lost` that nobody has the block */
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

  /** Drops the repairs that have not begun: the next reads find those blocks again */
  async stop(): Promise<void> {
    this.#controller.abort()
    this.#waiting.clear()
    await Promise.allSettled(this.#running.values())
  }

  /** Asks for the repair of a block that a read found missing or damaged. Returns at once and never throws. */
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

  /** Whether a repair of the block is waiting or running, so the block may soon be here */
  isRepairing(cid: string): boolean {
    return this.#waiting.has(cid) || this.#running.has(cid)
  }

  /** Compares a block with its CID, and repairs it if necessary. Calls for the same block share one repair. */
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
   * Moves a block out of the blockstore if it is damaged
   *
   * @returns what was wrong with the block; undefined where it is right, or is being put right now
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
      // the repair has logged its failure
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
    const { blockstore, log, metrics, onRepair, retrieval } = this.#components
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
      onRepair?.(key, 'repaired')
      return 'repaired'
    } catch (err) {
      signal.throwIfAborted()
      metrics.repairs.inc({ result: 'failure' })
      if ((err as Error).name !== 'UnavailableError') {
        log.error('block not repaired', { cid: key, err })
        throw err
      }
      this.#lost.set(key, true)
      log.error('block not repaired: no peer or gateway has it', { cid: key })
      onRepair?.(key, 'lost')
      return 'lost'
    }
  }

  async #check(cid: CID): Promise<BadBlock | undefined> {
    return await new DagChecker({ ...this.#components, rate: new RateLimit(Infinity), onChecked: () => {} }).block(cid)
  }
}
