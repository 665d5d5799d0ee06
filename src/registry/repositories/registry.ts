/**
 * `registry/repositories` is where a request begins: it decides what a repository name stands for, and does what the
 * routes ask for. It may import every other room of the registry. Begin here, with {@link Registry.repository}, called
 * once for each request:
 *
 * - `local-repository.ts`: a repository of this registry; a push of a manifest goes through `pushed-manifest.ts` (read
 *   and checked) and `manifest-writer.ts` (stored and indexed)
 * - `images-by-root.ts`, `image-repository.ts`: the name is a CID or an IPNS name: pull by CID
 * - `resolved-repository.ts`: the name is not here, but a resolver of the configuration may know it
 */
import { LRUCache } from 'lru-cache'
import type { Caller } from '../../access/caller.ts'
import type { ContentStore, PartialReader } from '../../ipfs/content-store.ts'
import type { Hasher } from '../../ipfs/hashing/hasher.ts'
import type { HistoryIndex } from '../../index/history-index.ts'
import type { Index } from '../../index/index.ts'
import { parseRoot } from '../../oci/cid.ts'
import type { Digest } from '../../oci/digest.ts'
import { OciError } from '../../oci/errors.ts'
import type { ManifestLimits } from '../../oci/manifest/manifest-limits.ts'
import type { Page } from '../../oci/pagination.ts'
import type { BlockAccess } from '../sharing/block-access.ts'
import type { History } from '../history.ts'
import type { CachedImages } from '../image/cached-images.ts'
import type { ClientLimit } from '../client-limit.ts'
import { FallbackRepository } from './fallback-repository.ts'
import { GuardedRepository } from './guarded-repository.ts'
import { ImagesByRoot } from './images-by-root.ts'
import type { EventSink } from '../event-sink.ts'
import type { ImmutableTags } from '../policies/immutable-tags.ts'
import type { IndexCondition } from '../index-condition.ts'
import type { UnreadableFiles } from '../unreadable-files.ts'
import type { Deprecations } from '../policies/deprecations.ts'
import type { Quotas } from '../quotas/quotas.ts'
import type { PullNotes } from '../pull-notes.ts'
import type { LinkGuard } from '../link-guard.ts'
import { takePage } from '../listing.ts'
import { LocalRepository, type LocalRepositoryComponents, type LocalRepositoryInit } from './local-repository.ts'
import type { Overview } from '../overview/overview.ts'
import type { Listing, Mirrors, Repository } from '../repository.ts'
import type { NameResolver } from '../tags/resolver-source.ts'
import { RecentRoots, ResolvedRepository, type TagResolver } from './resolved-repository.ts'
import type { RootProvider } from '../root-provider.ts'
import type { SignaturePolicy } from '../signatures/signature-policy.ts'
import type { TagListener } from '../tags/tag-listener.ts'
import type { Uploads } from '../uploads/uploads.ts'
import { VerifiedFiles } from '../image/verified-files.ts'

/** Bytes of manifests that are kept in memory, as most requests ask for one of a few manifests */
const maxHotManifestBytes = 16 * 1024 * 1024

export interface RegistryComponents {
  content: ContentStore & PartialReader
  /** Who gets what is asked for by CID */
  blockAccess: BlockAccess
  index: Index
  uploads: Uploads
  links: LinkGuard
  /** Notes when manifests are pulled; @default nobody does */
  pulls?: Pick<PullNotes, 'note'> | undefined
  unreadable: Pick<UnreadableFiles, 'has' | 'note'>
  cached: CachedImages
  /** @default a registry that always serves */
  condition?: Pick<IndexCondition, 'requireServing'> | undefined
  /** Reads images of other nodes, fetching from peers and gateways what is not here */
  reader: PartialReader
  /** Compares blobs of other nodes with their digests; @default on the thread of the caller */
  hasher?: Hasher | undefined
  /** Resolves IPNS keys and domains */
  names: NameResolver
  provider?: RootProvider | undefined
  /** Has image roots that are pushed here pinned by remote services; returns at once */
  pinner?: { pin: (root: string) => void } | undefined
  tagListener?: TagListener | undefined
  /** @default nobody hears of events */
  events?: Pick<EventSink, 'commit'> | undefined
  /** @default no tag is immutable */
  immutable?: ImmutableTags | undefined
  /** @default there are none */
  quotas?: Quotas | undefined
  /** Remembers what can be undone; undefined: nothing can */
  history?: History | undefined
  /** What is here only to be undone; @default nothing is */
  withheld?: Pick<HistoryIndex, 'isBlobWithheld'> | undefined
  /** @default no image is deprecated */
  deprecations?: Pick<Deprecations, 'messageFor'> | undefined
  /** @default images need not be signed */
  signatures?: Pick<SignaturePolicy, 'guard' | 'isAbout' | 'note'> | undefined
  /** Undefined where no resolver is configured */
  resolver?: TagResolver | undefined
  /** Undefined where no other registry is mirrored */
  mirrors?: Mirrors | undefined
  /** Limits the requests that wait for a name to be resolved */
  fetches?: ClientLimit | undefined
}

