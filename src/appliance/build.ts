import { hasNoBlocks } from '../ipfs/blockstore/layout.ts'
import { LevelIndex } from '../index/level-index.ts'
import { Metrics } from '../metrics.ts'
import { IndexCondition } from '../registry/index-condition.ts'
import { lowerPoolThreads } from '../scheduling/thread-priority.ts'
import { buildAccess, type AccessParts } from './groups/access.ts'
import type { Base } from './groups/base.ts'
import { buildEvents } from './groups/events.ts'
import { closeDirectory } from './directory/close-directory.ts'
import { buildNames } from './groups/names.ts'
import { buildNetwork, type Network } from './groups/network.ts'
import { part, store, type Part } from './groups/part.ts'
import { buildRegistry, type RegistryParts } from './groups/registry.ts'
import { buildServers, type Servers } from './groups/servers.ts'
import { buildSharing } from './groups/sharing.ts'
import { buildStorage, type Storage } from './groups/storage.ts'
import { StoreEvents } from './groups/store-events.ts'
import { buildUpkeep } from './groups/upkeep.ts'
import { buildUpstreams } from './groups/upstreams.ts'

type Given = Omit<Base, 'index' | 'condition' | 'storeEvents' | 'events' | 'metrics'>

export interface Built
  extends Pick<AccessParts, 'accessFiles'>,
    Pick<Network, 'node'>,
    Pick<Servers, 'server' | 'adminServer'> {
  /** In the order in which they start; they stop in the reverse order */
  parts: Part[]
}

/**
 * Builds the parts above the index, each group from those before it
 *
 * @param base its parts have started: LevelDatastore opens its files when it is built, which only the holder of the
 *   index's lock may do
 * @throws ResolverError
 */
export function build(base: Base): Built {
  const storage = buildStorage(base)
  const access = buildAccess(base)
  const network = buildNetwork({ ...base, ...access, ...storage })
  const names = buildNames({ ...base, ...access, ...storage, ...network })
  const upstreams = buildUpstreams(base)
  const sharing = buildSharing({ ...base, ...access, ...storage, ...network })
  const registry = buildRegistry({ ...base, ...access, ...storage, ...network, ...names, ...upstreams, ...sharing })
  const upkeep = buildUpkeep({ ...base, ...access, ...storage, ...network, ...names, ...registry })
  const servers = buildServers({
    ...{ ...base, ...access, ...storage, ...network },
    ...{ ...names, ...registry, ...upkeep, ...upstreams },
  })
  base.tracing?.traceParts({ ...base, ...access, ...storage, ...network, ...upstreams })
  observe({ ...base, ...storage, ...network, ...registry, ...servers })
  return {
    node: network.node,
    server: servers.server,
    adminServer: servers.adminServer,
    accessFiles: access.accessFiles,
    parts: [
      ...access.parts,
      ...storage.parts,
      ...network.parts,
      ...names.parts,
      ...upstreams.parts,
      ...sharing.parts,
      ...registry.parts,
      ...upkeep.parts,
      ...servers.parts,
      part('listeners of events', {
        stop: async () => {
          base.events.endListening()
        },
      }),
      // the threads are there once the others have started
      part('priority of threads', { start: lowerPoolThreads }),
    ],
  }
}

/**
 * Builds the index, whose parts start before any other is built: its lock keeps a second process away from everything
 * else
 */
export function buildBase(given: Given): Base & { parts: Part[] } {
  const { directory, log } = given
  const metrics = new Metrics()
  const index = new LevelIndex(directory.index)
  const condition = new IndexCondition({
    index,
    blocks: { isEmpty: async () => await hasNoBlocks(directory.blocks) },
    log: log.child({ module: 'index' }),
  })
  const { events, parts } = buildEvents({ ...given, index, metrics })
  return {
    ...given,
    index,
    condition,
    storeEvents: new StoreEvents(),
    events,
    metrics,
    parts: [
      ...(given.tracing === undefined ? [] : [part('tracing', { stop: async () => await given.tracing?.stop() })]),
      store('index', index),
      part('permissions of the data directory', {
        start: async () => await closeDirectory({ log }, directory.path),
      }),
      part('condition of the index', condition),
      ...parts,
    ],
  }
}

function observe({
  blockstore,
  bodies,
  config,
  index,
  inputs: { certificate },
  metrics,
  node,
  reader,
  uploads,
}: Base & Storage & Network & RegistryParts & Servers): void {
  metrics.observe({
    blobs: async () => await index.countBlobs(),
    openUploads: async () => await uploads.count(),
    bodyBytes: () => bodies.total,
    space: blockstore.space,
    peers: () => node.peerCount,
    retrievedBlocks: () => reader.fetched,
    network: config.network,
    certificateExpiry: certificate && (() => certificate.expiry),
  })
}
