/**
 * `registry/quotas` bounds what the repositories of a glob may have together. Begin here. What a quota has is counted
 * by a scan of the index (`count-usage.ts`), and what is added since then is added to that; what is deleted is found
 * by the next scan, at the latest when a push would be refused otherwise. So a quota that is far from full costs a
 * push no scan.
 */
import type { Index } from '../../index/index.ts'
import type { Digest } from '../../oci/digest.ts'
import { OciError } from '../../oci/errors.ts'
import { globMatcher } from '../../oci/globs.ts'
import { SharedCalls } from '../../scheduling/shared-calls.ts'
import { countUsage } from './count-usage.ts'

const minute = 60_000

/** A quota as the configuration has it */
export interface QuotaRule {
  /** Globs of the repositories that share it */
  repositories: readonly string[]
  /** Bytes of all blobs and manifests, each once for each repository that has it */
  bytes?: number | undefined
  /** Bytes of the blobs that no repository outside has, each once */
  ownBytes?: number | undefined
  tags?: number | undefined
}

/** What repositories have, or what a push adds */
export interface Usage {
  bytes: number
  ownBytes: number
  tags: number
}

/** A quota and what its repositories have */
export interface QuotaUsage {
  /** As the configuration names it, such as `quotas[0]` */
  name: string
  limits: QuotaRule
  used: Usage
}

interface Quota {
  rule: QuotaRule
  /** As the configuration names it, such as `quotas[0]` */
  name: string
  matches: (repository: string) => boolean
  /** Undefined before the first scan */
  usage: Usage | undefined
  /** What was reserved and is not in the index yet, and what was added since the scan that runs began */
  pending: Usage
  added: Usage
  /** When the last scan ended; milliseconds since the epoch */
  counted: number
}

/** Room for a push; disposing of it gives it back, unless it was used */
export interface QuotaReservation extends Disposable {
  /** To be called when what it was for is in the index */
  used: () => void
}

const kinds = ['bytes', 'ownBytes', 'tags'] as const
const whatOf = { bytes: 'bytes', ownBytes: 'bytes of their own', tags: 'tags' }

export class Quotas {
  readonly #index: Index
  readonly #quotas: Quota[]
  readonly #scans = new SharedCalls<void>()
  readonly #maxAge: number
  /** Told of each push that is refused. Returns at once, and never throws. */
  onRefused: ((repository: string, reason: string) => void) | undefined

