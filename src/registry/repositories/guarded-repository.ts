import type { Caller } from '../../access/caller.ts'
import type { Index } from '../../index/index.ts'
import type { Digest } from '../../oci/digest.ts'
import type { Page } from '../../oci/pagination.ts'
import type { Reference } from '../../oci/reference.ts'
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

export interface GuardedRepositoryComponents {
  repository: Repository
  caller: Caller
  index: Pick<Index, 'isBlobOwned'>
}

/**
 * A repository of this registry as the rules let one caller see it: each question is asked before anything is looked up
 * or changed
 */
export class GuardedRepository implements Repository {
  readonly #repository: Repository
  readonly #caller: Caller
  readonly #index: GuardedRepositoryComponents['index']

  constructor({ repository, caller, index }: GuardedRepositoryComponents) {
    this.#repository = repository
    this.#caller = caller
    this.#index = index
  }

  get name(): string {
    return this.#repository.name
  }

  get upstream(): string | undefined {
    return this.#repository.upstream
  }

  async blob(digest: Digest, options?: LookUpOptions): Promise<Blob> {
    this.#require('pull')
    return await this.#repository.blob(digest, options)
  }

  async manifest(reference: Reference, options?: LookUpOptions): Promise<FoundManifest> {
    this.#require('pull', reference.tag)
    return await this.#repository.manifest(reference, options)
  }

  async tags(page: Page, options?: RequestOptions): Promise<Listing<string>> {
    this.#require('pull')
    return await this.#repository.tags(page, options)
  }

  async referrers(
    subject: Digest,
    page: Page,
    artifactType?: string,
    options?: RequestOptions,
  ): Promise<Listing<Referrer>> {
    this.#require('pull')
    return await this.#repository.referrers(subject, page, artifactType, options)
  }

  async putManifest(manifest: PutManifest): ReturnType<Repository['putManifest']> {
    const { reference, tags } = manifest
    for (const tag of [reference.tag, ...tags]) {
      this.#require('push', tag)
    }
    return await this.#repository.putManifest({
      ...manifest,
      onMove: tag => {
        this.#require('tag', tag)
        manifest.onMove?.(tag)
      },
    })
  }

  async deleteManifest(...[reference, options]: Parameters<Repository['deleteManifest']>): Promise<void> {
    this.#requireDelete(reference.tag)
    await this.#repository.deleteManifest(reference, {
      ...options,
      onUntag: tag => {
        this.#requireDelete(tag)
        options?.onUntag?.(tag)
      },
    })
  }

  async deleteBlob(digest: Digest): Promise<void> {
    this.#requireDelete(undefined)
    await this.#repository.deleteBlob(digest)
  }

  /** A blob that the caller may not pull is not there for a mount; the client uploads it then, as if nobody had it */
  async mountBlob(digest: Digest, from: string | undefined): Promise<boolean> {
    this.#require('push')
    const isAllowed =
      this.#caller.mayMount(from, this.name) || (from === undefined && (await this.#mayMountFromAny(digest)))
    return isAllowed && (await this.#repository.mountBlob(digest, from))
  }

  requireWritable(): void {
    this.#require('push')
    this.#repository.requireWritable()
  }

  /** Whether some repository has the blob that the caller may pull, and would be allowed to name */
  async #mayMountFromAny(digest: Digest): Promise<boolean> {
    const mayPull = (repository: string): boolean => this.#caller.may({ action: 'pull', repository })
    return mayPull(this.name) && (await this.#index.isBlobOwned(digest, mayPull))
  }

  #require(action: 'pull' | 'push' | 'tag', tag?: string): void {
    this.#caller.require({ action, repository: this.name, tag })
  }

  /** @param tag undefined: a manifest or blob by its digest, which any tag may need */
  #requireDelete(tag: string | undefined): void {
    this.#caller.require({ action: 'delete', repository: this.name, tag, concernsAnyTag: tag === undefined })
  }
}
