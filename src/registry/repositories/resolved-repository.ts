import { LRUCache } from 'lru-cache'
import type { Digest } from '../../oci/digest.ts'
import { OciError } from '../../oci/errors.ts'
import type { Page } from '../../oci/pagination.ts'
import type { Reference } from '../../oci/reference.ts'
import { translateErrors } from '../errors.ts'
import { ImageRepository, type ImageRepositoryComponents } from './image-repository.ts'
import { takePage } from '../listing.ts'
import type { Referrer } from '../referrer.ts'
import type {
  Blob,
  FoundManifest,
  Listing,
  LookUpOptions,
  PutManifest,
  Repository,
  RequestOptions,
} from '../repository.ts'

/** Finds out which image root a repository's tag stands for */
export interface TagResolver {
  /**
   * @returns the CID of the root; undefined where no resolver knows the tag
   * @throws UnavailableError where none knows it and one of them could not be asked
   */
  resolve: (repository: string, tag: string, options?: RequestOptions) => Promise<string | undefined>
  /** Tags of the repository, sorted */
  tags: (repository: string, options?: RequestOptions) => Promise<string[]>
}

/**
 * Remembers to which roots the tags of a repository led lately. A client that got a manifest by tag asks for its blobs
 * by digest alone, and they are below the same root.
 */
export class RecentRoots {
  readonly #roots = new LRUCache<string, string[]>({ max: 1000 })
  readonly #maxRoots = 20

  add(repository: string, root: string): void {
    this.#roots.set(
      repository,
      [root, ...this.get(repository).filter(other => other !== root)].slice(0, this.#maxRoots),
    )
  }

  /** @returns the latest first */
  get(repository: string): string[] {
    return this.#roots.peek(repository) ?? []
  }
}

export interface ResolvedRepositoryComponents extends ImageRepositoryComponents {
  resolver: TagResolver
  recentRoots: RecentRoots
  /** The repository of the same name in this registry: it is looked at first, and takes what is pushed */
  local: Repository
}

/** A repository that is not in this registry, but that a resolver of the configuration may know */
export class ResolvedRepository implements Repository {
  readonly name: string
  readonly #components: ResolvedRepositoryComponents

  constructor(components: ResolvedRepositoryComponents) {
    this.name = components.local.name
    this.#components = components
  }

  async blob(digest: Digest, options: LookUpOptions = {}): Promise<Blob> {
    return await this.#first('BLOB_UNKNOWN', async repository => await repository.blob(digest, options), options)
  }

  async manifest(reference: Reference, options: LookUpOptions = {}): Promise<FoundManifest> {
    if (reference.tag === undefined) {
      return await this.#first(
        'MANIFEST_UNKNOWN',
        async repository => await repository.manifest(reference, options),
        options,
      )
    }
    const { resolver, recentRoots } = this.#components
    const root = await translateErrors(async () => await resolver.resolve(this.name, reference.tag, options))
    if (root === undefined) {
      throw new OciError('MANIFEST_UNKNOWN', { detail: { name: this.name, ...reference } })
    }
    recentRoots.add(this.name, root)
    const image = this.#image(root)
    try {
      return await image.manifest(reference, options)
    } catch (err) {
      // the tag that the resolver knows need not be in the image root
      if ((err as OciError).code !== 'MANIFEST_UNKNOWN' || reference.tag === 'latest') {
        throw err
      }
      return await image.manifest({ tag: 'latest' }, options)
    }
  }

  async tags(page: Page, options: RequestOptions = {}): Promise<Listing<string>> {
    const tags = await translateErrors(async () => await this.#components.resolver.tags(this.name, options))
    if (tags.length === 0) {
      throw new OciError('NAME_UNKNOWN', { detail: { name: this.name } })
    }
    return await takePage(page, async function* ({ last = '' }) {
      yield* tags.filter(tag => tag > last)
    })
  }

  async referrers(subject: Digest, page: Page, artifactType?: string): Promise<Listing<Referrer>> {
    return await this.#components.local.referrers(subject, page, artifactType)
  }

  async putManifest(manifest: PutManifest): ReturnType<Repository['putManifest']> {
    return await this.#components.local.putManifest(manifest)
  }

  async deleteManifest(...args: Parameters<Repository['deleteManifest']>): Promise<void> {
    await this.#components.local.deleteManifest(...args)
  }

  async deleteBlob(digest: Digest): Promise<void> {
    await this.#components.local.deleteBlob(digest)
  }

  async mountBlob(digest: Digest, from: string | undefined): Promise<boolean> {
    return await this.#components.local.mountBlob(digest, from)
  }

  requireWritable(): void {}

  /**
   * Looks in the local repository, then in the images that the tags led to lately, and only if there were none in the
   * images of all tags
   */
  async #first<T>(
    unknown: 'BLOB_UNKNOWN' | 'MANIFEST_UNKNOWN',
    look: (repository: Repository) => Promise<T>,
    options: RequestOptions,
  ): Promise<T> {
    let failure: unknown
    for await (const repository of this.#repositories(options)) {
      try {
        return await look(repository)
      } catch (err) {
        if ((err as OciError).code !== unknown) {
          throw err
        }
        failure = err
      }
    }
    throw failure
  }

  async *#repositories(options: RequestOptions): AsyncGenerator<Repository> {
    const { local, recentRoots, resolver } = this.#components
    yield local
    const recent = recentRoots.get(this.name)
    yield* recent.map(root => this.#image(root))
    if (recent.length > 0) {
      return
    }
    for (const tag of await translateErrors(async () => await resolver.tags(this.name, options))) {
      const root = await translateErrors(async () => await resolver.resolve(this.name, tag, options))
      if (root !== undefined) {
        recentRoots.add(this.name, root)
        yield this.#image(root)
      }
    }
  }

  #image(root: string): ImageRepository {
    return new ImageRepository(this.#components, { name: this.name, root: async () => root })
  }
}
