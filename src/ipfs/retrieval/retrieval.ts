/**
 * Content that may be here or somewhere else: blocks that are missing come from peers over bitswap and from HTTP
 * gateways, are compared with their CIDs, and are kept. A block is fetched once, however many reads wait for it.
 *
 * - `retrieval.ts` (here): a reader of files and directories that fetches what is missing
 * - `retrieving-reader.ts`: a session for each call; `retrieval-session.ts`: the peers of one file; `gateways.ts` and
 *   `gateway-blocks.ts`: HTTP gateways
 * - `repairer.ts`: fetches damaged and missing blocks of what should be here
 * - `temporary-node.ts`: a whole IPFS node for one pull of the command line
 * - `fetch-bytes.ts` and `http-address.ts`: HTTP requests to kubo and gateways
 *
 * Imports all of `src/ipfs` but `kubo`. Begin with {@link Retrieval.read}.
 */
import type { CID } from 'multiformats/cid'
import type { Logger } from '../../log.ts'
import type { DurableBlockstore } from '../blockstore/blockstore.ts'
import { withOrigin } from '../blocks/block-origins.ts'
import { BufferPool } from '../blocks/buffer-pool.ts'
import type { ContentReader, PartialReader, StoreOptions } from '../content-store.ts'
import { leafSize } from '../dag/encode-node.ts'
import { requireBlockSize } from '../dag/dag-limits.ts'
import { requireCid } from '../blocks/block-cid.ts'
import type { BlockReader } from '../content/dag-reader.ts'
import { partialBlocks } from '../content/partial-blocks.ts'
import { maxFreeBuffers } from '../content/leaf-limits.ts'
import { isMissingOrDamaged, UnavailableError } from '../errors.ts'
import { SharedCalls } from '../../scheduling/shared-calls.ts'
import { ignoring } from '../ignoring.ts'
import type { Gateways } from './gateways.ts'
import type { IpfsNode } from '../node/node.ts'
import { RetrievingReader } from './retrieving-reader.ts'
import { RetrievalSession, type FetchSlots, type Transfer } from './retrieval-session.ts'

/** Why the other source is aborted when one has delivered; one object for all blocks, as making an error is slow */
const over = new Error('the block has come')

export interface RetrievalComponents {
  /** Read first, and keeps the blocks that come */
  blockstore: DurableBlockstore
  node: IpfsNode
  gateways: Gateways
  /** Undefined means any number of reads may wait */
  slots?: FetchSlots | undefined
  /** Blocks that count as not here, although they are, by the digest of their multihash; @default none */
  withheld?: { isWithheld: (hash: Uint8Array) => boolean | Promise<boolean> } | undefined
  log: Logger
}

export interface RetrievalInit {
  /** A read fails when no block has come for this long; milliseconds */
  timeout: number
}

interface Delivery {
  block: Uint8Array
  /** False where there was no room for the block */
  isKept: boolean
  source: keyof Transfer['came']
}

/** Reads files and directories, and fetches the blocks of them that are missing */
export class Retrieval implements PartialReader {
  readonly #components: RetrievalComponents
  readonly #timeout: number
  readonly #buffers = new BufferPool(leafSize, maxFreeBuffers)
  readonly #reader: RetrievingReader
  /** By CID: a block is fetched once, however many reads wait for it */
  readonly #fetches = new SharedCalls<Delivery>()
  /** Blocks fetched since the start, by their source */
  readonly fetched = { peers: 0, gateways: 0 }
  /** What comes from elsewhere now */
  readonly transfers = new Set<Transfer>()

  constructor(components: RetrievalComponents, init: RetrievalInit) {
    this.#components = components
    this.#timeout = init.timeout
    this.#reader = this.#readerOf(session => this.#blocks(session))
  }

  read(...args: Parameters<ContentReader['read']>): AsyncGenerator<Uint8Array> {
    return this.#reader.read(...args)
  }

  async find(...args: Parameters<ContentReader['find']>): ReturnType<ContentReader['find']> {
    return await this.#reader.find(...args)
  }

  list(...args: Parameters<ContentReader['list']>): ReturnType<ContentReader['list']> {
    return this.#reader.list(...args)
  }

  async canonical(...args: Parameters<ContentReader['canonical']>): ReturnType<ContentReader['canonical']> {
    return await this.#reader.canonical(...args)
  }

  only(mayRead: Parameters<PartialReader['only']>[0]): ContentReader {
    return this.#readerOf(session => partialBlocks(this.#blocks(session), mayRead))
  }

  /**
   * Fetches one block and keeps it. This takes no slot of a client.
   *
   * @throws UnavailableError where nobody delivers it, StorageFullError where there is no room for it, RefusedDagError
   */
  async fetchBlock(cid: CID, { signal }: StoreOptions = {}): Promise<void> {
    requireCid(cid)
    const { node, log } = this.#components
    using session = new RetrievalSession({ node, log }, { timeout: this.#timeout, cid: cid.toString() })
    if (!session.hasPeers && this.#components.gateways.isEmpty) {
      throw new UnavailableError('There is no peer and no gateway')
    }
    const { block, isKept } = await this.#fetch(cid, session, signal)
    if (!isKept) {
      await this.#components.blockstore.put(cid, block)
    }
  }

  #open(cid: string, { client }: StoreOptions = {}): RetrievalSession {
    const { transfers } = this
    return new RetrievalSession({ ...this.#components, transfers }, { timeout: this.#timeout, cid, client })
  }

  #readerOf(blocks: (session: RetrievalSession) => BlockReader): RetrievingReader {
    return new RetrievingReader({ open: (cid, options) => this.#open(cid, options), blocks, buffers: this.#buffers })
  }

  #blocks(session: RetrievalSession): BlockReader {
    const { blockstore, withheld } = this.#components
    return {
      read: async (cid, options = {}) => {
        if ((await withheld?.isWithheld(cid.multihash.digest)) === true) {
          return (await this.#fetch(cid, session, options.signal)).block
        }
        // the block that is fetched replaces a damaged one
        const held = await ignoring(
          isMissingOrDamaged,
          async () => await blockstore.read(cid, { ...options, protect: true }),
        )
        return held ?? (await this.#fetch(cid, session, options.signal)).block
      },
    }
  }

  /** Starts a fetch, or joins one of the same block; a fetch is aborted when no read waits for it any more */
  async #fetch(cid: CID, session: RetrievalSession, signal: AbortSignal | undefined): Promise<Delivery> {
    session.takeSlot()
    const delivery = await this.#fetches.run(
      cid.toString(),
      async fetching => await this.#deliver(cid, session, fetching),
      { signal },
    )
    session.progressed(delivery.block.byteLength, delivery.source)
    return delivery
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
    const origin = source === 'peers' ? 'peer' : 'gateway'
    return { block: withOrigin(block, origin), isKept, source: origin }
  }

  /** @returns whether there was room for the block; the reads get it either way */
  async #keep(cid: CID, block: Uint8Array): Promise<boolean> {
    try {
      await this.#components.blockstore.put(cid, block, { evictable: true })
      return true
    } catch (err) {
      if ((err as Error).name !== 'StorageFullError') {
        throw err
      }
      this.#components.log.debug('no room to keep a fetched block', { cid: cid.toString(), err })
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
