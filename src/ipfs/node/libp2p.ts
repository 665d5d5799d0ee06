import { setTimeout as sleep } from 'node:timers/promises'
import { circuitRelayTransport } from '@libp2p/circuit-relay-v2'
import { dcutr } from '@libp2p/dcutr'
import { identify, identifyPush } from '@libp2p/identify'
import { mdns } from '@libp2p/mdns'
import { ping } from '@libp2p/ping'
import { webSockets } from '@libp2p/websockets'
import { defaultMaxConnections } from './peer-limits.ts'
import { dualDht } from './dht.ts'
import type { MayProvide } from './dht-records.ts'
import { boundedPreSharedKey } from './patches/bounded-cipher.ts'
import { leanNoise } from './patches/lean-noise.ts'
import { leanTcp } from './patches/lean-tcp.ts'
import { leanYamux } from './patches/lean-yamux.ts'
import type { Patches } from './patches/patches.ts'
import { NetworkConfigError, NodeOfflineError } from './network-errors.ts'
import { parseSwarmKey } from './swarm-key.ts'
import type { PeerInfo } from '@libp2p/interface'
import type { Ping } from '@libp2p/ping'
import type { Libp2pOptions } from 'libp2p'

/*
 * What each network profile opens, and to whom it speaks
 *
 *            listens on     dials             finds peers by           DHT                tells others
 * offline    nothing        nothing           nothing                  none               nothing
 * lan        TCP            TCP               mDNS, configured peers   none               addresses, to connected peers
 * private    TCP, pnet      TCP, pnet         the same and bootstrap   WAN and LAN, pnet  the same, within the swarm
 * public     TCP, relays    TCP, WebSockets   bootstrap                WAN and LAN        addresses, what it provides
 *
 * No profile listens on WebSockets: browsers want them with a certificate, which is the business of a reverse proxy.
 * `public` uses relays as a client, for peers that can't reach us directly; we never are a relay ourselves.
 * No profile asks an HTTP router, opens a port of the gateway (UPnP), or asks for a certificate.
 */
export type NetworkProfile = 'offline' | 'lan' | 'private' | 'public'

export interface Libp2pInit {
  network: Exclude<NetworkProfile, 'offline'>
  /** Multiaddrs */
  listen: readonly string[]
  /** Multiaddrs to tell others instead of those listened on */
  announce: readonly string[]
  /** Content of a `swarm.key`; needed by `private`, refused by the others */
  swarmKey?: Uint8Array | undefined
  /** @default 300, or 200 for `public` */
  maxConnections?: number | undefined
  /** Whether a block that was provided may still be; @default all may */
  mayProvide?: MayProvide | undefined
  logger: NonNullable<Libp2pOptions['logger']>
  /** UDP port of mDNS; @default 5353 */
  mdnsPort?: number | undefined
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

/**
 * A peer may send as much as the window before it is told to wait. libp2p's own buffer of 4 MiB is smaller than its own
 * window of 16 MiB, so it would reset a stream of blocks that arrives faster than it is read.
 */
const streamOptions = {
  initialStreamWindowSize: 256 * 1024,
  maxStreamWindowSize: 4 * 1024 * 1024,
  maxReadBufferLength: 16 * 1024 * 1024,
  inactivityTimeout: 120 * second,
}

/** On one connection: each holds what a peer has sent on it and nobody has read yet */
const maxInboundStreams = 256

/** Between two mDNS queries, as nodes that start together miss each other's first one; milliseconds */
const mdnsInterval = 2000

/** @throws NetworkConfigError */
export function libp2pOptions(patches: Patches, init: Libp2pInit): Libp2pOptions<Services> {
  const isPublic = init.network === 'public'
  const connectionProtector = protector(patches, init)
  return {
    logger: init.logger,
    addresses: {
      listen: [...init.listen, ...(isPublic ? ['/p2p-circuit'] : [])],
      announce: [...init.announce],
    },
    transports: [leanTcp(patches), ...(isPublic ? [webSockets(), circuitRelayTransport()] : [])],
    connectionEncrypters: [leanNoise(patches)],
    streamMuxers: [leanYamux(patches, { streamOptions, maxInboundStreams })],
    services: {
      identify: identify(),
      identifyPush: identifyPush(),
      ping: ping(),
      ...(init.network === 'lan' ? {} : dualDht(init.mayProvide)),
      ...(isPublic ? { dcutr: dcutr() } : {}),
    },
    connectionManager: {
      maxConnections: init.maxConnections ?? defaultMaxConnections[init.network],
      maxParallelDials: 32,
      // appliances behind one address (NAT, or one host) reconnect at the same time after an outage
      inboundConnectionThreshold: 32,
      maxIncomingPendingConnections: 64,
    },
    connectionMonitor: {
      // a node that hashes, or a link full of blocks, answers late: that is no reason to disconnect it
      pingTimeout: { minTimeout: 20 * second, maxTimeout: 60 * second },
    },
    ...(isPublic ? { peerRouters: [() => slowWalk] } : { peerDiscovery: [watchedMdns(init)] }),
    ...(connectionProtector === undefined ? {} : { connectionProtector }),
  }
}

function protector(patches: Patches, { network, swarmKey }: Libp2pInit): Libp2pOptions['connectionProtector'] {
  if (network !== 'private') {
    if (swarmKey !== undefined) {
      throw new NetworkConfigError(`a swarm key works only with network private, and network is ${network}`)
    }
    return undefined
  }
  if (swarmKey === undefined) {
    throw new NetworkConfigError('network private needs a swarm key')
  }
  return boundedPreSharedKey(patches, { psk: parseSwarmKey(swarmKey) })
}

/**
 * libp2p reports only peers that are new to its peer store, so one that is known from an earlier run would never be
 * dialled
 */
function watchedMdns({ mdnsPort, onPeer }: Libp2pInit): NonNullable<Libp2pOptions['peerDiscovery']>[number] {
  return components => {
    const port = mdnsPort === undefined ? {} : { port: mdnsPort }
    const discovery = mdns({ interval: mdnsInterval, ...port })(components)
    discovery.addEventListener('peer', event => {
      onPeer(event.detail)
    })
    return discovery
  }
}

/**
 * Makes a look-up of peers last a while; what the DHT finds is reported at once all the same
 *
 * The search for relays walks the DHT without a pause. With no peer, or only peers that it knows already, that is a
 * busy loop.
 */
const slowWalk = {
  async findPeer(): Promise<never> {
    throw new NodeOfflineError('this router knows no peers')
  },

  async *getClosestPeers(_key: Uint8Array, options: { signal?: AbortSignal } = {}): AsyncGenerator<never> {
    yield* await sleep(10 * second, [], { ref: false, ...options })
  },
}
