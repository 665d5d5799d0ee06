import type { Digest } from '../oci/digest.ts'
import type { Page } from '../oci/pagination.ts'
import type { Reference } from '../oci/reference.ts'
import type { Referrer } from './referrer.ts'
import type { Blob, FoundManifest, Listing, LookUpOptions, Repository, RequestOptions } from './repository.ts'

/** A repository that passes each question on to another one: what differs is overridden */
export abstract class WrappedRepository implements Repository {
  protected readonly repository: Repository

  constructor(repository: Repository) {
    this.repository = repository
  }

  get name(): string {
    return this.repository.name
  }

  get upstream(): string | undefined {
    return this.repository.upstream
  }

  async blob(digest: Digest, options?: LookUpOptions): Promise<Blob> {
    return await this.repository.blob(digest, options)
  }

  async manifest(reference: Reference, options?: LookUpOptions): Promise<FoundManifest> {
    return await this.repository.manifest(reference, options)
  }

  async tags(page: Page, options?: RequestOptions): Promise<Listing<string>> {
    return await this.repository.tags(page, options)
  }

  async referrers(...args: Parameters<Repository['referrers']>): Promise<Listing<Referrer>> {
    return await this.repository.referrers(...args)
  }

  async putManifest(...args: Parameters<Repository['putManifest']>): ReturnType<Repository['putManifest']> {
    return await this.repository.putManifest(...args)
  }

  async deleteManifest(...args: Parameters<Repository['deleteManifest']>): Promise<void> {
    await this.repository.deleteManifest(...args)
  }

  async deleteBlob(digest: Digest): Promise<void> {
    await this.repository.deleteBlob(digest)
  }

  async mountBlob(...args: Parameters<Repository['mountBlob']>): Promise<boolean> {
    return await this.repository.mountBlob(...args)
  }

  requireWritable(): void {
    this.repository.requireWritable()
  }
}
