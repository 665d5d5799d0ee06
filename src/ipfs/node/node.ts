/*
 * src/ipfs/node: the IPFS node of the appliance, which is Helia with libp2p and bitswap
 *
 *   node.ts                       the node, as all others see it: begin here
 *   running-node.ts               how it starts and stops
 *   libp2p.ts, dht, listen        what each network profile opens, and to whom it speaks
 *   peer-keeper, peer-limits      which peers it dials, and what they may make it hold
 *   provider, root-queue          tells the DHT which image roots are here
 *   patches/                      all that changes a package of somebody else; see its patches.ts
 *
 * May import: src/oci, src/scheduling, types of src/log.ts. Its own patches may not import it.
 */
import type { Helia } from 'helia'
import type { Libp2p } from 'libp2p'
import type { CID } from 'multiformats/cid'
import { NodeOfflineError } from './network-errors.ts'
import {
  announceBlock,
  createBlockSession,
  type BlockSession,
  type BlockSessionInit,
} from './patches/bounded-bitswap.ts'
import { Patches } from './patches/patches.ts'
import { parseAddress } from './peer-keeper.ts'
import { PeerTraffic } from './peer-traffic.ts'
import type { Peer, PeerDescription } from './peer.ts'
import { finishStep, haltNode, startNode } from './running-node.ts'
import type { IpfsNodeComponents, IpfsNodeInit, RunningNode } from './running-node.ts'

export type { IpfsNodeComponents, IpfsNodeInit, PeerAccess } from './running-node.ts'

/** Characters of what a peer says that it runs */
const maxAgent = 100

/** The IPFS node of the appliance: Helia, with libp2p and bitswap as the network profile wants them */
export class IpfsNode {
  readonly #components: IpfsNodeComponents
  readonly #init: IpfsNodeInit
  readonly #traffic = new PeerTraffic()
  #running: RunningNode | undefined
  #isWanted = false
  /** The last start or stop; each waits for the one before it */
  #last: Promise<void> = Promise.resolve()

  constructor(components: IpfsNodeComponents, init: IpfsNodeInit) {
    this.#components = components
    this.#init = init
  }

  /** @throws NodeOfflineError before start() */
  get helia(): Helia {
    if (this.#running === undefined) {
      throw new NodeOfflineError('the IPFS node has not started')
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

  /** The addresses that others are told to dial, each with the peer ID */
  get multiaddrs(): string[] {
    return this.libp2p?.getMultiaddrs().map(String) ?? []
  }

  get peerCount(): number {
    return this.libp2p?.getPeers().length ?? 0
  }

  /** Whether the configuration names a peer */
  isConfigured(peer: string): boolean {
    return this.#running?.keeper?.isConfigured(peer) === true
  }

  peers(): Peer[] {
    const connections = this.libp2p?.getConnections() ?? []
    return connections.map(({ remotePeer, remoteAddr, direction, limits, rtt }) => ({
      peer: remotePeer.toString(),
      address: remoteAddr.toString(),
      direction,
      limited: limits !== undefined,
      latency: rtt,
      ...this.#traffic.of(remotePeer.toString()),
    }))
  }

  /** What is known of each connected peer, by its id */
  async describePeers(options: { signal?: AbortSignal | undefined } = {}): Promise<Map<string, PeerDescription>> {
    const { libp2p } = this
    const described = (libp2p?.getPeers() ?? []).map(async peer => {
      const known = await libp2p?.peerStore.get(peer, options).catch(() => undefined)
      const agent = known?.metadata.get('AgentVersion')
      const text = agent && new TextDecoder().decode(agent).slice(0, maxAgent)
      const id = peer.toString()
      return [id, { agent: text, isConfigured: this.isConfigured(id) }] as const
    })
    return new Map(await Promise.all(described))
  }

  /**
   * Connects to a peer, or finds the connection that exists already
   *
   * @returns the peer ID
   * @throws NodeOfflineError, NetworkConfigError, or what libp2p throws if the peer can't be reached
   */
  async connect(address: string, { signal }: { signal?: AbortSignal | undefined } = {}): Promise<string> {
    if (this.libp2p === undefined) {
      throw new NodeOfflineError()
    }
    const peer = parseAddress(address, 'a peer')
    const connection = await this.libp2p.dial(peer, signal === undefined ? {} : { signal })
    return connection.remotePeer.toString()
  }

  /** @throws NodeOfflineError */
  createBlockSession(init: BlockSessionInit): BlockSession {
    if (this.libp2p === undefined) {
      throw new NodeOfflineError()
    }
    return createBlockSession(this.helia, init)
  }

  /** Sends a block that is stored now to the peers that want it, if there are any */
  async announceBlock(cid: CID): Promise<void> {
    if (this.libp2p !== undefined) {
      await announceBlock(this.helia, cid)
    }
  }

  /** @throws NetworkConfigError, ListenError, PackageError */
  async start(): Promise<void> {
    this.#isWanted = true
    this.#last = this.#last.catch(() => {}).then(async () => await this.#start())
    await this.#last
  }

  async stop(): Promise<void> {
    this.#isWanted = false
    const before = this.#last.catch(() => {})
    this.#last = finishStep('start', before, this.#components.log).then(async () => await this.#stop())
    await this.#last
  }

  async #start(): Promise<void> {
    if (this.#running !== undefined || !this.#isWanted) {
      return
    }
    const { log } = this.#components
    const patches = this.#components.patches ?? new Patches({ log })
    this.#running = await startNode({ ...this.#components, patches, traffic: this.#traffic }, this.#init)
    // a stop may have come meanwhile, and waited no longer
    if (!this.#isWanted) {
      await this.#stop()
      return
    }
    log.info('IPFS node started', { network: this.#init.network, peer: this.peerId, addresses: this.multiaddrs })
  }

  async #stop(): Promise<void> {
    const running = this.#running
    this.#running = undefined
    if (running !== undefined) {
      await haltNode(running, this.#components.log)
      this.#components.log.info('IPFS node stopped')
    }
  }
}
