import { join } from 'node:path'
import type { Config } from '../config/schema.ts'
import type { ContentReader, ContentStore } from '../ipfs/content-store.ts'
import type { Index } from '../index/index.ts'
import type { IpnsDatastore } from '../ipfs/names/ipns-publisher.ts'
import { Names } from '../ipfs/names/names.ts'
import type { IpfsNode } from '../ipfs/node/node.ts'
import type { Logger } from '../log.ts'
import { CidStore } from '../registry/tags/cid-store.ts'
import type { IndexCondition } from '../registry/index-condition.ts'
import { Publisher } from '../registry/tags/publisher.ts'
import { Resolvers } from '../registry/tags/resolvers.ts'
import type { RootProvider } from '../registry/root-provider.ts'
import type { TagListener } from '../registry/tags/tag-listener.ts'

export interface NamePartsComponents {
  node: IpfsNode
  datastore: IpnsDatastore
  content: ContentStore
  reader: ContentReader
  index: Index
  condition: IndexCondition
  provider: RootProvider
  log: Logger
  /** What the system takes from the modes of files for other programs; undefined: what it takes from those of all */
  umask: number | undefined
}

const second = 1000

/** What gives names to images and follows them, and the parts of it that start and stop, in this order */
export interface NameParts {
  names: Names
  publisher: Publisher
  cidStore: CidStore
  /** Undefined where no resolver is configured */
  resolver: Resolvers | undefined
  tagListener: TagListener
  parts: Array<{ name: string; start: () => Promise<void>; stop: () => Promise<void> }>
}

/** @throws ResolverError */
export function buildNames(components: NamePartsComponents, config: Config): NameParts {
  const { node, datastore, content, reader, index, condition, provider, umask } = components
  const log = components.log.child({ module: 'names' })
  const { network, dataDir, cidResolvers, cidStore: directory } = config
  const names = new Names(
    { node, datastore, log },
    { network, dns: config.names.dns, republish: config.names.republish * second },
  )
  const publisher = new Publisher(
    { condition, content, index, names, provider, log },
    { automatic: config.names.publish },
  )
  const isShared = directory !== undefined && umask !== undefined
  const cidStore = new CidStore(
    { condition, index, log },
    {
      directory: directory ?? join(dataDir, 'cids'),
      exclusive: directory === undefined,
      modes: isShared ? { file: 0o644 & ~umask, directory: 0o777 & ~umask } : undefined,
    },
  )
  const resolver =
    cidResolvers.length === 0 ? undefined : new Resolvers({ content: reader, names, log }, { resolvers: cidResolvers })
  const tagListener: TagListener = {
    tagged: (repository, tag) => {
      cidStore.tagged(repository, tag)
      publisher.tagged(repository)
    },
  }
  const parts = [
    ...(resolver === undefined
      ? []
      : [
          {
            name: 'resolvers',
            start: async () => {
              await resolver.check()
            },
            stop: async () => {},
          },
        ]),
    {
      name: 'names',
      start: async () => {
        await names.start()
      },
      stop: async () => {
        await names.stop()
      },
    },
    {
      name: 'CID store',
      start: async () => {
        await cidStore.start()
      },
      stop: async () => {
        await cidStore.stop()
      },
    },
    {
      name: 'publisher',
      start: async () => {
        await publisher.start()
      },
      stop: async () => {
        await publisher.stop()
      },
    },
  ]
  return { names, publisher, cidStore, resolver, tagListener, parts }
}
