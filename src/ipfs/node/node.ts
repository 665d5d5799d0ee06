import { setTimeout as sleep } from 'node:timers/promises'
import { withLibp2pLight } from '@helia/libp2p'
import { createHeliaLight } from 'helia'
import { sha512 } from 'multiformats/hashes/sha2'
import {
  announceBlock,
  createBlockSession,
  withBoundedBitswap,
  type BlockSession,
  type BlockSessionInit,
} from './patches/bounded-bitswap.ts'
import { componentLogger } from './libp2p-logger.ts'
import { noteProtocolsRarely } from './patches/lean-peer-store.ts'
import { libp2pOptions, publicBootstrap } from './libp2p.ts'
import { listenAddresses } from './listen.ts'
import { ListenError, NodeOfflineError } from './network-errors.ts'
import { defaultPeerLimits, limitConnections, type PeerLimits } from './peer-limits.ts'
import type { Peer } from './peer.ts'
import { PeerKeeper, parseAddress, parseAddresses } from './peer-keeper.ts'
import type { Libp2pInit, NetworkProfile } from './libp2p.ts'
import type { Logger } from '../../log.ts'
import type { Helia } from 'helia'
import type { Blockstore } from 'interface-blockstore'
import type { Libp2p } from 'libp2p'
import type { CID } from 'multiformats/cid'

export type { NetworkProfile } from './libp2p.ts'

export interface IpfsNodeInit {
  network: NetworkProfile
  /** Address or name of this machine to listen on: `0.0.0.0` for all of IPv4, `::` for all of both */
  host: string
  /**
   * TCP port of libp2p; 0 for any free one
   *
   * @default 4001, or any free port where that is taken
   */
  port?: number | undefined
  /** Multiaddrs of peers to keep connected */
  peers: readonly string[]
  /** Multiaddrs of peers that know others; `public` adds those of kubo */
  bootstrap: readonly string[]
  /** Multiaddrs to tell to others instead of those listened on */
  announce: readonly string[]
  /** Content of a `swarm.key`; `private` needs one, other profiles take none */
  swarmKey?: Uint8Array | undefined
  /** @default {@link defaultPeerLimits} */
  limits?: PeerLimits | undefined
}

export interface IpfsNodeComponents {
  /** Opened and closed by the caller */
  blockstore: Blockstore
  /** Opened and closed by the caller. Holds the identity of the node, which the first start makes. */
  datastore: Helia['datastore']
  log: Logger
}

const second = 1000

/** For each step of the stop */
const stopTimeout = 5 * second

interface Running {
  helia: Helia
  libp2p?: Libp2p
  keeper?: PeerKeeper
}

/** The IPFS node of the appliance: Helia, with libp2p and bitswap as the network profile wants them */
export class IpfsNode {
  readonly #components: IpfsNodeComponents
  readonly #init: IpfsNodeInit
  readonly #logger: Libp2pInit['logger']
  #running: Running | undefined
  #wanted = false
  /** The last start or stop; each waits for the one before */
  #last: Promise<void> = Promise.resolve()

  constructor(components: IpfsNodeComponents, init: IpfsNodeInit) {
    this.#components = components
    this.#init = init
    this.#logger = componentLogger(components.log)
  }

  /** @throws NodeOfflineError before start() */
  get helia(): Helia {
    if (this.#running == null) {
      throw new NodeOfflineError('The IPFS node has not started')
    }

    return this.#running.helia
  }

  /** Undefined when offline or stopped */
  get libp2p(): Libp2p | undefined {
    return this.#running?.libp2p
  }

  /** Undefined when offline or stopped */
  get peerId(): string | undefined {
    return this.libp2p?.peerId.toString()
  }

  /** What others are told to dial, each with the peer id */
  get multiaddrs(): string[] {
    return this.libp2p?.getMultiaddrs().map(String) ?? []
  }

  get peerCount(): number {
    return this.libp2p?.getPeers().length ?? 0
  }

  peers(): Peer[] {
    return (
      this.libp2p?.getConnections().map(connection => ({
        peer: connection.remotePeer.toString(),
        address: connection.remoteAddr.toString(),
        direction: connection.direction,
        limited: connection.limits != null,
        latency: connection.rtt,
      })) ?? []
    )
  }

  /**
   * Connects to a peer, or finds the connection there is already
   *
   * @returns the peer id
   * @throws NodeOfflineError, NetworkConfigError, or what libp2p throws where the peer can't be reached
   */
  async connect(address: string, options: { signal?: AbortSignal | undefined } = {}): Promise<string> {
    if (this.libp2p == null) {
      throw new NodeOfflineError()
    }

    const connection = await this.libp2p.dial(
      parseAddress(address, 'a peer'),
      options.signal == null ? {} : { signal: options.signal },
    )

    return connection.remotePeer.toString()
  }

