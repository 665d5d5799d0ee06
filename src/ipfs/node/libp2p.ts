import { setTimeout as sleep } from 'node:timers/promises'
import { circuitRelayTransport } from '@libp2p/circuit-relay-v2'
import { dcutr } from '@libp2p/dcutr'
import { identify, identifyPush } from '@libp2p/identify'
import { kadDHT, removePrivateAddressesMapper, removePublicAddressesMapper, type KadDHTInit } from '@libp2p/kad-dht'
import { mdns } from '@libp2p/mdns'
import { ping } from '@libp2p/ping'
import { webSockets } from '@libp2p/websockets'
import { DhtDatastore } from './dht-records.ts'
import { boundedPreSharedKey } from './patches/bounded-cipher.ts'
import { leanNoise } from './patches/lean-noise.ts'
import { leanTcp } from './patches/lean-tcp.ts'
import { leanYamux } from './patches/lean-yamux.ts'
import { NetworkConfigError, NodeOfflineError } from './network-errors.ts'
import { parseSwarmKey } from './swarm-key.ts'
import type { PeerInfo } from '@libp2p/interface'
import type { Ping } from '@libp2p/ping'
import type { Libp2pOptions } from 'libp2p'

/*
 * What each network profile opens, and to whom it speaks
 *
 *            listens on      dials            finds peers by             DHT                 told to others
 * offline    nothing         nothing          nothing                    none                nothing
 * lan        TCP             TCP              mDNS, configured peers     none                addresses, to connected peers
 * private    TCP, pnet       TCP, pnet        the same and bootstrap     WAN and LAN, pnet   the same, within the swarm
 * public     TCP, relays     TCP, WebSockets  bootstrap                  WAN and LAN         addresses, and what is provided
 *
 * No profile listens on WebSockets: a browser wants them with a certificate, which belongs to a proxy.
 * The relays of `public` are used as a client, where a peer can't reach us; we are no relay ourselves.
 * No profile asks an HTTP router, opens a port of the gateway (UPnP), or asks for a certificate.
 *
 * The DHT comes twice, as in kubo: /ipfs/kad/1.0.0 for public addresses, /ipfs/lan/kad/1.0.0 for private ones.
 * Storing a block tells the DHT nothing. Only a call of `helia.routing.provide()` does.
 */
export type NetworkProfile = 'offline' | 'lan' | 'private' | 'public'

export interface Libp2pInit {
  network: Exclude<NetworkProfile, 'offline'>
  /** Multiaddrs */
  listen: readonly string[]
  /** Multiaddrs to tell to others instead of those listened on */
  announce: readonly string[]
  /** Content of a `swarm.key`; `private` needs one, other profiles take none */
  swarmKey?: Uint8Array | undefined
  /** @default 300, or 200 for `public` */
  maxConnections?: number | undefined
  logger: NonNullable<Libp2pOptions['logger']>
  /** Called again and again for each peer that mDNS sees */
  onPeer: (peer: PeerInfo) => void
}

/** The DHT asks for `ping`; the rest goes by the interfaces that each service has for libp2p */
export interface Services {
  ping: Ping
  [name: string]: unknown
}

const second = 1000

/** Peers of kubo's default configuration */
export const publicBootstrap: readonly string[] = [
  '/dnsaddr/bootstrap.libp2p.io/p2p/QmNnooDu7bfjPFoTZYxMNLWUQJyrVwtbZg5gBMjTezGAJN',
  '/dnsaddr/bootstrap.libp2p.io/p2p/QmbLHAnMoJPWSCR5Zhtx6BHJX9KiKNN6tpvbUcqanj75Nb',
  '/dnsaddr/bootstrap.libp2p.io/p2p/QmcZf59bWwK5XFi76CZX8cbJ4BhTzzA3gU1ZjYZYcW3dwt',
  '/dnsaddr/va1.bootstrap.libp2p.io/p2p/12D3KooWKnDdG3iXw9eTFijk3EWSunZcFi54Zka4wmtqtt6rPxc8',
  '/ip4/104.131.131.82/tcp/4001/p2p/QmaCpDMGvV2BGHeYERUEnRQAwe3N8SzbUtfsmvsqQLuvuJ',
]

const defaultMaxConnections = { lan: 300, private: 300, public: 200 }

