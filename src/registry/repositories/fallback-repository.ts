import type { Digest } from '../../oci/digest.ts'
import { OciError } from '../../oci/errors.ts'
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

/**
 * A name that has no manifest here: it is pulled from another registry, and pushed to this one. Clients that can't name
 * the other registry, such as docker with a mirror of its hub, ask like this.
 */
export class FallbackRepository implements Repository {
  readonly name: string
  readonly upstream: string | undefined
  readonly #local: Repository
  readonly #mirrored: Repository
  readonly #mayPullHere: boolean

  /** @param mayPullHere whether the caller may pull from the name itself, not only what it stands for */
  constructor(local: Repository, mirrored: Repository, mayPullHere: boolean) {
    this.name = local.name
    this.upstream = mirrored.upstream
    this.#local = local
    this.#mirrored = mirrored
    this.#mayPullHere = mayPullHere
  }

  async manifest(reference: Reference, options?: LookUpOptions): Promise<FoundManifest> {
    return await this.#mirrored.manifest(reference, options)
  }

  /** Who asks whether a blob is there wants to push: the answer is of this registry */
  async blob(digest: Digest, options: LookUpOptions = {}): Promise<Blob> {
    if (options.whole === true) {
      return await this.#local.blob(digest, options)
    }
    if (!this.#mayPullHere) {
      return await this.#mirroredBlob(digest, options)
    }
    return await this.#local.blob(digest, options).catch(async (err: unknown) => {
      if (err instanceof OciError && err.code === 'BLOB_UNKNOWN') {
        return await this.#mirroredBlob(digest, options)
      }
      throw err
    })
  }

  async tags(page: Page, options?: RequestOptions): Promise<Listing<string>> {
    return await this.#mirrored.tags(page, options)
  }

  async referrers(
    subject: Digest,
    page: Page,
    artifactType?: string,
    options?: RequestOptions,
  ): Promise<Listing<Referrer>> {
    return await this.#mirrored.referrers(subject, page, artifactType, options)
  }

  async putManifest(manifest: PutManifest): ReturnType<Repository['putManifest']> {
    return await this.#local.putManifest(manifest)
  }

  async deleteManifest(...args: Parameters<Repository['deleteManifest']>): Promise<void> {
    await this.#local.deleteManifest(...args)
  }

  async deleteBlob(digest: Digest): Promise<void> {
    await this.#local.deleteBlob(digest)
  }

  async mountBlob(digest: Digest, from: string | undefined): Promise<boolean> {
    return await this.#local.mountBlob(digest, from)
  }

  requireWritable(): void {
    this.#local.requireWritable()
  }

  async #mirroredBlob(digest: Digest, options: LookUpOptions): Promise<Blob> {
    return { ...(await this.#mirrored.blob(digest, options)), repository: this.#mirrored.name }
  }
}
