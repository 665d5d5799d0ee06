import type { Caller } from '../../access/caller.ts'
import { requireDigest, type Digest } from '../../oci/digest.ts'
import type { Reference } from '../../oci/reference.ts'
import type { FoundManifest, LookUpOptions, PutManifest, Repository } from '../repository.ts'
import { WrappedRepository } from '../wrapped-repository.ts'
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
export class SignedRepository extends WrappedRepository {
  readonly #caller: Caller
  readonly #policy: SignedRepositoryComponents['policy']

  constructor({ caller, policy, repository }: SignedRepositoryComponents) {
    super(repository)
    this.#caller = caller
    this.#policy = policy
  }

  override async manifest(reference: Reference, options: LookUpOptions = {}): Promise<FoundManifest> {
    const found = await super.manifest(reference, options)
    const signs = options.signs === true && this.#caller.may({ action: 'push', repository: this.name })
    if (options.whole !== true && !signs) {
      await this.#policy.requireForPull(this.repository, reference, found, options)
    }
    return found
  }

  override async putManifest(put: PutManifest): ReturnType<Repository['putManifest']> {
    const { bytes, reference, tags } = put
    const all = reference.tag === undefined ? tags : [reference.tag, ...tags]
    const digest = (): Digest => requireDigest(bytes, reference.digest)
    await this.#policy.requireForTags(this.repository, all, digest, {})
    return await super.putManifest(put)
  }
}
