/**
 * Blocks that are not here come from peers by bitswap, one session for each file, and from HTTP gateways. Whatever
 * comes is checked against its CID and kept. A block is fetched once, however many ask for it.
 */
import { raceSignal } from 'race-signal'
import type { CID } from 'multiformats/cid'
import type { Logger } from '../../log.ts'
import type { DurableBlockstore } from '../blockstore/blockstore.ts'
import { BufferPool } from '../blocks/buffer-pool.ts'
import type { ContentReader, ReadFileOptions, StoreOptions } from '../content-store.ts'
import { leafSize } from '../dag/encode-node.ts'
import { requireBlockSize } from '../dag/dag-limits.ts'
import { requireCid } from '../blocks/block-cid.ts'
import { DagReader, type BlockReader } from '../content/dag-reader.ts'
import { leavesReadAhead, maxFreeBuffers } from '../content/leaf-limits.ts'
import { UnavailableError } from '../errors.ts'
import type { Gateways } from './gateways.ts'
import type { IpfsNode } from '../node/node.ts'
import { RetrievalSession, type FetchSlots } from './retrieval-session.ts'

/** Why a source is told to stop; made once, as each block would need another */
const over = new Error('the block has come')

export interface RetrievalComponents {
  /** What is here already, and where what comes is kept */
  blockstore: DurableBlockstore
  node: IpfsNode
  gateways: Gateways
  /** Undefined: as many as come */
  slots?: FetchSlots | undefined
  log: Logger
}

export interface RetrievalInit {
  /** A read fails when nothing has come for this long; milliseconds */
  timeout: number
}

interface Delivery {
  block: Uint8Array
  /** Else there was no room for it */
  isKept: boolean
}

/** A fetch that several readers may wait for */
interface Flight {
  delivery: Promise<Delivery>
  waiting: number
  controller: AbortController
}

/** Files and directories that are here or somewhere else */
export class Retrieval implements ContentReader {
  readonly #components: RetrievalComponents
  readonly #timeout: number
  readonly #buffers = new BufferPool(leafSize, maxFreeBuffers)
  readonly #flights = new Map<string, Flight>()
  /** Blocks that were fetched since the start, by where they came from */
  readonly fetched = { peers: 0, gateways: 0 }

  constructor(components: RetrievalComponents, init: RetrievalInit) {
    this.#components = components
    this.#timeout = init.timeout
  }