  /** @throws NodeOfflineError */
  createBlockSession(init: BlockSessionInit): BlockSession {
    if (this.libp2p == null) {
      throw new NodeOfflineError()
    }

    return createBlockSession(this.helia, init)
  }

  /** Sends a block that is stored now to the peers that want it, if there are any */
  async announceBlock(cid: CID): Promise<void> {
    if (this.libp2p != null) {
      await announceBlock(this.helia, cid)
    }
  }

  /** @throws NetworkConfigError, ListenError */
  async start(): Promise<void> {
    this.#wanted = true
    this.#last = this.#last.then(
      async () => this.#start(),
      async () => this.#start(),
    )

    return this.#last
  }

  async stop(): Promise<void> {
    this.#wanted = false
    const before = this.#last.catch(() => {})
    this.#last = this.#finish('start', before).then(async () => this.#stop())

    return this.#last
  }

  async #start(): Promise<void> {
    if (this.#running != null || !this.#wanted) {
      return
    }

    const running =
      this.#init.network === 'offline' ? await this.#startOffline() : await this.#startOnline(this.#init.network)
    this.#running = running

    // a stop that did not wait any longer
    if (!this.#wanted) {
      return this.#stop()
    }

    this.#components.log.info('IPFS node started', {
      network: this.#init.network,
      peer: this.peerId,
      addresses: this.multiaddrs,
    })
  }

  async #stop(): Promise<void> {
    const running = this.#running
    this.#running = undefined

    if (running != null) {
      await this.#halt(running)
      this.#components.log.info('IPFS node stopped')
    }
  }

  async #startOffline(): Promise<Running> {
    const helia = this.#create()
    await this.#startOrStop(helia)

    return { helia }
  }

  async #startOnline(network: Libp2pInit['network']): Promise<Running> {
    const { host, port, announce, swarmKey, limits = defaultPeerLimits } = this.#init
    const peers = parseAddresses(this.#init.peers, 'a peer')
    const bootstrap = parseAddresses(
      [...(network === 'public' ? publicBootstrap : []), ...this.#init.bootstrap],
      'a bootstrap peer',
    )
    parseAddresses(announce, 'an address to announce')

    const options = libp2pOptions({
      network,
      listen: await listenAddresses(host, port, this.#components.log),
      announce,
      swarmKey,
      maxConnections: limits.connections,
      logger: this.#logger,
      onPeer: peer => {
        this.#running?.keeper?.found(peer)
      },
    })
    const helia = withBoundedBitswap(withLibp2pLight(this.#create(), options), limits)
    await this.#startOrStop(helia)

    const { libp2p } = helia
    limitConnections(libp2p, limits.connectionsPerPeer)
    noteProtocolsRarely(libp2p)
    const keeper = new PeerKeeper({ libp2p, log: this.#components.log }, { peers, bootstrap })
    keeper.start()

    return { helia, libp2p, keeper }
  }

  #create(): Helia {
    const { blockstore, datastore } = this.#components

    return createHeliaLight({ blockstore, datastore, logger: this.#logger, hashers: [sha512] })
  }

  async #startOrStop(helia: Helia): Promise<void> {
    try {
      await helia.start()
    } catch (err) {
      await this.#halt({ helia })

      if (err instanceof Error && err.name === 'UnsupportedListenAddressesError') {
        throw new ListenError('The IPFS node cannot listen on its addresses', { cause: err })
      }

      throw err
    }
  }

  async #halt({ helia, libp2p, keeper }: Running): Promise<void> {
    if (keeper != null) {
      await this.#finish('dialling of peers', keeper.stop())
    }

    const stopped = helia.stop()

    if (!(await this.#finish('network', stopped))) {
      for (const connection of libp2p?.getConnections() ?? []) {
        connection.abort(new Error('The IPFS node stops'))
      }

      await this.#finish('network', stopped)
    }
  }

  /** Waits for a step of the stop, but not forever; tells whether it ended */
  async #finish(step: string, promise: Promise<unknown>): Promise<boolean> {
    const { log } = this.#components
    const controller = new AbortController()

    try {
      return await Promise.race([
        promise.then(
          () => true,
          (err: unknown) => {
            log.warn('A step of the stop of the IPFS node failed', { step, error: String(err) })

            return true
          },
        ),
        sleep(stopTimeout, false, { signal: controller.signal }),
      ])
    } finally {
      controller.abort()
    }
  }
}
