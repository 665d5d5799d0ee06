/**
 * `registry/mirror` keeps what clients pull from other registries. It may import every other room of the registry;
 * those see it through interfaces alone, and without upstreams none of it is loaded. Begin here: this file puts it
 * together. `mirror-review.ts` tells administrators what is kept. Its rooms, each of which may import those after it:
 *
 * - `prefetch/`: fetches images before a client asks for them
 * - `images/`: `mirrors.ts`: which names stand for repositories of other registries; `mirror-repository.ts`: what
 *   clients ask of one; `mirrored-manifests.ts`, `mirrored-tags.ts`: what is known of it
 * - `fetch/`: the blobs that are on their way, one fetch for each (`blob-fetches.ts`). `blob-fetch.ts` is one of them:
 *   it stores leaves in `fetched-leaves.ts`, lets clients read them meanwhile (`read-fetch.ts`), tells peers of them
 *   (`fetch-news.ts`), and saves its state (`fetch-state.ts`). `fetch-sources.ts`: where the leaves come from.
 *   `fetch-jobs.ts` asks upstreams (`blob-source.ts`, `upstream-source.ts`) in the order of `fetch-plan.ts`;
 *   `fetch-peers.ts` asks connected appliances, by what `peer-holders.ts` knows of them; `upstream-turns.ts` tells
 *   whose turn it is to ask upstream
 */
import type { StorageSpace } from '../../ipfs/blockstore/storage-space.ts'
import type { ContentStore } from '../../ipfs/content-store.ts'
import type { Index } from '../../index/index.ts'
import type { Logger } from '../../log.ts'
import type { ClientLimit } from '../client-limit.ts'
import type { LinkGuard } from '../link-guard.ts'
import type { Repository } from '../repository.ts'
import type { RootProvider } from '../root-provider.ts'
import type { UnreadableFiles } from '../unreadable-files.ts'
import { BlobPeers, type BlobPeersComponents } from './fetch/blob-peers.ts'
import { BlobFetches, type BlobFetchesInit } from './fetch/blob-fetches.ts'
import type { BlobSource } from './fetch/blob-source.ts'
import { isReadable } from './images/mirrored-blob.ts'
import { MirroredManifests } from './images/mirrored-manifests.ts'
import { MirroredTags } from './images/mirrored-tags.ts'
import { UpstreamMirrors, type UpstreamMirrorsInit } from './images/mirrors.ts'
import { Prefetcher, type PrefetcherComponents, type PrefetcherInit } from './prefetch/prefetcher.ts'
import { UpstreamSource } from './fetch/upstream-source.ts'
import type { Upstream } from '../upstream.ts'

export interface MirroringComponents {
  /** By name */
  upstreams: ReadonlyMap<string, Upstream>
  content: Pick<ContentStore, 'sparseWriter' | 'sync'>
  index: Index
  links: LinkGuard
  unreadable: Pick<UnreadableFiles, 'has'>
  readOnly: PrefetcherComponents['readOnly']
  requireServing?: PrefetcherComponents['requireServing']
  space: Pick<StorageSpace, 'hasRoom' | 'require'>
  /** The repository of this registry that keeps what is mirrored under a name */
  local: (name: string) => Repository
  provider?: RootProvider | undefined
  /** Limits the requests that wait for blobs */
  waiting?: ClientLimit | undefined
  /** Connected appliances, asked before an upstream; undefined: none */
  peers?: BlobPeersComponents | undefined
  /** Called with the bytes of each leaf that is stored */
  onStored: (bytes: number) => void
  log: Logger
}

export interface MirroringInit extends BlobFetchesInit, UpstreamMirrorsInit, PrefetcherInit {}

/** All parts that mirror other registries */
export class Mirroring {
  readonly fetches: BlobFetches
  readonly manifests: MirroredManifests
  readonly mirrors: UpstreamMirrors
  readonly prefetcher: Prefetcher
  readonly #upstreams: MirroringComponents['upstreams']

  constructor(components: MirroringComponents, init: MirroringInit) {
    this.#upstreams = components.upstreams
    this.manifests = new MirroredManifests(components)
    this.fetches = new BlobFetches(
      {
        ...components,
        peers: components.peers && new BlobPeers(components.peers),
        isHere: async digest => await isReadable(components, digest),
        sourcesOf: repository => this.#sourcesOf(repository),
        onWhole: (blob, repositories) => {
          this.manifests.completed(blob.digest, repositories)
          components.provider?.provideBlob(blob)
        },
      },
      init,
    )
    this.mirrors = new UpstreamMirrors(
      { ...components, fetches: this.fetches, manifests: this.manifests, tags: new MirroredTags(components) },
      init,
    )
    this.prefetcher = new Prefetcher({ ...components, manifests: this.manifests, mirrors: this.mirrors }, init)
  }

  async start(): Promise<void> {
    await this.fetches.start()
    this.prefetcher.start()
  }

  async stop(): Promise<void> {
    await this.prefetcher.stop()
    await this.fetches.stop()
    await this.manifests.stop()
  }

  #sourcesOf(name: string): BlobSource[] {
    const found = this.mirrors.find(name)
    if (found === undefined) {
      return []
    }
    return [new UpstreamSource({ upstream: found.upstream, buffers: this.fetches.buffers }, found)]
  }
}
