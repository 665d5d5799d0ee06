import { LRUCache } from 'lru-cache'
import type { Index } from '../../index/index.ts'
import type { Digest } from '../../oci/digest.ts'
import { globMatcher } from '../../oci/globs.ts'
import { TimeSlice } from '../../scheduling/time-slice.ts'
import type { RequestOptions } from '../repository.ts'
import { findSignatures, orUnknown, type FoundSignature } from './find-signatures.ts'
import type { Trust } from './formats/authority.ts'
import type { PublicKey } from './formats/public-key.ts'
import { verifySignature, type SignatureSource } from './read-signature.ts'
import { bundleType, cosignReferrerType, notationType, type Lasting, type Verdict } from './formats/signature-format.ts'

const second = 1000
/** Each entry takes a few hundred bytes */
const maxVerdicts = 10_000
/** For so long a manifest that no signed index lists is not looked for again */
const orphanTime = 5 * second
/** For so long another registry is not asked again for the signatures of an image that has none */
const unsignedTime = 60 * second
/** Indexes that list a manifest, and indexes of indexes, that are looked at */
const [maxParents, maxDepth] = [1000, 2]

export type Refused = 'pulls' | 'tags'

/** Which images must be signed, as the configuration has it */
export interface SignatureRule {
  /** Globs */
  repositories: readonly string[]
  /** Whose signatures of cosign count */
  keys: readonly PublicKey[]
  /** Whose signatures of Notation count; @default nobody's */
  trust?: Trust
  refuse: readonly Refused[]
  /** Whether signatures count that were made for the same image in another repository */
  copies: boolean
}

/** Nobody's signatures count */
const noTrust: Trust = { authorities: [], identities: [] }

/** What has to be known of manifests beside their signatures */
export type ManifestIndex = Pick<Index, 'manifest' | 'manifests' | 'mirrored' | 'tag'>

interface KnownSignature extends Lasting {
  digest: Digest
  tag: string | undefined
  key: string
}

/** The key by which an image is signed, or why it is not */
export type Standing = { key: string } | { reason: string }

/** One rule, and what it found out so far */
export class RuleCheck {
  /** As the configuration names it, such as `onlySigned[0]` */
  readonly name: string
  readonly rule: SignatureRule
  readonly matches: (repository: string) => boolean
  readonly #index: ManifestIndex
  /** Of manifests that may hold signatures that count */
  readonly #types: readonly string[]
  /** By repository, image and signature, none of which can change; what ends does so by its time */
  readonly #verdicts = new LRUCache<string, Verdict>({ max: maxVerdicts })
  /** The signature of an image that was valid when it was last asked about */
  readonly #valid = new LRUCache<string, KnownSignature>({ max: maxVerdicts })
  /** Why images of other registries are not signed */
  readonly #unsigned = new LRUCache<string, string>({ max: maxVerdicts, ttl: unsignedTime })
  /** Indexes that list a manifest */
  readonly #parents = new LRUCache<string, Digest>({ max: maxVerdicts })
  readonly #orphans = new LRUCache<string, true>({ max: maxVerdicts, ttl: orphanTime })

  constructor(index: ManifestIndex, rule: SignatureRule, position: number) {
    this.#index = index
    this.rule = rule
    this.name = `onlySigned[${position}]`
    this.matches = globMatcher(rule.repositories)
    this.#types = [
      ...(rule.keys.length > 0 ? [bundleType, cosignReferrerType] : []),
      ...(this.#trust.authorities.length > 0 ? [notationType] : []),
    ]
  }

  /** Names of keys and authorities whose signatures count */
  get signers(): readonly string[] {
    return [...this.rule.keys, ...this.#trust.authorities].map(({ name }) => name)
  }

  get #trust(): Trust {
    return this.rule.trust ?? noTrust
  }

