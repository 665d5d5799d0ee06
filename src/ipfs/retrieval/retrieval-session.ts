import { setTimeout as sleep } from 'node:timers/promises'
import type { CID } from 'multiformats/cid'
import type { Logger } from '../../log.ts'
import type { BlockSession } from '../node/patches/bounded-bitswap.ts'
import { UnavailableError } from '../errors.ts'
import type { IpfsNode } from '../node/node.ts'

/** Peers that are asked for the blocks of one file at a time: as many as are connected, within these bounds */
const minMaxProviders = 5
const maxMaxProviders = 20
/** Pause between two tries to find peers, which doubles each time; milliseconds */
const firstRetry = 250
const maxRetry = 2000
/** How many times a block is asked for within the timeout */
const attempts = 3

export interface RetrievalSessionComponents {
  node: IpfsNode
  slots?: FetchSlots | undefined
  /** Has those that go on; @default nobody looks at them */
  transfers?: Set<Transfer> | undefined
  log: Logger
}

/** Content that comes from elsewhere now */
export interface Transfer {
  /** CID of what is read */
  cid: string
  /** Address of the client that asks */
  client: string | undefined
  /** ISO 8601 */
  started: string
  /** Bytes that came so far, by where they came from */
  came: { peer: number; gateway: number }
}

export interface RetrievalSessionInit {
  /** A fetch fails when no block has come for this long; milliseconds */
  timeout: number
  /** CID of what is read */
  cid: string
  /** Address of the client that asks */
  client?: string | undefined
}

/** Counts the reads that wait for blocks from elsewhere */
export interface FetchSlots {
  /** @throws where too many wait, in all or for this client */
  take: (client: string | undefined) => Disposable
}

/**
 * The fetching of one file from peers. It begins with the connected peers and those that routing finds, and peers that
 * connect later join. It is closed when it has been disposed of and its last fetch has ended.
 */
export class RetrievalSession implements Disposable {
  readonly #components: RetrievalSessionComponents
  readonly #timeout: number
  #session: { blocks: BlockSession; closed: AbortController } | undefined
  #lastProgress = performance.now()
  readonly #client: string | undefined
  #slot: Disposable | undefined
  #fetches = 0
  #disposed = false
  /** Undefined before anything was fetched */
  #transfer: Transfer | undefined
  readonly #cid: string

  constructor(components: RetrievalSessionComponents, init: RetrievalSessionInit) {
    this.#client = init.client
    this.#cid = init.cid
    this.#components = components
    this.#timeout = init.timeout
  }

  get hasPeers(): boolean {
    return this.#components.node.peerCount > 0
  }

  /**
   * Takes a slot for the client, once. To be called before the first fetch: a file that is here already needs none.
   *
   * @throws what {@link FetchSlots.take} throws
   */
  takeSlot(): void {
    this.#slot ??= this.#components.slots?.take(this.#client)
    if (this.#transfer === undefined) {
      const started = new Date().toISOString()
      this.#transfer = { cid: this.#cid, client: this.#client, started, came: { peer: 0, gateway: 0 } }
      this.#components.transfers?.add(this.#transfer)
    }
  }

  /** To be called for each block that has come */
  progressed(bytes: number, source: keyof Transfer['came']): void {
    this.#lastProgress = performance.now()
    if (this.#transfer !== undefined) {
      this.#transfer.came[source] += bytes
    }
  }

  /** A signal that fires when no block has come for `timeout` milliseconds, or when one of `signals` does */
  watch(signals: AbortSignal[], timeout = this.#timeout): { signal: AbortSignal } & Disposable {
    const stalled = new AbortController()
    const began = performance.now()
    let timer: NodeJS.Timeout
    const check = (): void => {
      const left = Math.max(began, this.#lastProgress) + timeout - performance.now()
      if (left <= 0) {
        stalled.abort(new UnavailableError(`No block came for ${timeout / 1000} s`))
      } else {
        timer = setTimeout(check, left)
      }
    }
    check()
    return {
      signal: AbortSignal.any([stalled.signal, ...signals]),
      [Symbol.dispose]: () => {
        clearTimeout(timer)
      },
    }
  }

  /**
   * Asks peers for a block until one delivers it or the signal fires. The block matches its CID, and is not stored
   * here.
   *
   * @throws NodeOfflineError without a retry where the node is offline
   */
  async fetch(cid: CID, signal: AbortSignal): Promise<Uint8Array> {
    this.#fetches++
    try {
      for (let retry = firstRetry; ; retry = Math.min(2 * retry, maxRetry)) {
        // a block can get lost, for example with a stream that is reset: it is asked for again before the read fails
        using attempt = this.watch([signal], this.#timeout / attempts)
        try {
          return await this.#get(cid, attempt.signal)
        } catch (err) {
          if (signal.aborted || (err as Error).name === 'NodeOfflineError') {
            throw err
          }
          this.#components.log.debug('no peer has delivered the block yet', { cid: cid.toString(), err })
          // so that the next try asks the peers that are connected by then
          this.#close()
        }
        await sleep(retry, undefined, { signal })
      }
    } finally {
      this.#fetches--
      this.#closeUnused()
    }
  }

  [Symbol.dispose](): void {
    this.#disposed = true
    this.#slot?.[Symbol.dispose]()
    this.#closeUnused()
  }

  async #get(cid: CID, signal: AbortSignal): Promise<Uint8Array> {
    this.#session ??= this.#open()
    const { blocks, closed } = this.#session
    return await blocks.retrieve(cid, { signal: AbortSignal.any([signal, closed.signal]) })
  }

  #open(): { blocks: BlockSession; closed: AbortController } {
    const { node } = this.#components
    const providers = node.libp2p?.getPeers().map(peer => peer.toCID()) ?? []
    const maxProviders = Math.min(maxMaxProviders, Math.max(minMaxProviders, providers.length))
    return { blocks: node.createBlockSession({ providers, maxProviders }), closed: new AbortController() }
  }

  #closeUnused(): void {
    if (this.#disposed && this.#fetches === 0) {
      this.#close()
      if (this.#transfer !== undefined) {
        this.#components.transfers?.delete(this.#transfer)
      }
    }
  }

  #close(): void {
    this.#session?.closed.abort()
    this.#session = undefined
  }
}
