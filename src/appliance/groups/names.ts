import { join } from 'node:path'
import { Names } from '../../ipfs/names/names.ts'
import { PublicRoots } from '../../registry/sharing/public-roots.ts'
import { CidStore } from '../../registry/tags/cid-store.ts'
import { Publisher } from '../../registry/tags/publisher.ts'
import { Resolvers } from '../../registry/tags/resolvers.ts'
import type { TagListener } from '../../registry/tags/tag-listener.ts'
import type { AccessParts } from './access.ts'
import { second, type Base } from './base.ts'
import type { Network } from './network.ts'
import { part, type Part } from './part.ts'
import type { Storage } from './storage.ts'

/** What gives names to images, and follows the names of others */
export interface NameParts {
  names: Names
  publisher: Publisher
  cidStore: CidStore
  /** Undefined where no resolver is configured */
  resolver: Resolvers | undefined
  tagListener: TagListener
  parts: Part[]
}

/** @throws ResolverError */
export function buildNames(components: Base & AccessParts & Storage & Network): NameParts {
  const { accessFiles, audience, blockAccess, condition, config, content, datastore, index, node, provider, reader } =
    components
  const { network, dataDir, cidResolvers, cidStore: directory } = config
  const log = components.log.child({ module: 'names' })
  const names = new Names(
    { node, datastore, isPublic: () => publisher.isPublic, log },
    { network, dns: config.names.dns, republish: config.names.republish * second },
  )
  const publisher: Publisher = new Publisher(
    { audience, blockAccess, condition, content, index, names, provider, log },
    { automatic: config.names.publish },
  )
  const publicRoots = new PublicRoots({ audience, index, provider, log })
  accessFiles.onChange(() => {
    publisher.rulesChanged()
    publicRoots.rulesChanged()
  })
  const cidStore = new CidStore(
    { condition, index, log },
    {
      directory: directory ?? join(dataDir, 'cids'),
      exclusive: directory === undefined,
      modes: directory === undefined ? undefined : modesOf(components.umask),
    },
  )
  const resolver =
    cidResolvers.length === 0 ? undefined : new Resolvers({ content: reader, names, log }, { resolvers: cidResolvers })
  return {
    names,
    publisher,
    cidStore,
    resolver,
    tagListener: {
      tagged: (repository, tag) => {
        cidStore.tagged(repository, tag)
        publisher.tagged(repository)
      },
    },
    parts: [
      ...(resolver === undefined ? [] : [part('resolvers', { start: async () => await resolver.check() })]),
      part('names', names),
      part('CID store', cidStore),
      part('publisher', publisher),
      part('images that become public', publicRoots),
    ],
  }
}

/** Modes of files that other programs read, which the umask of this process would close to them */
function modesOf(umask: number | undefined): { file: number; directory: number } | undefined {
  return umask === undefined ? undefined : { file: 0o644 & ~umask, directory: 0o777 & ~umask }
}