  /**
   * Whether an image counts as signed: it is itself, or an index is that lists it
   *
   * @throws OciError where another registry has to be asked and can't be
   */
  async standing(source: SignatureSource, digest: Digest, options: RequestOptions): Promise<Standing> {
    const own = await this.#ownStanding(source, digest, options)
    return 'key' in own ? own : ((await this.#inherited(source, digest, options)) ?? own)
  }

  /** To be told what an index lists that counts as signed, so that it is not looked for */
  noteChildren(repository: string, digest: Digest, children: readonly Digest[]): void {
    for (const child of children.slice(0, maxVerdicts)) {
      const key = keyOf(repository, child)
      this.#parents.set(key, digest)
      this.#orphans.delete(key)
    }
  }

  /** What is to be said of one signature of an image, which may say so itself alone */
  async verdict(
    source: SignatureSource,
    image: Digest,
    { digest, read }: Pick<FoundSignature, 'digest' | 'read'>,
    options: RequestOptions,
  ): Promise<Verdict> {
    const key = keyOf(source.name, image, digest)
    const known = this.#verdicts.get(key)
    if (known !== undefined && isStillSo(known)) {
      return known
    }
    const manifest = await orUnknown(read)
    if (manifest === undefined) {
      return { reason: 'it is not here any more' }
    }
    const question = { digest: image, keys: this.rule.keys, trust: this.#trust }
    const found = await verifySignature(source, manifest, question, options)
    const verdict = this.rule.copies ? found.verdict : forRepository(found.verdict, source.name)
    if (found.isFinal) {
      this.#verdicts.set(key, verdict)
    }
    return verdict
  }

  async #ownStanding(source: SignatureSource, image: Digest, options: RequestOptions): Promise<Standing> {
    const key = keyOf(source.name, image)
    const valid = this.#valid.get(key)
    if (valid !== undefined && isStillSo(valid) && (await this.#isHere(source.name, valid))) {
      return { key: valid.key }
    }
    const known = this.#unsigned.get(key)
    if (known !== undefined) {
      return { reason: known }
    }
    let reason = 'this one has no signature'
    for await (const signature of findSignatures(source, image, this.#types, options)) {
      const verdict = await this.verdict(source, image, signature, options)
      if ('key' in verdict && verdict.counts) {
        const { digest, tag } = signature
        this.#valid.set(key, { digest, tag, key: verdict.key, until: verdict.until })
        return { key: verdict.key }
      }
      const why = 'key' in verdict ? 'it is an attestation, not a signature' : verdict.reason
      reason = `the signature of this one does not count: ${why}`
    }
    this.#valid.delete(key)
    if ((await this.#index.mirrored(source.name, image)) !== undefined) {
      this.#unsigned.set(key, reason)
    }
    return { reason }
  }

  async #isHere(repository: string, { digest, tag }: { digest: Digest; tag: string | undefined }): Promise<boolean> {
    return tag === undefined
      ? (await this.#index.manifest(repository, digest)) !== undefined
      : (await this.#index.tag(repository, tag))?.digest === digest
  }

  /** The standing of a signed index that lists the image; undefined: there is none */
  async #inherited(source: SignatureSource, image: Digest, options: RequestOptions): Promise<Standing | undefined> {
    const key = keyOf(source.name, image)
    const known = this.#parents.get(key)
    if (known !== undefined && (await this.#index.manifest(source.name, known))?.manifests.includes(image) === true) {
      const standing = await this.standing(source, known, options)
      if ('key' in standing) {
        return standing
      }
    }
    if (this.#orphans.has(key)) {
      return undefined
    }
    let listed = new Set([image])
    for (let depth = 0; depth < maxDepth && listed.size > 0 && listed.size < maxParents; depth++) {
      const parents = await this.#parentsOf(source.name, listed, options)
      for (const parent of parents) {
        const standing = await this.#ownStanding(source, parent, options)
        if ('key' in standing) {
          this.#parents.set(key, parent)
          return standing
        }
      }
      listed = parents
    }
    this.#orphans.set(key, true)
    return undefined
  }

  async #parentsOf(repository: string, listed: ReadonlySet<Digest>, options: RequestOptions): Promise<Set<Digest>> {
    const parents = new Set<Digest>()
    const slice = new TimeSlice()
    for await (const { digest, record } of this.#index.manifests(repository)) {
      if (parents.size < maxParents && record.manifests.some(child => listed.has(child))) {
        parents.add(digest)
      }
      await slice.pause()
      options.signal?.throwIfAborted()
    }
    return parents
  }
}

/** Certificates end, and signatures of Notation may say that they do */
function isStillSo({ until = Number.POSITIVE_INFINITY }: Lasting): boolean {
  return Date.now() <= until
}

function keyOf(...parts: readonly string[]): string {
  return parts.join(' ')
}

/** A signature that names a repository is for that one alone */
function forRepository(verdict: Verdict, repository: string): Verdict {
  if (!('key' in verdict) || verdict.repository === undefined) {
    return verdict
  }
  const path = withoutHost(verdict.repository.replace(/@.*$|:[^/:]*$/, ''))
  return path === repository || path === withoutHost(repository)
    ? verdict
    : { reason: 'it was made for another repository' }
}

/** Registries have many names: only the path behind them tells repositories apart */
function withoutHost(name: string): string {
  const [first, ...rest] = name.split('/')
  return rest.length > 0 && /[.:]|^localhost$/.test(first!) ? rest.join('/') : name
}
