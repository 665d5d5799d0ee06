import { setTimeout as sleep } from 'node:timers/promises'
import type { CID } from 'multiformats/cid'
import type { Logger } from '../../log.ts'
import type { BlockSession } from '../node/patches/bounded-bitswap.ts'
import { UnavailableError } from '../errors.ts'
import type { IpfsNode } from '../node/node.ts'

/** Peers that are asked for the blocks of one file at a time */
const minMaxProviders = 5
const maxMaxProviders = 20
/** Between two tries to find peers; doubled each time */
const firstRetry = 250
const maxRetry = 2000
/** How often a block is asked for within the timeout */
const attempts = 3

export interface RetrievalSessionComponents {
  node: IpfsNode
  slots?: FetchSlots | undefined
  log: Logger
}

export interface RetrievalSessionInit {
  /** Milliseconds */
  timeout: number
  /** Address of whoever asks */
  client?: string | undefined
}

/** Counts who waits for something from elsewhere */
export interface FetchSlots {
  /** @throws where too many do, or too many for this client */
  take: (client: string | undefined) => Disposable
}

/**
 * The peers that have one file. Made of the connected ones and of those that routing finds; peers that connect
 * meanwhile join. It is closed once it was disposed of and the last fetch through it has ended.
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

  constructor(components: RetrievalSessionComponents, init: RetrievalSessionInit) {
    this.#client = init.client
    this.#components = components
    this.#timeout = init.timeout
  }

  get hasPeers(): boolean {
    return this.#components.node.peerCount > 0
  }

  /**
   * To be called before anything is waited for; what is here already takes no slot
   *
   * @throws what {@link FetchSlots.take} throws
   */
  takeSlot(): void {
    this.#slot ??= this.#components.slots?.take(this.#client)
  }

  /** To be called for each block that has come, from wherever */
  progressed(): void {
    this.#lastProgress = performance.now()
  }

  /** A signal that fires when nothing has come for the timeout, or with one of `signals` */
  watch(signals: AbortSignal[], timeout = this.#timeout): { signal: AbortSignal } & Disposable {
    const stalled = new AbortController()
    const began = performance.now()
    let timer: NodeJS.Timeout
    const check = (): void => {
      const left = Math.max(began, this.#lastProgress) + timeout - performance.now()
      if (left <= 0) {
        stalled.abort(new UnavailableError(`Nothing came for ${timeout / 1000} s`))
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
   * Asks peers for a block until one delivers it or the signal fires. The block is checked, but not stored.
   *
   * @throws NodeOfflineError at once where the node is offline
   */
  async fetch(cid: CID, signal: AbortSignal): Promise<Uint8Array> {
    this.#fetches++
    try {
      for (let retry = firstRetry; ; retry = Math.min(2 * retry, maxRetry)) {
        // a block that is lost on the way, as with a stream that was reset, is asked for again before the reader gives
        // up
        using attempt = this.watch([signal], this.#timeout / attempts)
        try {
          return await this.#get(cid, attempt.signal)
        } catch (err) {
          if (signal.aborted || (err as Error).name === 'NodeOfflineError') {
            throw err
          }
          this.#components.log.debug('no peer has a block yet', { cid: cid.toString(), err })
          // the next try asks the peers that are connected by then
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
    }
  }

  #close(): void {
    this.#session?.closed.abort()
    this.#session = undefined
  }
}
