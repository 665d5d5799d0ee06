/**
 * `registry/signatures` verifies the signatures of images by keys of the configuration, and refuses images that have
 * none where `onlySigned` says so. It is loaded where the configuration has such a rule, and asks nobody about keys.
 *
 * - `signature-policy.ts` (begin here): the rules; `signed-repository.ts`: a repository as they let clients see it
 * - `rule-check.ts`: one rule, and what it remembers; `find-signatures.ts`: how signatures are attached to images
 * - `read-signature.ts`: reads what one manifest holds, within bounds
 * - `attachments.ts`: what is about an image, and can be pulled without a signature of its own
 * - `signature-report.ts`: which images the rules let through
 * - `notation/`: signatures of Notation, by chains of certificates
 * - `formats/`: `simple-signing.ts` and `sigstore-bundle.ts`: the formats of cosign 2 and 3; `signature-format.ts`:
 *   what all formats share; `public-key.ts`, `authority.ts`, `certificate.ts`: by what they are verified
 */
import type { Caller } from '../../access/caller.ts'
import type { Digest } from '../../oci/digest.ts'
import { OciError } from '../../oci/errors.ts'
import type { Reference } from '../../oci/reference.ts'
import type { FoundManifest, Repository, RequestOptions } from '../repository.ts'
import { isAttachment } from './attachments.ts'
import { RuleCheck, type ManifestIndex, type Refused, type SignatureRule, type Standing } from './rule-check.ts'
import type { SignatureSource } from './read-signature.ts'
import { isAttachedTag } from './formats/signature-format.ts'
import { SignedRepository } from './signed-repository.ts'

export type { SignatureRule } from './rule-check.ts'

/** What a page says of a signature or attestation */
export type SignatureNote = { verified: true; key: string } | { verified: false; reason: string }

/** What one rule says of an image */
export interface RuleStanding {
  /** As the configuration names it, such as `onlySigned[0]` */
  policy: string
  refuse: readonly Refused[]
  standing: Standing
}

export class SignaturePolicy {
  readonly #index: ManifestIndex
  readonly #checks: readonly RuleCheck[]
  /** Told of each pull or push that is refused. Returns at once, and never throws. */
  onRefused: ((repository: string, tag: string | undefined, reason: string) => void) | undefined

  constructor({ index }: { index: ManifestIndex }, rules: readonly SignatureRule[]) {
    this.#index = index
    this.#checks = rules.map((rule, position) => new RuleCheck(index, rule, position))
  }

  /** A repository as one caller gets it; the same where no rule refuses anything in it */
  guard(repository: Repository, caller: Caller): Repository {
    const refused = this.#about(repository.name).flatMap(({ rule }) => rule.refuse)
    return refused.length === 0 ? repository : new SignedRepository({ repository, caller, policy: this })
  }

  isAbout(repository: string): boolean {
    return this.#checks.some(check => check.matches(repository))
  }

  /**
   * To be called before a client gets the bytes of a manifest
   *
   * @throws OciError DENIED where a rule wants a signature and there is none that counts
   */
  async requireForPull(
    source: SignatureSource,
    reference: Reference,
    found: FoundManifest,
    options: RequestOptions,
  ): Promise<void> {
    for (const check of this.#about(source.name, 'pulls')) {
      const standing = await check.standing(source, found.digest, options)
      if ('key' in standing) {
        const record = await this.#index.manifest(source.name, found.digest)
        check.noteChildren(source.name, found.digest, record?.manifests ?? [])
      } else if (!(await isAttachment(source, reference, found, options))) {
        const names = check.signers.join(' or ')
        const todo = `have it signed by ${names}`
        throw this.#refusal(check, source.name, reference.tag, found.digest, {
          message: `only signed images are pulled from ${source.name}, and ${standing.reason}: ${todo}`,
        })
      }
    }
  }

  /**
   * To be called before tags are set
   *
   * @throws OciError DENIED where a rule wants a signature first and there is none that counts
   */
  async requireForTags(
    source: SignatureSource,
    tags: readonly string[],
    digest: () => Digest,
    options: RequestOptions,
  ): Promise<void> {
    const checks = this.#about(source.name, 'tags')
    const tag = tags.find(tag => !isAttachedTag(tag))
    if (checks.length === 0 || tag === undefined) {
      return
    }
    for (const check of checks) {
      const standing = await check.standing(source, digest(), options)
      if (!('key' in standing)) {
        const todo = 'push it by its digest, have it signed, then set the tag'
        throw this.#refusal(check, source.name, tag, digest(), {
          message: `only signed images get a tag in ${source.name}, and ${standing.reason}: ${todo}`,
        })
      }
    }
  }

  /** What the rules about a repository say of an image; none where there are none */
  async standings(source: SignatureSource, digest: Digest, options: RequestOptions): Promise<RuleStanding[]> {
    const standings: RuleStanding[] = []
    for (const check of this.#about(source.name)) {
      const standing = await check.standing(source, digest, options)
      standings.push({ policy: check.name, refuse: check.rule.refuse, standing })
    }
    return standings
  }

  /**
   * What is to be said of one signature of an image
   *
   * @returns undefined where no rule names keys for the repository
   */
  async note(
    source: SignatureSource,
    image: Digest,
    signature: Digest,
    options: RequestOptions,
  ): Promise<SignatureNote | undefined> {
    const read = async (): Promise<FoundManifest> => await source.manifest({ digest: signature }, options)
    let reason: string | undefined
    for (const check of this.#about(source.name)) {
      const verdict = await check.verdict(source, image, { digest: signature, read }, options)
      if ('key' in verdict) {
        return { verified: true, key: verdict.key }
      }
      reason = verdict.reason
    }
    return reason === undefined ? undefined : { verified: false, reason }
  }

  #about(repository: string, refused?: Refused): RuleCheck[] {
    return this.#checks.filter(
      ({ matches, rule }) => matches(repository) && (refused === undefined || rule.refuse.includes(refused)),
    )
  }

  #refusal(
    { name: policy }: RuleCheck,
    name: string,
    tag: string | undefined,
    digest: Digest,
    { message }: { message: string },
  ): OciError {
    this.onRefused?.(name, tag, message)
    return new OciError('DENIED', { message: `${message} (policy ${policy})`, detail: { name, digest, policy } })
  }
}
