import { CachedImages } from '../../registry/image/cached-images.ts'
import { LinkGuard } from '../../registry/link-guard.ts'
import { Registry } from '../../registry/repositories/registry.ts'
import { UnreadableFiles } from '../../registry/unreadable-files.ts'
import { Uploads } from '../../registry/uploads/uploads.ts'
import { second, type Base } from './base.ts'
import type { NameParts } from './names.ts'
import type { Network } from './network.ts'
import { part, type Part } from './part.ts'
import type { Storage } from './storage.ts'

/** What images are pushed to and pulled from */
export interface RegistryParts {
  registry: Registry
  uploads: Uploads
  links: LinkGuard
  cached: CachedImages
  unreadable: UnreadableFiles
  parts: Part[]
}

export function buildRegistry(components: Base & Storage & Network & NameParts): RegistryParts {
  const { blockstore, config, content, index, log, repairer } = components
  const { gc, limits, missingBlobs } = config
  const links = new LinkGuard({ period: gc.unreferenced * second })
  const uploads = new Uploads(
    { content, index, links, space: blockstore.space, log: log.child({ module: 'uploads' }) },
    { expiry: gc.uploads * second, max: limits.uploads, maxPerClient: limits.uploadsPerClient },
  )
  const cached = new CachedImages({ index, log: log.child({ module: 'cache' }) })
  const unreadable = new UnreadableFiles({ blockstore, repairer })
  const registry = new Registry(
    { ...components, uploads, links, cached, unreadable },
    { missingBlobs, manifestLimits: { depth: limits.jsonDepth, descriptors: limits.descriptors } },
  )
  return { registry, uploads, links, cached, unreadable, parts: [part('uploads', uploads)] }
}
