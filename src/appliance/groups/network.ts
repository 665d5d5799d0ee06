import { LevelDatastore } from 'datastore-level'
import type { Config } from '../../config/schema.ts'
import { leafSize } from '../../ipfs/dag/encode-node.ts'
import { digestCid } from '../../ipfs/digests/digest-cid.ts'
import { KuboContentStore } from '../../ipfs/kubo/kubo-content-store.ts'
import { createRemotePins } from '../../ipfs/kubo/remote-pins.ts'
import { IpfsNode } from '../../ipfs/node/node.ts'
import type { PeerLimits } from '../../ipfs/node/peer-limits.ts'
import { createProvider } from '../../ipfs/node/provider.ts'
import { Gateways } from '../../ipfs/retrieval/gateways.ts'
import { Repairer } from '../../ipfs/retrieval/repairer.ts'
import { Retrieval } from '../../ipfs/retrieval/retrieval.ts'
import { ClientLimit } from '../../registry/client-limit.ts'
import type { RootProvider } from '../../registry/root-provider.ts'
import type { AccessParts } from './access.ts'
import { hasDht, second, type Base } from './base.ts'
import { part, store, type Part } from './part.ts'
import type { Storage } from './storage.ts'

/** What reaches other nodes, and what comes from them */
export interface Network {
  datastore: LevelDatastore
  node: IpfsNode
  /** Reads images of other nodes, fetching what is not here */
  reader: Retrieval
  /** Bounds the requests that wait for other nodes */
  fetches: ClientLimit
  repairer: Repairer
  provider: RootProvider
  /** How much the DHT was told; undefined where there is none */
  provided: (() => Record<'images' | 'blobs', { waiting: number; done: number }>) | undefined
  /** Undefined where no kubo pins the same images */
  pinner: { pin: (root: string) => void } | undefined
  parts: Part[]
}

export function buildNetwork({
  config,
  directory,
  events,
  storeEvents,
  inputs,
  index,
  log,
  metrics,
  peerAccess,
  ...storage
}: Base & AccessParts & Storage): Network {
  const { limits, network } = config
  const { patches, swarmKey, kubo } = inputs
  const { blockstore, files, hasher } = storage
  const datastore = new LevelDatastore(directory.datastore)
  const node = new IpfsNode(
    {
      access: peerAccess,
      blockstore,
      datastore,
      hashBlock: bytes => hasher.block(bytes),
      patches,
      log: log.child({ module: 'ipfs' }),
    },
    { ...config.p2p, network, swarmKey, limits: peerLimits(config) },
  )
  const gateways = new Gateways({ log: log.child({ module: 'gateways' }) }, config.ipfsGateways)
  const fetches = new ClientLimit({
    what: 'requests for content from elsewhere',
    max: limits.fetches,
    maxPerClient: limits.fetchesPerClient,
  })
  const reader = new Retrieval(
    { blockstore, node, gateways, slots: fetches, withheld: index.history, log: log.child({ module: 'retrieval' }) },
    { timeout: limits.retrievalTimeout * second },
  )
  const repairer = new Repairer({
    blockstore,
    files,
    hasher,
    retrieval: reader,
    metrics,
    onRepair: (cid, reason) => {
      events.raise({ kind: 'repair', cid, reason })
    },
    log: log.child({ module: 'repair' }),
  })
  storeEvents.on('damaged', cid => repairer.request(cid)).on('missing', cid => repairer.request(cid))
  const providerParts = { node, mayProvide: peerAccess.isPublic, log: log.child({ module: 'provider' }) }
  const provided = createProvider(providerParts)
  // many more, which must not keep image roots waiting
  const providedBlobs = createProvider(providerParts, { name: 'provide a blob' })
  const pins =
    kubo && createRemotePins({ node, kubo: new KuboContentStore(kubo), log: log.child({ module: 'remote-pins' }) })
  const inDht = hasDht(config)
  return {
    datastore,
    node,
    reader,
    fetches,
    repairer,
    provider: {
      provide: root => provided.add(root),
      provideBlob: ({ digest, size }) => {
        const cid = inDht && size > leafSize ? digestCid(digest) : undefined
        if (cid !== undefined) {
          providedBlobs.add(cid.toString())
        }
      },
    },
    provided: inDht ? () => ({ images: provided.counts, blobs: providedBlobs.counts }) : undefined,
    pinner: pins && { pin: root => pins.add(root) },
    parts: [
      store('datastore', datastore),
      part('IPFS node', node),
      ...(inDht ? [part('provider', provided), part('provider of blobs', providedBlobs)] : []),
      ...(pins === undefined ? [] : [part('remote pins', pins)]),
      part('repairer', repairer),
    ],
  }
}

function peerLimits({ limits }: Config): PeerLimits {
  const { peers, connectionsPerPeer, streamsPerPeer, wantsPerPeer, peerBytes, unaskedBytes } = limits
  return {
    connections: peers,
    connectionsPerPeer,
    streamsPerConnection: streamsPerPeer,
    wantsPerPeer,
    messageBytes: peerBytes,
    unaskedBytes,
  }
}
