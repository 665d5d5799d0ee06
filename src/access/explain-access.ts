import type { AccessState } from './files/access-files.ts'
import type { Action } from './rules/actions.ts'
import { AccessQuestionError } from './errors.ts'
import { decisionsFor, identityOf } from './log-in/holders.ts'
import { anonymous, anonymousFrom, type Identity } from './rules/identity.ts'
import { isName, isTag } from '../oci/reference.ts'
import type { Question, Rule } from './rules/rules.ts'

export interface AccessQuestion {
  /** `anonymous`, name of a user, `key:<name>`, `cert:<name>` or `<issuer>:<name>` */
  user: string
  /** `<issuer>:<name>`, as the token of a user of an issuer would tell */
  groups?: readonly string[] | undefined
  /** Of a repository, with a tag if that matters */
  name: string
  action: Action
}

export interface Explanation {
  allowed: boolean
  /** In plain English */
  reason: string
  /** The rule that decides; undefined where none does */
  rule?: Rule | undefined
}

/**
 * What the rules let somebody do, and which of them decides; what comes from where somebody connects from is left out
 *
 * @throws AccessQuestionError where there is nobody of this name, or there can be no such repository or tag
 */
export function explainAccess(
  state: AccessState,
  { user, groups, name, action }: AccessQuestion,
): Explanation & { rule: Rule | undefined } {
  const identity = requireIdentity(state, user, groups)
  const { allowed, rule } = decisionsFor(state, identity).decide(identity, questionOf(action, name))
  const what = `${user} to ${action} ${name}`
  if (rule === undefined) {
    return { allowed, rule, reason: `no: no ${identity.kind === 'key' ? 'scope' : 'rule'} allows ${what}` }
  }
  return { allowed, rule, reason: allowed ? `yes: ${rule.source} allows ${what}` : `no: ${rule.source} denies ${what}` }
}

function questionOf(action: Action, name: string): Question {
  const target = parseTarget(name)
  return { action, ...target, concernsAnyTag: action === 'delete' && target.tag === undefined }
}

function parseTarget(name: string): { repository: string; tag: string | undefined } {
  const [, repository, tag] = /^([^:]*)(?::(.*))?$/s.exec(name)!
  if (!isName(repository) || (tag !== undefined && !isTag(tag))) {
    const message = `${name} is no name of a repository, nor one with a tag, such as team/app:v1`
    throw new AccessQuestionError(message, 'repository')
  }
  return { repository, tag }
}

function requireIdentity(state: AccessState, name: string, groups: readonly string[] | undefined): Identity {
  const identity = name === anonymous ? anonymousFrom() : identityOf(state, name, { groups })
  if (identity !== undefined) {
    return identity
  }
  const [, kind, rest] = /^([^:]*):(.*)$/s.exec(name) ?? []
  if (kind === undefined) {
    throw new AccessQuestionError(`there is no user ${name}`, 'user')
  }
  throw kind === 'key'
    ? new AccessQuestionError(`there is no key ${rest}`, 'key')
    : new AccessQuestionError(`there is no issuer ${kind}`, 'issuer')
}
