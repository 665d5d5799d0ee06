import { LevelDatastore } from 'datastore-level'
import { bodyMemoryInit, browserNames, peerLimits, registryInit } from './limits.ts'
import { buildNames } from './names.ts'
import { buildServers } from './servers.ts'
import { buildUpkeep } from './upkeep.ts'
import { closeDirectory } from './close-directory.ts'
import type { Config } from '../config/schema.ts'
import { openDataDirectory, type DataDirectory } from './data-directory.ts'
import { explainStart } from './explain-start.ts'
import { BodyMemory } from '../http/body-memory.ts'
import { BrowserHosts } from '../http/middleware/browser-hosts.ts'
import type { Certificate } from '../http/certificate.ts'
import type { HttpServer } from '../http/server.ts'
import { LevelIndex } from '../index/level-index.ts'
import { UncheckedBlocks } from '../ipfs/blockstore/unchecked-blocks.ts'
import { BlockstoreContentStore } from '../ipfs/content/blockstore-content-store.ts'
import { DurableBlockstore } from '../ipfs/blockstore/blockstore.ts'
import { Gateways } from '../ipfs/retrieval/gateways.ts'
import { HashWorkers } from '../ipfs/hashing/hash-workers.ts'
import { KuboContentStore } from '../ipfs/kubo/kubo-content-store.ts'
import { IpfsNode } from '../ipfs/node/node.ts'
import { createProvider } from '../ipfs/node/provider.ts'
import { ReadWorkers } from '../ipfs/blockstore/read-workers.ts'
import { createRemotePins } from '../ipfs/kubo/remote-pins.ts'
import { Repairer } from '../ipfs/retrieval/repairer.ts'
import { Retrieval } from '../ipfs/retrieval/retrieval.ts'
import { hasNoBlocks } from '../ipfs/blockstore/layout.ts'
import { lowerPoolThreads } from '../scheduling/thread-priority.ts'
import type { Logger } from '../log.ts'
import { Metrics } from '../metrics.ts'
import { Administration } from '../upkeep/administration.ts'
import { CachedImages } from '../registry/image/cached-images.ts'
import { ClientLimit } from '../registry/client-limit.ts'
import { IndexCondition } from '../registry/index-condition.ts'
import { LinkGuard } from '../registry/link-guard.ts'
import { UnreadableFiles } from '../registry/unreadable-files.ts'
import { Registry } from '../registry/repositories/registry.ts'
import { Uploads } from '../registry/uploads/uploads.ts'
import { readStartInputs, type StartInputs } from './start-inputs.ts'

const second = 1000
/** A part that does not stop within this is left behind */
const stopTimeout = 15 * second

/** Something that runs: `stop` may be called only after `start` */
interface Part {
  name: string
  start: () => Promise<void>
  stop: () => Promise<void>
}

/** The whole server: builds its parts from the configuration, starts them in one order, and stops them in the reverse order */
export class Appliance {
  readonly #config: Config
  readonly #log: Logger
  readonly #umask: number | undefined
  readonly #running: Part[] = []
  #node: IpfsNode | undefined
  #server: HttpServer | undefined
  #admin: HttpServer | undefined
  #certificate: Certificate | undefined
  #starting: Promise<void> | undefined
  #stopping: Promise<void> | undefined
  #ready = false

  /** @param components.umask for files that other programs read, where that of the process is for those of this one alone */
  constructor(components: { log: Logger; umask?: number | undefined }, config: Config) {
    this.#log = components.log
    this.#umask = components.umask
    this.#config = config
  }

  /** Where the registry listens, once started */
  get address(): { host: string; port: number } {
    return this.#started(this.#server).address
  }

  /** Where health and metrics are, if they have a port of their own */
  get adminAddress(): { host: string; port: number } | undefined {
    return this.#admin?.address
  }

  /** Undefined where the network profile is offline */
  get peerId(): string | undefined {
    return this.#node?.peerId
  }

  get multiaddrs(): string[] {
    return this.#node?.multiaddrs ?? []
  }

  /** @throws StartError; what had started is stopped again then */
  async start(): Promise<void> {
    this.#starting ??= this.#start()
    await this.#starting
  }

  /** Called while the appliance starts, it waits for the part that is starting, and stops with that */
  async stop(): Promise<void> {
    this.#ready = false
    this.#stopping ??= this.#stop()
    await this.#stopping
  }

