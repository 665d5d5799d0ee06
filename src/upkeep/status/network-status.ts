/**
 * `upkeep/status` tells operators how the appliance is. It may import every other room of `upkeep`. What it tells is
 * gathered when somebody asks.
 *
 * - `network-status.ts`: the IPFS node and its peers
 * - `served-bytes.ts`: what clients got, by where it came from
 * - `storage-status.ts`: the room for blocks, and what keeps them in order
 */
import type { OwnName } from '../../ipfs/names/ipns-publisher.ts'
import type { Names } from '../../ipfs/names/names.ts'
import type { NetworkProfile } from '../../ipfs/node/libp2p.ts'
import type { Peer, PeerDescription } from '../../ipfs/node/peer.ts'
import { reachabilityOf, type Reachability } from '../../ipfs/node/reachability.ts'
import type { Retrieval } from '../../ipfs/retrieval/retrieval.ts'
import type { BlobFetches } from '../../registry/mirror/fetch/blob-fetches.ts'
import type { ServedBytes, ServedReport } from './served-bytes.ts'

/** Peers that are listed; the rest is only counted */
const maxPeers = 100
const maxTransfers = 50

export interface NetworkStatusComponents {
  node: {
    /** Undefined when offline */
    readonly peerId: string | undefined
    readonly multiaddrs: string[]
    peers: () => Peer[]
    describePeers: (options: { signal?: AbortSignal | undefined }) => Promise<Map<string, PeerDescription>>
  }
  names: Pick<Names, 'status'>
  /** How much the DHT was told; undefined where there is none */
  provided?: (() => Provided) | undefined
  reader: Pick<Retrieval, 'transfers'>
  /** Undefined where no other registry is mirrored */
  mirroring?: { fetches: Pick<BlobFetches, 'transfers'> } | undefined
  served: Pick<ServedBytes, 'report'>
}

/** What the DHT was told of in the last 12 hours, and what waits for it */
export type Provided = Record<'images' | 'blobs', { waiting: number; done: number }>

/** Content that comes from elsewhere now */
export interface TransferLine {
  /** A CID, or the digest of a blob of a mirrored registry */
  what: string
  /** Those that get it */
  repositories: string[]
  /** Address of the client that asks, where one is told apart */
  client?: string | undefined
  /** Bytes in all, where that is known */
  size?: number | undefined
  /** Bytes that came so far, by where they came from */
  came: Partial<Record<'peer' | 'gateway' | 'upstream' | 'disk', number>>
}

export interface NetworkStatusInit {
  network: NetworkProfile
  /** TCP port of libp2p */
  port: number
}

/** A peer with all its connections */
export interface PeerLine extends PeerDescription {
  peer: string
  /** Of one connection */
  address: string
  /** Who connected to whom */
  direction: Peer['direction'] | 'both'
  /** Whether each connection goes through a relay, by which no blocks come */
  limited: boolean
  /** Milliseconds there and back, once it has been measured */
  latency?: number | undefined
  /** Bytes of blocks since the start of the node */
  sent: number
  received: number
}

/** How the IPFS node is */
export interface NetworkReport {
  profile: NetworkProfile
  /** Absent when offline */
  peerId?: string | undefined
  /** Multiaddrs that others are told to dial */
  addresses: string[]
  reachability: Reachability
  /** Those that the configuration names first, then those with most traffic */
  peers: { total: number; items: PeerLine[] }
  /** The own IPNS name; absent where nothing was published under it */
  name?: OwnName | undefined
  /** Absent where the profile has no DHT */
  provided?: Provided | undefined
  transfers: { total: number; items: TransferLine[] }
  served: ServedReport
}

export class NetworkStatus {
  readonly #components: NetworkStatusComponents
  readonly #init: NetworkStatusInit

  constructor(components: NetworkStatusComponents, init: NetworkStatusInit) {
    this.#components = components
    this.#init = init
  }

  async report({ signal }: { signal?: AbortSignal | undefined } = {}): Promise<NetworkReport> {
    const { names, node, provided, served } = this.#components
    const { network, port } = this.#init
    const connections = node.peers()
    const lines = peerLines(connections, await node.describePeers({ signal }))
    return {
      profile: network,
      peerId: node.peerId,
      addresses: node.multiaddrs,
      reachability: reachabilityOf({ network, port, addresses: node.multiaddrs, peers: connections }),
      peers: { total: lines.length, items: lines.slice(0, maxPeers) },
      name: await names.status(),
      provided: provided?.(),
      transfers: this.#transfers(),
      served: await served.report(),
    }
  }

  #transfers(): NetworkReport['transfers'] {
    const { mirroring, reader } = this.#components
    const items = [
      ...Array.from(reader.transfers, ({ came, cid, client }) => ({ what: cid, repositories: [], client, came })),
      ...(mirroring?.fetches.transfers() ?? []).map(({ digest, progress, repositories }) => {
        const { came, size } = progress
        return { what: digest, repositories, size, came }
      }),
    ]
    return { total: items.length, items: items.slice(0, maxTransfers) }
  }
}

function peerLines(connections: readonly Peer[], descriptions: ReadonlyMap<string, PeerDescription>): PeerLine[] {
  const lines = Map.groupBy(connections, ({ peer }) => peer)
    .entries()
    .map(([peer, all]): PeerLine => {
      const best = all.find(({ limited }) => !limited) ?? all[0]!
      const latencies = all.flatMap(({ latency }) => latency ?? [])
      return {
        ...best,
        ...(descriptions.get(peer) ?? { isConfigured: false }),
        direction: all.every(({ direction }) => direction === best.direction) ? best.direction : 'both',
        latency: latencies.length === 0 ? undefined : Math.min(...latencies),
      }
    })
  const weight = ({ isConfigured, received, sent }: PeerLine): number => (isConfigured ? Infinity : sent + received)
  return [...lines].sort((a, b) => {
    const [of, than] = [weight(a), weight(b)]
    return of === than ? (a.peer < b.peer ? -1 : 1) : than > of ? 1 : -1
  })
}