  read(cid: string, options: ReadFileOptions = {}): AsyncGenerator<Uint8Array> {
    const session = this.#open(options)
    return this.#reader(session, () => {
      session[Symbol.dispose]()
    }).read(cid, options)
  }

  async find(root: string, path: readonly string[], options?: StoreOptions): ReturnType<ContentReader['find']> {
    using session = this.#open(options)
    return await this.#reader(session).find(root, path, options)
  }

  async *list(directory: string, options?: StoreOptions): AsyncGenerator<{ name: string; cid: string }> {
    using session = this.#open(options)
    yield* this.#reader(session).list(directory, options)
  }

  async canonical(cid: string, options?: StoreOptions): ReturnType<ContentReader['canonical']> {
    using session = this.#open(options)
    return await this.#reader(session).canonical(cid, options)
  }

  /**
   * Fetches one block, wherever it comes from, and keeps it. It takes no client's slot.
   *
   * @throws UnavailableError where nobody delivers it, StorageFullError where there is no room for it, RefusedDagError
   */
  async fetchBlock(cid: CID, { signal }: StoreOptions = {}): Promise<void> {
    requireCid(cid)
    const { node, log } = this.#components
    using session = new RetrievalSession({ node, log }, { timeout: this.#timeout })
    if (!session.hasPeers && this.#components.gateways.isEmpty) {
      throw new UnavailableError('There is no peer and no gateway')
    }
    const { block, isKept } = await this.#fetch(cid, session, signal)
    if (!isKept) {
      await this.#components.blockstore.put(cid, block)
    }
  }

  #open({ client }: StoreOptions = {}): RetrievalSession {
    return new RetrievalSession(this.#components, { timeout: this.#timeout, client })
  }

  #reader(session: RetrievalSession, onEnd?: () => void): DagReader {
    const { blockstore } = this.#components
    const blocks: BlockReader = {
      read: async (cid, options = {}) => {
        try {
          return await blockstore.read(cid, { ...options, protect: true })
        } catch (err) {
          // a damaged one is replaced by what comes
          if ((err as Error).name !== 'NotFoundError' && (err as Error).name !== 'DamagedBlockError') {
            throw err
          }
        }
        return (await this.#fetch(cid, session, options.signal)).block
      },
    }
    return new DagReader({ blocks, buffers: this.#buffers }, { readAhead: leavesReadAhead.peers, onEnd })
  }

  /** Joins the fetch of the same block, if there is one; it ends when nobody waits for it any more */
  async #fetch(cid: CID, session: RetrievalSession, signal: AbortSignal | undefined): Promise<Delivery> {
    session.takeSlot()
    const key = cid.toString()
    const flight = this.#flights.get(key) ?? this.#start(cid, key, session)
    flight.waiting++
    try {
      const delivery = await raceSignal(flight.delivery, signal)
      session.progressed()
      return delivery
    } finally {
      flight.waiting--
      if (flight.waiting === 0) {
        // nobody may join it any more: it ends with an error now
        this.#remove(key, flight)
        flight.controller.abort()
      }
    }
  }

  #start(cid: CID, key: string, session: RetrievalSession): Flight {
    const controller = new AbortController()
    const flight: Flight = { delivery: this.#deliver(cid, session, controller.signal), waiting: 0, controller }
    this.#flights.set(key, flight)
    // whoever waits for it sees the failure; when all have gone, nobody does
    flight.delivery
      .catch(() => {})
      .finally(() => {
        this.#remove(key, flight)
      })
    return flight
  }

  /** Leaves a later fetch of the same block alone */
  #remove(key: string, flight: Flight): void {
    if (this.#flights.get(key) === flight) {
      this.#flights.delete(key)
    }
  }

  async #deliver(cid: CID, session: RetrievalSession, signal: AbortSignal): Promise<Delivery> {
    const { gateways, node } = this.#components
    const found = new AbortController()
    using stall = session.watch([signal, found.signal])
    const sources: Array<Promise<{ block: Uint8Array; source: keyof Retrieval['fetched'] }>> = [
      session.fetch(cid, stall.signal).then(block => ({ block, source: 'peers' as const })),
      ...(gateways.isEmpty
        ? []
        : [
            gateways
              .fetch(cid, { signal: stall.signal, peersAreConnected: session.hasPeers })
              .then(block => ({ block, source: 'gateways' as const })),
          ]),
    ]
    const { block, source } = await this.#first(cid, sources, signal).finally(() => {
      found.abort(over)
    })
    requireBlockSize(cid, block)
    const isKept = await this.#keep(cid, block)
    if (isKept) {
      await node.announceBlock(cid)
    }
    this.fetched[source]++
    return { block, isKept }
  }

  /** @returns whether there was room for it; whoever waits for it gets it either way */
  async #keep(cid: CID, block: Uint8Array): Promise<boolean> {
    try {
      await this.#components.blockstore.put(cid, block, { evictable: true })
      return true
    } catch (err) {
      if ((err as Error).name !== 'StorageFullError') {
        throw err
      }
      this.#components.log.debug('no room to keep a block', { cid: cid.toString(), err })
      return false
    }
  }

  async #first<T>(cid: CID, sources: Array<Promise<T>>, signal: AbortSignal): Promise<T> {
    try {
      return await Promise.any(sources)
    } catch (err) {
      signal.throwIfAborted()
      throw new UnavailableError(`No peer or gateway delivered ${cid.toString()}`, { cause: err })
    }
  }
}