export interface RegistryInit {
  /**
   * What happens to a manifest whose blobs are missing
   *
   * @default 'refuse'
   */
  missingBlobs?: 'refuse' | 'accept'
  manifestLimits?: ManifestLimits | undefined
}

/** Finds the repository that a name stands for */
export class Registry {
  readonly uploads: Uploads
  readonly #components: RegistryComponents
  readonly #localComponents: LocalRepositoryComponents
  readonly #acceptMissingBlobs: boolean
  readonly #manifestLimits: ManifestLimits | undefined
  readonly #hotManifests = new LRUCache<string, Uint8Array>({
    maxSize: maxHotManifestBytes,
    sizeCalculation: bytes => bytes.byteLength + 1,
  })
  readonly #recentRoots = new RecentRoots()
  readonly #verified = new VerifiedFiles()
  readonly #imagesByRoot: ImagesByRoot
  #overview: Promise<Overview> | undefined

  constructor(components: RegistryComponents, init: RegistryInit = {}) {
    this.uploads = components.uploads
    this.#components = components
    this.#imagesByRoot = new ImagesByRoot({ ...components, verified: this.#verified })
    this.#localComponents = { ...components, hotManifests: this.#hotManifests }
    this.#acceptMissingBlobs = init.missingBlobs === 'accept'
    this.#manifestLimits = init.manifestLimits
  }

  /**
   * Finds the repository that a name stands for: one of another registry that is mirrored, one of this registry, an
   * image in IPFS if the name is a CID or an IPNS name, else what the resolvers know
   *
   * @param name a valid repository name; the repository need not exist yet
   * @param caller for whom it is looked up, and by whose rules it can be used
   * @throws OciError UNAVAILABLE while a backup is being restored; UNAUTHORIZED or DENIED where the name is the CID of
   * a root of no repository that the caller may pull
   */
  async repository(name: string, caller: Caller): Promise<Repository> {
    const { index, mirrors, resolver } = this.#components
    this.requireServing()
    const mirrored = mirrors?.repository(name)
    if (mirrored !== undefined) {
      return this.#guarded(mirrored, caller)
    }
    const local = this.localRepository(name, { by: caller.name })
    const root = parseRoot(name)
    if ((root === undefined && resolver === undefined && mirrors === undefined) || (await index.hasRepository(name))) {
      return this.#guarded(local, caller)
    }
    if (root !== undefined) {
      return this.#signed(await this.#imagesByRoot.repository(name, root, caller), caller)
    }
    const fallbackName = mirrors?.fallbackName(name)
    const fallback = fallbackName === undefined ? undefined : mirrors?.repository(fallbackName)
    if (fallback !== undefined) {
      const mayPullHere = caller.may({ action: 'pull', repository: name })
      return new FallbackRepository(this.#guarded(local, caller), this.#guarded(fallback, caller), mayPullHere)
    }
    if (resolver !== undefined) {
      return this.#guarded(this.#resolved(local, resolver, caller), caller)
    }
    return this.#guarded(this.localRepository(name, { by: caller.name, unknown: mirrors?.reasonAgainst(name) }), caller)
  }

  /** What `past` makes of a repository of this registry, under the rules of now; throws OciError */
  pastRepository(name: string, caller: Caller, past: (now: Repository) => Repository): Repository {
    this.requireServing()
    if (this.#components.mirrors?.repository(name) !== undefined) {
      throw new OciError('UNSUPPORTED', { detail: { reason: 'nothing is remembered of other registries' } })
    }
    return this.#guarded(past(this.localRepository(name)), caller)
  }

  /** The name of what is pulled from another registry by a name that has no repository here; undefined: nothing */
  fallbackName(name: string): string | undefined {
    return this.#components.mirrors?.fallbackName(name)
  }

  /**
   * @param namespace the host of another registry that a client pulls from by way of this one
   * @returns the name here of a repository there; where no other registry is mirrored, the same name
   * @throws OciError NAME_UNKNOWN, NAME_INVALID
   */
  nameIn(namespace: string, name: string): string {
    return this.#components.mirrors?.named(namespace, name) ?? name
  }

  /** To be called when a client has got a manifest, or was told that it is there; returns at once */
  notePull(repository: string, digest: Digest): void {
    this.#components.pulls?.note(repository, digest)
  }

  /** What a client is told who pulls an image that is deprecated; undefined: it is not */
  deprecation(repository: string, tag: string | undefined): string | undefined {
    return this.#components.deprecations?.messageFor(repository, tag)
  }

  get hasMirrors(): boolean {
    return this.#components.mirrors !== undefined
  }

  /**
   * {@link repository} checks this by itself; a route that does not ask for a repository has to call it
   *
   * @throws OciError UNAVAILABLE while a backup is being restored
   */
  requireServing(): void {
    this.#components.condition?.requireServing()
  }

  /**
   * The repository of this registry, whatever else the name stands for
   *
   * @param init.by whose doing its changes are, where callers are told apart
   * @param init.unknown what clients are told about a manifest that it does not have; @default the message of the code
   */
  localRepository(name: string, init: Pick<LocalRepositoryInit, 'by' | 'unknown'> = {}): LocalRepository {
    return new LocalRepository(this.#localComponents, {
      ...init,
      name,
      acceptMissingBlobs: this.#acceptMissingBlobs,
      manifestLimits: this.#manifestLimits,
    })
  }

  /** The repository of this registry that keeps what is mirrored under a name */
  mirroredRepository(name: string): Repository {
    // only what is pushed here is pinned by others, told as a push, immutable and can be undone; what is provided is
    // what is whole
    const hooks = { events: undefined, history: undefined, immutable: undefined, quotas: undefined }
    const none = { ...hooks, pinner: undefined, provider: undefined }
    const components = { ...this.#localComponents, ...none }
    return new LocalRepository(components, {
      name,
      acceptMissingBlobs: true,
      manifestLimits: this.#manifestLimits,
    })
  }

  /**
   * For people who look at what is here; loaded when somebody does
   *
   * @throws OciError UNAVAILABLE while a backup is being restored
   */
  async overview(): Promise<Overview> {
    this.requireServing()
    this.#overview ??= import('../overview/overview.ts').then(
      ({ Overview }) => new Overview({ ...this.#components, local: name => this.localRepository(name) }),
    )
    return await this.#overview
  }

  /** Names of the repositories that have a manifest and that the caller may pull from */
  async repositories(page: Page, caller: Caller): Promise<Listing<string>> {
    this.requireServing()
    caller.requireCatalog()
    return await takePage(page, ({ last }) => this.#visible(last, caller))
  }

  async *#visible(last: string | undefined, caller: Caller): AsyncGenerator<string> {
    for await (const name of this.#components.index.repositories({ limit: -1, last })) {
      if (caller.sees(name)) {
        yield name
      }
    }
  }

  /**
   * Others decide to what their tags lead: a caller who may not pull everything gets no block of a repository here that
   * he may not pull
   */
  #resolved(local: Repository, resolver: TagResolver, caller: Caller): Repository {
    const { blockAccess, cached, index, provider } = this.#components
    const puller = caller.pullerFor(local.name)
    const reader = puller.everything
      ? this.#components.reader
      : this.#components.reader.only(cid => blockAccess.mayFetchFound(puller, cid))
    return new ResolvedRepository({
      ...{ reader, index, provider, cached, verified: this.#verified },
      resolver,
      recentRoots: this.#recentRoots,
      local,
    })
  }

  #guarded(repository: Repository, caller: Caller): Repository {
    const { index } = this.#components
    const signed = this.#signed(repository, caller)
    return caller.name === undefined ? signed : new GuardedRepository({ repository: signed, caller, index })
  }

  #signed(repository: Repository, caller: Caller): Repository {
    return this.#components.signatures?.guard(repository, caller) ?? repository
  }
}