/** @throws NetworkConfigError */
export function libp2pOptions(init: Libp2pInit): Libp2pOptions<Services> {
  const services = {
    identify: identify(),
    identifyPush: identifyPush(),
    ping: ping(),
    ...(init.network === 'lan' ? {} : dualDht()),
    ...(init.network === 'public' ? { dcutr: dcutr() } : {}),
  }
  const options: Libp2pOptions<Services> = {
    logger: init.logger,
    addresses: {
      listen: [...init.listen],
      announce: [...init.announce],
    },
    transports: [leanTcp()],
    connectionEncrypters: [leanNoise()],
    streamMuxers: [leanYamux({ streamOptions, maxInboundStreams })],
    services,
    connectionManager: {
      maxConnections: init.maxConnections ?? defaultMaxConnections[init.network],
      maxParallelDials: 32,
      // appliances behind one address (NAT, one host) come back together after an outage
      inboundConnectionThreshold: 32,
      maxIncomingPendingConnections: 64,
    },
    connectionMonitor: {
      // a node that hashes, or a link full of blocks, answers late: that is no reason to cut it off
      pingTimeout: { minTimeout: 20 * second, maxTimeout: 60 * second },
    },
  }

  if (init.network === 'private') {
    if (init.swarmKey == null) {
      throw new NetworkConfigError('The private network needs a swarm key')
    }

    options.connectionProtector = boundedPreSharedKey({ psk: parseSwarmKey(init.swarmKey) })
  } else if (init.swarmKey != null) {
    throw new NetworkConfigError(`A swarm key is for the private network, and this one is ${init.network}`)
  }

  if (init.network === 'public') {
    options.transports?.push(webSockets(), circuitRelayTransport())
    options.addresses?.listen?.push('/p2p-circuit')
    options.peerRouters = [() => slowWalk]
  } else {
    options.peerDiscovery = [watchedMdns(init.onPeer)]
  }

  return options
}

/**
 * A peer may send as much as the window before it is told to wait. libp2p's own buffer of 4 MiB is smaller than its own window of 16 MiB, so
 * that a stream of blocks which arrives faster than it is read would be reset.
 */
const streamOptions = {
  initialStreamWindowSize: 256 * 1024,
  maxStreamWindowSize: 4 * 1024 * 1024,
  maxReadBufferLength: 16 * 1024 * 1024,
  inactivityTimeout: 120 * second,
}

/** On one connection: what a peer has sent on each, and nobody has read yet, is kept */
const maxInboundStreams = 256

type PeerDiscoveryFactory = NonNullable<Libp2pOptions['peerDiscovery']>[number]

/** Between two questions for peers on the LAN: nodes that start together miss each other's first one; milliseconds */
const mdnsInterval = 2000

/** libp2p tells of a peer only when it is new to the peer store, so that one known from an earlier run would never be dialled */
function watchedMdns(onPeer: Libp2pInit['onPeer']): PeerDiscoveryFactory {
  return components => {
    const discovery = mdns({ interval: mdnsInterval })(components)
    discovery.addEventListener('peer', event => {
      onPeer(event.detail)
    })

    return discovery
  }
}

/**
 * Makes a look-up of peers last a while, though it tells of each peer at once
 *
 * The search for relays walks the DHT without a pause: with no peer, or only those it knows, that is a busy loop.
 */
const slowWalk = {
  async findPeer(): Promise<never> {
    throw new NodeOfflineError('This router knows no peers')
  },

  async *getClosestPeers(_key: Uint8Array, options: { signal?: AbortSignal } = {}): AsyncGenerator<never> {
    yield* await sleep(10 * second, [], { ref: false, ...options })
  },
}

function dualDht(): Record<'wan' | 'lan', ReturnType<typeof kadDHT>> {
  return {
    wan: boundedDht({
      protocol: '/ipfs/kad/1.0.0',
      peerInfoMapper: removePrivateAddressesMapper,
      logPrefix: 'libp2p:dht-wan',
      datastorePrefix: '/dht-wan',
      metricsPrefix: 'libp2p_dht_wan',
      // a network of private addresses has no peers here: answer so, instead of waiting for one
      allowQueryWithZeroPeers: true,
    }),
    lan: boundedDht({
      protocol: '/ipfs/lan/kad/1.0.0',
      peerInfoMapper: removePublicAddressesMapper,
      clientMode: false,
      logPrefix: 'libp2p:dht-lan',
      datastorePrefix: '/dht-lan',
      metricsPrefix: 'libp2p_dht_lan',
      allowQueryWithZeroPeers: true,
    }),
  }
}

/** A DHT with a datastore of its own, which is not filled by others */
function boundedDht(init: KadDHTInit & { datastorePrefix: string }): ReturnType<typeof kadDHT> {
  return components => {
    const datastore = new DhtDatastore(components, { prefix: init.datastorePrefix })
    // libp2p's components can't be copied, as they are looked up when they are asked for
    return kadDHT(init)(
      new Proxy(components, { get: (target, name) => (name === 'datastore' ? datastore : Reflect.get(target, name)) }),
    )
  }
}
