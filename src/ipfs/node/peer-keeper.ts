import { setMaxListeners } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { multiaddr } from '@multiformats/multiaddr'
import { NetworkConfigError } from './network-errors.ts'
import { isNameOfPeers, PeersByName } from './peers-by-name.ts'
import type { Logger } from '../../log.ts'
import type { PeerId, PeerInfo } from '@libp2p/interface'
import type { Multiaddr } from '@multiformats/multiaddr'
import type { Libp2p } from 'libp2p'

/*
 * Dials peers in the background, as libp2p itself dials none that it discovers
 *
 * configured peers    stay connected: dialled again after 1 s, 2 s, ... 1 min; by a name without a peer id, all nodes
 *                     that it leads to
 * bootstrap peers     are dialled at the start, and whenever fewer than 4 peers are connected
 * peers seen by mDNS  are dialled when seen, and at most once a minute where that fails
 */

const second = 1000
const minute = 60 * second
const dialTimeout = 15 * second
const firstDelay = second
const lastDelay = minute
const bootstrapInterval = 30 * second
const fewPeers = 4
const maxFound = 1000

/** Connections to peers with this tag are the last to be closed when there are too many */
const tag = 'configured'

export interface PeerKeeperComponents {
  libp2p: Libp2p
  log: Logger
}

export interface PeerKeeperInit {
  peers: readonly Multiaddr[]
  bootstrap: readonly Multiaddr[]
}

export class PeerKeeper {
  readonly #libp2p: Libp2p
  readonly #log: Logger
  readonly #init: PeerKeeperInit
  readonly #found = new Map<string, number>()
  /** Ids of configured peers, where an address has none once it was dialled */
  readonly #configured = new Set<string>()
  #controller: AbortController | undefined
  #loops: Array<Promise<void>> = []

  constructor(components: PeerKeeperComponents, init: PeerKeeperInit) {
    this.#libp2p = components.libp2p
    this.#log = components.log
    this.#init = init
    setMaxListeners(0, this.#libp2p)
    for (const address of init.peers) {
      const last = address.getComponents().at(-1)
      if (last?.name === 'p2p' && last.value !== undefined) {
        this.#configured.add(last.value)
      }
    }
  }

  /** Whether the configuration names a peer, by its id or by an address at which it was found */
  isConfigured(peer: string): boolean {
    return this.#configured.has(peer)
  }

  start(): void {
    if (this.#controller !== undefined) {
      return
    }

    this.#controller = new AbortController()
    const { signal } = this.#controller
    setMaxListeners(0, signal)

    this.#loops = this.#init.peers.map(async address =>
      isNameOfPeers(address) ? this.#keepAll(address, signal) : this.#keep(address, signal),
    )

    if (this.#init.bootstrap.length > 0) {
      this.#loops.push(this.#bootstrap(signal))
    }
  }

  async stop(): Promise<void> {
    this.#controller?.abort()
    this.#controller = undefined
    await Promise.all(this.#loops)
    this.#loops = []
  }

  /** Dials a peer seen on the local network, unless it is connected or a dial failed less than a minute ago */
  found({ id, multiaddrs }: PeerInfo): void {
    const signal = this.#controller?.signal
    const peer = id.toString()

    if (
      signal === undefined ||
      this.#libp2p.getConnections(id).length > 0 ||
      (this.#found.get(peer) ?? 0) > Date.now()
    ) {
      return
    }

    if (this.#found.size >= maxFound) {
      this.#found.clear()
    }

    this.#found.set(peer, Date.now() + minute)
    void this.#dial(
      multiaddrs.map(address => address.encapsulate(`/p2p/${peer}`)),
      signal,
    ).then(
      () => {
        this.#found.delete(peer)
      },
      (err: unknown) => {
        this.#log.debug('cannot dial a peer of the local network', { peer, error: String(err) })
      },
    )
  }

  async #keepAll(address: Multiaddr, signal: AbortSignal): Promise<void> {
    const components = {
      dial: async (...args: [Multiaddr, AbortSignal]) => {
        const connection = await this.#dial(...args)
        await this.#note(connection.remotePeer)
        return connection
      },
      isConnected: (peer: PeerId) => this.#libp2p.getConnections(peer).length > 0,
      log: this.#log,
    }
    await new PeersByName(components, address).run(signal)
  }

  async #keep(address: Multiaddr, signal: AbortSignal): Promise<void> {
    let delay = firstDelay
    let reported = false

    while (!signal.aborted) {
      try {
        const { remotePeer } = await this.#dial(address, signal)
        this.#log.info('peer connected', { peer: remotePeer.toString(), address: address.toString() })
        delay = firstDelay
        reported = false
        await this.#note(remotePeer)
        await this.#disconnected(remotePeer, signal)
        this.#log.debug('peer disconnected', { peer: remotePeer.toString(), address: address.toString() })
      } catch (err) {
        if (!signal.aborted) {
          this.#log[reported ? 'debug' : 'info']('cannot dial a configured peer, trying again', {
            address: address.toString(),
            error: String(err),
          })
          reported = true
        }
      }

      await pause(delay * (0.75 + Math.random() / 2), signal)
      delay = Math.min(delay * 2, lastDelay)
    }
  }

  async #note(peer: PeerId): Promise<void> {
    this.#configured.add(peer.toString())
    await this.#libp2p.peerStore.merge(peer, { tags: { [tag]: { value: 100 } } })
  }

  async #bootstrap(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      if (this.#libp2p.getPeers().length < fewPeers) {
        await Promise.all(
          this.#init.bootstrap.map(async address => {
            try {
              await this.#dial(address, signal)
            } catch (err) {
              this.#log.debug('cannot dial a bootstrap peer', { address: address.toString(), error: String(err) })
            }
          }),
        )
      }

      await pause(bootstrapInterval, signal)
    }
  }

  async #dial(address: Multiaddr | Multiaddr[], signal: AbortSignal): ReturnType<Libp2p['dial']> {
    return this.#libp2p.dial(address, { signal: AbortSignal.any([signal, AbortSignal.timeout(dialTimeout)]) })
  }

  async #disconnected(peer: PeerId, signal: AbortSignal): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    const onDisconnect = (event: CustomEvent<PeerId>): void => {
      if (event.detail.equals(peer)) {
        resolve()
      }
    }

    this.#libp2p.addEventListener('peer:disconnect', onDisconnect)
    signal.addEventListener(
      'abort',
      () => {
        resolve()
      },
      { once: true },
    )

    try {
      if (!signal.aborted && this.#libp2p.getConnections(peer).length > 0) {
        await promise
      }
    } finally {
      this.#libp2p.removeEventListener('peer:disconnect', onDisconnect)
    }
  }
}

/** @throws NetworkConfigError */
export function parseAddresses(addresses: readonly string[], what: string): Multiaddr[] {
  return addresses.map(address => parseAddress(address, what))
}

/** @throws NetworkConfigError */
export function parseAddress(address: string, what: string): Multiaddr {
  try {
    return multiaddr(address)
  } catch (err) {
    throw new NetworkConfigError(
      `${address} is not a multiaddr of ${what}, such as /ip4/192.0.2.1/tcp/4001/p2p/12D3Koo...`,
      { cause: err },
    )
  }
}

async function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  // ends early, and quietly, when stopped
  await sleep(milliseconds, undefined, { signal, ref: false }).catch(() => {})
}
