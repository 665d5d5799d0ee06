import type { Caller } from '../../access/caller.ts'
import { requireDigest, type Digest } from '../../oci/digest.ts'
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
import type { SignaturePolicy } from './signature-policy.ts'

export interface SignedRepositoryComponents {
  repository: Repository
  caller: Caller
  policy: Pick<SignaturePolicy, 'requireForPull' | 'requireForTags'>
}

/**
 * A repository in which images must be signed. It is the bytes of manifests that are refused: whether one is there is
 * told to everybody who may pull, as clients ask before they push.
 */
export class SignedRepository implements Repository {
  readonly #repository: Repository
  readonly #caller: Caller
  readonly #policy: SignedRepositoryComponents['policy']

  constructor({ caller, policy, repository }: SignedRepositoryComponents) {
    this.#repository = repository
    this.#caller = caller
    this.#policy = policy
  }

  get name(): string {
    return this.#repository.name
  }

  async blob(digest: Digest, options?: LookUpOptions): Promise<Blob> {
    return await this.#repository.blob(digest, options)
  }

  async manifest(reference: Reference, options: LookUpOptions = {}): Promise<FoundManifest> {
    const found = await this.#repository.manifest(reference, options)
    const signs = options.signs === true && this.#caller.may({ action: 'push', repository: this.name })
    if (options.whole !== true && !signs) {
      await this.#policy.requireForPull(this.#repository, reference, found, options)
    }
    return found
  }

  async tags(page: Page, options?: RequestOptions): Promise<Listing<string>> {
    return await this.#repository.tags(page, options)
  }

  async referrers(
    subject: Digest,
    page: Page,
    artifactType?: string,
    options?: RequestOptions,
  ): Promise<Listing<Referrer>> {
    return await this.#repository.referrers(subject, page, artifactType, options)
  }

  async putManifest(put: PutManifest): ReturnType<Repository['putManifest']> {
    const { bytes, reference, tags } = put
    const all = reference.tag === undefined ? tags : [reference.tag, ...tags]
    const digest = (): Digest => requireDigest(bytes, reference.digest)
    await this.#policy.requireForTags(this.#repository, all, digest, {})
    return await this.#repository.putManifest(put)
  }

  async deleteManifest(...args: Parameters<Repository['deleteManifest']>): Promise<void> {
    await this.#repository.deleteManifest(...args)
  }

  async deleteBlob(digest: Digest): Promise<void> {
    await this.#repository.deleteBlob(digest)
  }

  async mountBlob(digest: Digest, from: string | undefined): Promise<boolean> {
    return await this.#repository.mountBlob(digest, from)
  }

  requireWritable(): void {
    this.#repository.requireWritable()
  }
}
