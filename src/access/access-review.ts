/** What an administrator sees of who may do what, and can change of it while the server runs */
import type { AccessFiles, AccessState } from './files/access-files.ts'
import { isExpired, type ApiKey } from './files/api-keys.ts'
import type { AuditEntry, AuditPart, AuditQuestion, AuditReader } from './audit/audit-reader.ts'
import { AccessQuestionError } from './errors.ts'
import { explainAccess, type AccessQuestion, type Explanation } from './explain-access.ts'
import type { KeyUses } from './log-in/key-uses.ts'
import { OciError } from '../oci/errors.ts'
import type { FailedLogIn, RecentFailures } from './audit/recent-failures.ts'
import type { Rule } from './rules/rules.ts'

export interface NewKey {
  name: string
  scopes: readonly string[]
  owner?: string | undefined
  /** Seconds until it is not valid any more */
  lifetime?: number | undefined
}

/** A key as everybody may see it who administers */
export interface ReviewedKey extends Omit<ApiKey, 'hash'> {
  expired: boolean
  /** When it was last shown, since the server started; ISO 8601 */
  used?: string | undefined
}

export interface ReviewedUser {
  name: string
  groups: string[]
}

export interface ReviewedIssuer {
  name: string
  issuer: string
  /** Whether people log in there by a browser */
  hasLogIn: boolean
}

export interface Summary {
  /** Whether there are rules: without them, everybody may do everything */
  isClosed: boolean
  hasAuditLog: boolean
  users: number
  keys: number
  rules: number
  groups: { name: string; members: readonly string[] }[]
  issuers: ReviewedIssuer[]
}

/** A part of a list that is counted from 0 */
export interface ListQuestion {
  search: string
  from: number
  limit: number
}

export interface PartOf<T> {
  items: T[]
  total: number
}

export interface AuditFilter extends Pick<AuditQuestion, 'before' | 'limit' | 'signal'> {
  /** A part of who, what, where or why; empty: all */
  search: string
  /** Empty: all */
  outcome: string
}

/** Changes the file of the keys */
export interface KeyMaker {
  /** @throws OciError REQUEST_INVALID, UNAVAILABLE */
  create: (key: NewKey) => Promise<{ key: ReviewedKey; secret: string }>
  /** @throws OciError UNAVAILABLE */
  revoke: (name: string) => Promise<void>
}

export interface AccessReviewComponents {
  files: Pick<AccessFiles, 'reload' | 'state'>
  recentFailures: Pick<RecentFailures, 'list'>
  keyUses: Pick<KeyUses, 'last'>
  keyMaker: KeyMaker
  /** Undefined where there is no audit log */
  auditReader: Pick<AuditReader, 'read'> | undefined
}

/** Groups and issuers that are shown; what the file says beyond them is in the file */
const maxShown = 1000

export class AccessReview {
  readonly #components: AccessReviewComponents

  constructor(components: AccessReviewComponents) {
    this.#components = components
  }

  summary(): Summary {
    const { auditReader, files } = this.#components
    const { state } = files
    return {
      isClosed: state !== undefined,
      hasAuditLog: auditReader !== undefined,
      users: state?.passwords.size ?? 0,
      keys: state?.keys.all.length ?? 0,
      rules: state?.rules.all.length ?? 0,
      groups: Object.entries(state?.groups ?? {})
        .slice(0, maxShown)
        .map(([name, members]) => ({ name, members: members.slice(0, maxShown) })),
      issuers: Array.from(state?.issuers.values() ?? [])
        .slice(0, maxShown)
        .map(({ issuer, login, name }) => ({ name, issuer, hasLogIn: login !== undefined })),
    }
  }

  /** By name */
  users(question: ListQuestion): PartOf<ReviewedUser> {
    const { groupsOf, passwords } = this.#state()
    const found = [...passwords.keys()].filter(name => contains(question.search, name)).sort()
    return partOf(found, question, name => ({ name, groups: groupsOf(name) }))
  }

