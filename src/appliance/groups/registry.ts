import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Config } from '../../config/schema.ts'
import type { HistoryIndex } from '../../index/history-index.ts'
import type { Index } from '../../index/index.ts'
import { CachedImages } from '../../registry/image/cached-images.ts'
import { History } from '../../registry/history.ts'
import { Deprecations } from '../../registry/policies/deprecations.ts'
import { ImmutableTags } from '../../registry/policies/immutable-tags.ts'
import { LinkGuard } from '../../registry/link-guard.ts'
import type { EventSink } from '../../registry/event-sink.ts'
import type { PrefetchScheduleInit } from '../../registry/mirror/prefetch/prefetch-schedule.ts'
import type { Mirroring, MirroringComponents } from '../../registry/mirror/mirroring.ts'
import { PullNotes } from '../../registry/pull-notes.ts'
import { Quotas } from '../../registry/quotas/quotas.ts'
import type { SignaturePolicy } from '../../registry/signatures/signature-policy.ts'
import { ReadOnlyMode } from '../../registry/policies/read-only-mode.ts'
import { Registry } from '../../registry/repositories/registry.ts'
import { UnreadableFiles } from '../../registry/unreadable-files.ts'
import { Uploads } from '../../registry/uploads/uploads.ts'
import type { AdministrationComponents } from '../../upkeep/administration.ts'
import { readIfThere, replaceOwnerFile } from '../directory/owner-file.ts'
import type { AccessParts } from './access.ts'
import { second, type Base } from './base.ts'
import type { NameParts } from './names.ts'
import type { Network } from './network.ts'
import { part, type Part } from './part.ts'
import type { Sharing } from './sharing.ts'
import type { Storage } from './storage.ts'
import type { UpstreamParts } from './upstreams.ts'

/** What images are pushed to and pulled from */
export interface RegistryParts {
  registry: Registry
  uploads: Uploads
  links: LinkGuard
  pulls: PullNotes
  /** Undefined where no tag is immutable */
  immutable: ImmutableTags | undefined
  /** Undefined where there are none */
  quotas: Quotas | undefined
  cached: CachedImages
  unreadable: UnreadableFiles
  /** Undefined where no image must be signed */
  signatures: SignaturePolicy | undefined
  signatureReport: AdministrationComponents['signatureReport']
  /** Undefined where no other registry is mirrored */
  mirroring: Mirroring | undefined
  readOnly: ReadOnlyMode
  /** What can be undone, and what writes it */
  remembered: { history: HistoryIndex; historyWriter: History }
  parts: Part[]
}

export function buildRegistry(
  components: Base & AccessParts & Storage & Network & NameParts & UpstreamParts & Sharing,
): RegistryParts {
  const { blockstore, config, content, index, inputs, log, repairer } = components
  const { gc, limits, missingBlobs } = config
  const deprecations = config.deprecated.length === 0 ? undefined : new Deprecations(config.deprecated)
  const quotas = config.quotas.length === 0 ? undefined : new Quotas({ index }, config.quotas)
  const links = new LinkGuard({ period: gc.unreferenced * second })
  const uploads = new Uploads(
    { content, index, links, quotas, space: blockstore.space, log: log.child({ module: 'uploads' }) },
    { expiry: gc.uploads * second, max: limits.uploads, maxPerClient: limits.uploadsPerClient },
  )
  const cached = new CachedImages({ index, log: log.child({ module: 'cache' }) })
  const pulls = new PullNotes({ index, log: log.child({ module: 'registry' }) })
  const immutable = config.immutableTags.length === 0 ? undefined : new ImmutableTags({ index }, config.immutableTags)
  const signatures = inputs.signatures && new inputs.signatures.SignaturePolicy({ index }, inputs.signatures.rules)
  const unreadable = new UnreadableFiles({ blockstore, repairer })
  const readOnly = buildReadOnlyMode(components)
  const mirroring = buildMirroring({
    ...components,
    links,
    readOnly,
    requireServing: () => {
      registry.requireServing()
    },
    unreadable,
    local: name => registry.mirroredRepository(name),
  })
  components.knownDigests.fetched = mirroring?.fetches
  components.blockAccess.fetched = mirroring?.fetches
  const historyWriter = new History({ history: index.history, index })
  tellOfRefusals(components.events, { immutable, quotas, signatures })
  const registry: Registry = new Registry(
    {
      ...components,
      history: config.history.keep > 0 ? historyWriter : undefined,
      withheld: index.history,
      deprecations,
      immutable,
      quotas,
      signatures,
      uploads,
      links,
      pulls,
      cached,
      unreadable,
      mirrors: mirroring?.mirrors,
    },
    { missingBlobs, manifestLimits: { depth: limits.jsonDepth, descriptors: limits.descriptors } },
  )
  const signatureReport = buildSignatureReport(index, registry, signatures)
  const parts = [
    part('read-only mode', readOnly),
    part('uploads', uploads),
    part('notes of pulls', pulls),
    ...(mirroring === undefined ? [] : [part('mirroring', mirroring)]),
  ]
  const remembered = { history: index.history, historyWriter }
  const policies = { immutable, quotas, signatures, signatureReport }
  const kept = { ...policies, uploads, links, pulls, cached, unreadable, mirroring, readOnly, remembered }
  return { registry, ...kept, parts }
}