  /** @param init.maxAge a scan is repeated before a push is refused, if it is older; milliseconds. @default a second */
  constructor({ index }: { index: Index }, rules: readonly QuotaRule[], { maxAge = 1000 }: { maxAge?: number } = {}) {
    this.#index = index
    this.#maxAge = maxAge
    this.#quotas = rules.map((rule, position) => ({
      rule,
      name: `quotas[${position}]`,
      matches: globMatcher(rule.repositories),
      usage: undefined,
      pending: nothing(),
      added: nothing(),
      counted: 0,
    }))
  }

  /** Every quota, with what its repositories have, counted again at most once a minute */
  async usage(): Promise<QuotaUsage[]> {
    for (const quota of this.#quotas) {
      if (quota.usage === undefined || Date.now() - quota.counted > minute) {
        await this.#count(quota)
      }
    }
    return this.#quotas.map(({ name, rule, usage }) => ({ name, limits: rule, used: { ...(usage ?? nothing()) } }))
  }

  /**
   * To be called before bytes of a blob are taken whose digest is not known yet
   *
   * @throws OciError DENIED where they can't become a blob of the repository
   */
  async requireRoom(repository: string, bytes: number): Promise<void> {
    await this.#require(repository, { ...nothing(), bytes })
  }

  /**
   * Reserves room for a blob that becomes one of the repository
   *
   * @throws OciError DENIED
   */
  async reserveBlob(repository: string, digest: Digest, size: number): Promise<QuotaReservation> {
    if (!this.#has(repository) || (await this.#index.isLinked(repository, digest))) {
      return unlimited
    }
    const isShared = await this.#index.isBlobOwned(digest, () => true)
    return await this.#reserve(repository, { bytes: size, ownBytes: isShared ? 0 : size, tags: 0 })
  }

  /**
   * Reserves room for a manifest and its tags
   *
   * @throws OciError DENIED
   */
  async reserveManifest(
    repository: string,
    { digest, size, tags }: { digest: Digest; size: number; tags: readonly string[] },
  ): Promise<QuotaReservation> {
    if (!this.#has(repository)) {
      return unlimited
    }
    const bytes = (await this.#index.manifest(repository, digest)) === undefined ? size : 0
    const known = await Promise.all(tags.map(async tag => await this.#index.tag(repository, tag)))
    const more = known.filter(tag => tag === undefined).length
    return await this.#reserve(repository, { bytes, ownBytes: bytes, tags: more })
  }

  #has(repository: string): boolean {
    return this.#quotas.some(({ matches }) => matches(repository))
  }

  async #reserve(repository: string, wanted: Usage): Promise<QuotaReservation> {
    const quotas = await this.#require(repository, wanted)
    // without an await since the last look: pushes at the same time see each other
    for (const { added, pending, usage } of quotas) {
      for (const target of [added, pending, usage]) {
        add(target, wanted, 1)
      }
    }
    let isUsed = false
    return {
      used: () => {
        isUsed = true
      },
      [Symbol.dispose]: () => {
        for (const { added, pending, usage } of quotas) {
          add(pending, wanted, -1)
          for (const target of isUsed ? [] : [added, usage]) {
            add(target, wanted, -1)
          }
        }
      },
    }
  }

  /** @returns the quotas of the repository, all of which have room */
  async #require(repository: string, wanted: Usage): Promise<Quota[]> {
    const quotas = this.#quotas.filter(({ matches }) => matches(repository))
    for (let quota = quotas.find(isUncounted); quota !== undefined; quota = quotas.find(isUncounted)) {
      await this.#count(quota)
    }
    for (const quota of quotas) {
      if (overflow(quota, wanted) !== undefined && Date.now() - quota.counted > this.#maxAge) {
        await this.#count(quota)
      }
    }
    for (const quota of quotas) {
      const kind = overflow(quota, wanted)
      if (kind !== undefined) {
        const refusal = exceeded(repository, quota, kind, wanted)
        this.onRefused?.(repository, refusal.message)
        throw refusal
      }
    }
    return quotas
  }

  async #count(quota: Quota): Promise<void> {
    await this.#scans.run(quota.name, async () => {
      quota.added = nothing()
      const before = { ...quota.pending }
      const usage = await countUsage(this.#index, quota.matches)
      // what was added meanwhile may be counted twice, until the next scan
      add(usage, quota.added, 1)
      add(usage, before, 1)
      quota.usage = usage
      quota.counted = Date.now()
    })
  }
}

const unlimited: QuotaReservation = { used: () => {}, [Symbol.dispose]: () => {} }

function nothing(): Usage {
  return { bytes: 0, ownBytes: 0, tags: 0 }
}

function add(target: Usage | undefined, usage: Usage, times: 1 | -1): void {
  for (const kind of target === undefined ? [] : kinds) {
    target![kind] += times * usage[kind]
  }
}

/** What is deleted or put past the quotas, as by a restore, is noticed within this time */
function isUncounted({ counted, usage }: Quota): boolean {
  return usage === undefined || Date.now() - counted > 60 * minute
}

/** Of what there would be too much */
function overflow({ rule, usage = nothing() }: Quota, wanted: Usage): keyof Usage | undefined {
  return kinds.find(kind => rule[kind] !== undefined && wanted[kind] > 0 && usage[kind] + wanted[kind] > rule[kind])
}

/** The message is what docker shows */
function exceeded(repository: string, { name, rule, usage }: Quota, kind: keyof Usage, wanted: Usage): OciError {
  const [limit, used] = [rule[kind], usage?.[kind]]
  return new OciError('DENIED', {
    message:
      `the quota of ${rule.repositories.join(', ')} is ${limit} ${whatOf[kind]}: ` +
      `${used} are there, and this push adds ${wanted[kind]}`,
    detail: { name: repository, quota: name, kind, limit, used, wanted: wanted[kind] },
  })
}