  /** Reads the certificate and its key again, if there are any; wrong ones are told in the log only */
  async reload(): Promise<void> {
    await this.#certificate?.reload()
  }

  async #start(): Promise<void> {
    const began = performance.now()
    try {
      const inputs = await readStartInputs({ log: this.#log }, this.#config)
      const directory = await openDataDirectory(this.#config.dataDir)
      const index = new LevelIndex(directory.index)
      // the index comes first: its lock keeps a second process away from everything else, which is only made then
      await this.#startPart({
        name: 'index',
        start: async () => {
          await index.open()
        },
        stop: async () => {
          await index.close()
        },
      })
      await closeDirectory({ log: this.#log }, directory.path)
      const condition = new IndexCondition({
        index,
        blocks: { isEmpty: async () => await hasNoBlocks(directory.blocks) },
        log: this.#log.child({ module: 'index' }),
      })
      await this.#startPart(startable('index condition', condition))
      for (const part of await this.#build(directory, index, condition, inputs)) {
        if (this.#stopping !== undefined) {
          return
        }
        await this.#startPart(part)
      }
    } catch (err) {
      await this.#stopParts()
      throw explainStart(err, this.#config)
    }
    await lowerPoolThreads()
    this.#ready = this.#stopping === undefined
    this.#log.info('started', { ...this.address, ms: Math.round(performance.now() - began) })
  }

  /** The parts after the index, in the order in which they start */
  async #build(
    directory: DataDirectory,
    index: LevelIndex,
    condition: IndexCondition,
    { certificate, patches, swarmKey, kubo }: StartInputs,
  ): Promise<Part[]> {
    const {
      gc,
      storage,
      limits,
      network,
      p2p: { swarmKey: _, ...p2p },
    } = this.#config
    const log = this.#log
    const metrics = new Metrics()
    const readers = new ReadWorkers()
    const { fsync, maxBytes, minFree, verifyInterval } = storage
    const blockstore = new DurableBlockstore(directory.blocks, {
      fsync,
      maxBytes,
      minFree,
      recent: gc.grace * second,
      readers,
      verifiedFor: verifyInterval * second,
      onDamaged: cid => {
        repairer.request(cid)
      },
      onQuarantined: path => {
        metrics.quarantinedBlocks.inc()
        log.error('damaged block taken out of the blockstore', { path })
      },
    })
    const datastore = new LevelDatastore(directory.datastore)
    const node = new IpfsNode(
      { blockstore, datastore, patches, log: log.child({ module: 'ipfs' }) },
      { network, ...p2p, swarmKey, limits: peerLimits(this.#config) },
    )
    const hasher = new HashWorkers()
    const content = new BlockstoreContentStore({
      blockstore,
      hasher,
      onMissing: cid => {
        repairer.request(cid)
      },
    })
    const links = new LinkGuard({ period: gc.unreferenced * second })
    const uploads = new Uploads(
      { content, index, links, space: blockstore.space, log: log.child({ module: 'uploads' }) },
      { expiry: gc.uploads * second, max: limits.uploads, maxPerClient: limits.uploadsPerClient },
    )
    const cached = new CachedImages({ index, log: log.child({ module: 'cache' }) })
    const gateways = new Gateways({ log: log.child({ module: 'gateways' }) }, this.#config.ipfsGateways)
    const fetches = new ClientLimit({
      what: 'requests for content from elsewhere',
      max: limits.fetches,
      maxPerClient: limits.fetchesPerClient,
    })
    const reader = new Retrieval(
      { blockstore, node, gateways, slots: fetches, log: log.child({ module: 'retrieval' }) },
      { timeout: limits.retrievalTimeout * second },
    )
    const files = new UncheckedBlocks(directory.blocks)
    const repairer = new Repairer({
      blockstore,
      files,
      hasher,
      retrieval: reader,
      metrics,
      log: log.child({ module: 'repair' }),
    })
    const unreadable = new UnreadableFiles({ blockstore, repairer })
    const announcements = createProvider({ node, log: log.child({ module: 'provider' }) })
    const provider = {
      provide: (root: string) => {
        announcements.add(root)
      },
    }
    const remotePins =
      kubo && createRemotePins({ node, kubo: new KuboContentStore(kubo), log: log.child({ module: 'remote-pins' }) })
    const pinner = remotePins && {
      pin: (root: string) => {
        remotePins.add(root)
      },
    }
    const { names, publisher, cidStore, resolver, tagListener, parts } = buildNames(
      { node, datastore, content, reader, index, condition, provider, log, umask: this.#umask },
      this.#config,
    )
    const registry = new Registry(
      {
        condition,
        content,
        index,
        uploads,
        links,
        unreadable,
        cached,
        reader,
        provider,
        pinner,
        names,
        resolver,
        tagListener,
        fetches,
      },
      registryInit(this.#config),
    )
    const { parts: upkeepParts, ...upkeep } = buildUpkeep(
      {
        blockstore,
        cached,
        cidStore,
        condition,
        content,
        files,
        hasher,
        index,
        links,
        log,
        unreadable,
        metrics,
        names,
        publisher,
        repairer,
        tagListener,
        uploads,
      },
      this.#config,
    )
    blockstore.space.onFull = bytes => {
      upkeep.collector.pressure.full(bytes)
    }
    blockstore.space.onEvictable = bytes => {
      upkeep.collector.pressure.fetched(bytes)
    }
    const health = { notReady: () => (this.#ready ? undefined : 'starting or stopping') }
    const bodies = new BodyMemory(bodyMemoryInit(this.#config))
    this.#node = node
    metrics.observe({
      blobs: async () => await index.countBlobs(),
      openUploads: async () => await uploads.count(),
      bodyBytes: () => bodies.total,
      space: blockstore.space,
      peers: () => node.peerCount,
      retrievedBlocks: () => reader.fetched,
    })

    const administration = new Administration({ registry, node, names, publisher, ...upkeep })
    const components = { bodies, registry, health, administration, metrics, log: log.child({ module: 'http' }) }
    const hosts = new BrowserHosts({
      names: browserNames(this.#config),
      certificate: certificate && (() => certificate.current),
    })
    const servers = buildServers({ ...components, certificate, hosts }, directory.path, this.#config)
    this.#server = servers.registry
    this.#admin = servers.admin
    this.#certificate = certificate

    return [
      {
        name: 'blockstore',
        start: async () => {
          await blockstore.open()
        },
        stop: async () => {
          await blockstore.close()
        },
      },
      {
        name: 'read workers',
        start: async () => {},
        stop: async () => {
          await readers.stop()
        },
      },
      {
        name: 'hash workers',
        start: async () => {},
        stop: async () => {
          await hasher.stop()
        },
      },
      {
        name: 'datastore',
        start: async () => {
          await datastore.open()
        },
        stop: async () => {
          await datastore.close()
        },
      },
      startable('IPFS node', node),
      ...(this.#config.network === 'private' || this.#config.network === 'public'
        ? [startable('provider', announcements)]
        : []),
      ...(remotePins === undefined ? [] : [startable('remote pins', remotePins)]),
      ...parts,
      startable('repairer', repairer),
      startable('uploads', uploads),
      ...upkeepParts,
      ...servers.parts,
    ]
  }

  async #startPart(part: Part): Promise<void> {
    await part.start()
    this.#running.push(part)
    this.#log.debug('part started', { part: part.name })
  }

  async #stop(): Promise<void> {
    await this.#starting?.catch(() => {})
    await this.#stopParts()
    this.#log.info('stopped')
  }

  async #stopParts(): Promise<void> {
    for (const part of this.#running.splice(0).reverse()) {
      try {
        await withDeadline(part.stop(), stopTimeout + this.#config.limits.drainTimeout * second)
      } catch (err) {
        this.#log.error('a part did not stop', { part: part.name, err })
      }
    }
  }

  #started<T>(part: T | undefined): T {
    if (part === undefined) {
      throw new Error('the appliance has not started')
    }
    return part
  }
}

function startable(name: string, part: Omit<Part, 'name'>): Part {
  return {
    name,
    start: async () => {
      await part.start()
    },
    stop: async () => {
      await part.stop()
    },
  }
}

async function withDeadline(work: Promise<void>, ms: number): Promise<void> {
  const { promise: late, reject } = Promise.withResolvers<never>()
  const timer = setTimeout(() => {
    reject(new Error(`not done within ${ms} ms`))
  }, ms)
  try {
    await Promise.race([work, late])
  } finally {
    clearTimeout(timer)
  }
}