  /** The newest first */
  keys(question: ListQuestion): PartOf<ReviewedKey> {
    const found = this.#state().keys.all.filter(({ name, owner = '', scopes }) =>
      contains(question.search, name, owner, ...scopes),
    )
    return partOf(found.reverse(), question, key => this.#reviewed(key))
  }

  /** As the file has them */
  rules(question: ListQuestion): PartOf<Rule> {
    const found = this.#state().rules.all.filter(({ actions, effect, repositories, source, subjects, tags = [] }) =>
      contains(question.search, source, effect, ...subjects, ...repositories, ...actions, ...tags),
    )
    return partOf(found, question, rule => rule)
  }

  /** @throws OciError REQUEST_INVALID */
  explain(question: AccessQuestion): Explanation {
    const { state } = this.#components.files
    if (state === undefined) {
      return { allowed: true, reason: `yes: there are no rules, so everybody may ${question.action} ${question.name}` }
    }
    try {
      return explainAccess(state, question)
    } catch (err) {
      throw err instanceof AccessQuestionError ? invalid(err.message, err) : err
    }
  }

  /** The latest first */
  failures({ search, ...part }: ListQuestion): PartOf<FailedLogIn> {
    const found = this.#components.recentFailures
      .list()
      .filter(({ address = '', reason, user = '' }) => contains(search, address, reason, user))
    return partOf(found, part, failure => failure)
  }

  /** The newest first; nothing where there is no audit log */
  async audit({ outcome, search, ...part }: AuditFilter): Promise<AuditPart> {
    const matches = (entry: AuditEntry): boolean =>
      (outcome === '' || entry.outcome === outcome) && contains(search, ...Object.values(entry).map(textOf))
    return (await this.#components.auditReader?.read({ ...part, matches })) ?? { entries: [] }
  }

  /**
   * @returns its secret, which is kept nowhere
   * @throws OciError REQUEST_INVALID where there is a key of that name, or something of it makes no sense; UNAVAILABLE
   */
  async createKey(wanted: NewKey): Promise<{ key: ReviewedKey; secret: string }> {
    const { files, keyMaker } = this.#components
    if (wanted.owner !== undefined && !this.#state().passwords.has(wanted.owner)) {
      throw invalid(`there is no user ${wanted.owner}`)
    }
    const made = await keyMaker.create(wanted)
    await files.reload()
    return made
  }

  /** @throws OciError NOT_FOUND, UNAVAILABLE */
  async revokeKey(name: string): Promise<void> {
    const { files, keyMaker } = this.#components
    if (this.#state().keys.get(name) === undefined) {
      throw new OciError('NOT_FOUND', { detail: { reason: `there is no key ${name}` } })
    }
    await keyMaker.revoke(name)
    await files.reload()
  }

  /** @throws OciError NOT_FOUND where there are no rules */
  #state(): AccessState {
    const { state } = this.#components.files
    if (state === undefined) {
      throw new OciError('NOT_FOUND', { detail: { reason: 'this registry has no access rules' } })
    }
    return state
  }

  #reviewed({ hash, ...key }: ApiKey): ReviewedKey {
    return { ...key, expired: isExpired(key), used: this.#components.keyUses.last({ hash }) }
  }
}

function partOf<T, U>(
  all: readonly T[],
  { from, limit }: Omit<ListQuestion, 'search'>,
  show: (item: T) => U,
): PartOf<U> {
  return { items: all.slice(from, from + limit).map(show), total: all.length }
}

function contains(search: string, ...texts: readonly string[]): boolean {
  const wanted = search.trim().toLowerCase()
  return wanted === '' || texts.some(text => text.toLowerCase().includes(wanted))
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value)
}

function invalid(reason: string, cause?: unknown): OciError {
  return new OciError('REQUEST_INVALID', { detail: { reason }, cause })
}