function buildSignatureReport(
  index: Index,
  registry: Registry,
  policy: SignaturePolicy | undefined,
): RegistryParts['signatureReport'] {
  return (
    policy &&
    (async options => {
      const { reportSignatures } = await import('../../registry/signatures/signature-report.ts')
      return await reportSignatures({ index, policy, local: name => registry.localRepository(name) }, options)
    })
  )
}

function buildMirroring({
  blockstore,
  config,
  storeEvents,
  fetches,
  inputs,
  log,
  upstreams,
  ...components
}: Base &
  Storage &
  Network &
  UpstreamParts &
  Sharing &
  Pick<MirroringComponents, 'links' | 'local' | 'readOnly' | 'requireServing' | 'unreadable'>): Mirroring | undefined {
  if (inputs.upstreams === undefined || upstreams === undefined) {
    return undefined
  }
  return new inputs.upstreams.Mirroring(
    {
      ...components,
      upstreams,
      space: blockstore.space,
      waiting: fetches,
      onStored: bytes => {
        storeEvents.emit('evictable', bytes)
      },
      log: log.child({ module: 'mirror' }),
    },
    {
      expiry: config.gc.uploads * second,
      fallback: config.registryMirror,
      cacheBytes: config.cache.maxBytes,
      schedules: schedulesOf(config),
    },
  )
}

function schedulesOf({ upstreams }: Config): PrefetchScheduleInit[] {
  return upstreams.flatMap(({ name, prefetch }) =>
    prefetch === undefined ? [] : [{ upstream: name, names: prefetch.names, every: prefetch.every * second }],
  )
}

function buildReadOnlyMode({ config, directory, log }: Base): ReadOnlyMode {
  const path = join(directory.path, 'read-only.json')
  return new ReadOnlyMode(
    {
      store: {
        read: async () => await readIfThere(path),
        write: async text => {
          await replaceOwnerFile(path, text)
        },
        remove: async () => {
          await rm(path, { force: true })
        },
      },
      log: log.child({ module: 'registry' }),
    },
    { always: config.readOnly },
  )
}

/** Has events tell of what policies and quotas refuse */
function tellOfRefusals(
  events: Pick<EventSink, 'raise'>,
  { immutable, quotas, signatures }: Pick<RegistryParts, 'immutable' | 'signatures'> & { quotas: Quotas | undefined },
): void {
  if (immutable !== undefined) {
    immutable.onRefused = (repository, tag, reason) => {
      events.raise({ kind: 'policy', repository, tag, reason })
    }
  }
  if (signatures !== undefined) {
    signatures.onRefused = (repository, tag, reason) => {
      events.raise({ kind: 'policy', repository, tag, reason })
    }
  }
  if (quotas !== undefined) {
    quotas.onRefused = (repository, reason) => {
      events.raise({ kind: 'quota', repository, reason })
    }
  }
}
