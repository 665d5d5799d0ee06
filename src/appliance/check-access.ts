import { resolve } from 'node:path'
import { AccessFiles } from '../access/access-files.ts'
import type { Action } from '../access/actions.ts'
import { decisionsFor, identityOf } from '../access/holders.ts'
import { anonymous, anonymousFrom, type Identity } from '../access/identity.ts'
import type { AccessState } from '../access/access-files.ts'
import type { Config } from '../config/schema.ts'
import { createLog } from '../log.ts'
import { isName, isTag } from '../oci/reference.ts'
import { accessFilesInit } from './groups/access.ts'
import { StartError } from './directory/start-error.ts'

export interface AccessQuestion {
  /** `anonymous`, name of a user, `key:<name>`, `cert:<name>` or `<issuer>:<name>` */
  user: string
  /** `<issuer>:<name>`, as the token of a user of an issuer would tell */
  groups?: readonly string[] | undefined
  /** Of a repository, with a tag if that matters */
  name: string
  action: Action
}

/**
 * What the rules say, as a server with this configuration would decide; what comes from where somebody connects from is
 * left out
 *
 * @throws StartError where there is nobody of this name, or there can be no such repository or tag
 */
export async function checkAccess(
  { user, groups, name, action }: AccessQuestion,
  config: Config,
): Promise<{ allowed: boolean; reason: string }> {
  const init = accessFilesInit(resolve(config.dataDir), config.access)
  const files = new AccessFiles({ log: createLog({ level: 'error', format: 'human' }) }, init)
  await files.load()
  const { state } = files
  const what = `${action} ${name}`
  if (state === undefined) {
    return { allowed: true, reason: `yes: there are no rules (${init.accessFile}), so everybody may ${what}` }
  }
  const identity = requireIdentity(state, { user, groups }, init)
  const { allowed, rule } = decisionsFor(state, identity).decide(identity, { action, ...parseTarget(name) })
  if (rule === undefined) {
    return { allowed, reason: `no: no ${identity.kind === 'key' ? 'scope' : 'rule'} allows ${user} to ${what}` }
  }
  return {
    allowed,
    reason: allowed ? `yes: ${rule.source} allows ${user} to ${what}` : `no: ${rule.source} denies ${user} to ${what}`,
  }
}

function parseTarget(name: string): { repository: string; tag: string | undefined } {
  const [, repository, tag] = /^([^:]*)(?::(.*))?$/s.exec(name)!
  if (!isName(repository) || (tag !== undefined && !isTag(tag))) {
    throw new StartError(`${name} is no name of a repository, nor one with a tag, such as team/app:v1`)
  }
  return { repository, tag }
}

/** @throws StartError where there is nobody of this name */
function requireIdentity(
  state: AccessState,
  { user: name, groups }: Pick<AccessQuestion, 'user' | 'groups'>,
  files: Record<'accessFile' | 'passwordFile' | 'keyFile', string>,
): Identity {
  const identity = name === anonymous ? anonymousFrom() : identityOf(state, name, { groups })
  if (identity === undefined) {
    throw new StartError(whereItIsNot(name, files))
  }
  return identity
}

function whereItIsNot(
  name: string,
  { accessFile, passwordFile, keyFile }: Record<'accessFile' | 'passwordFile' | 'keyFile', string>,
): string {
  const [, kind, rest] = /^([^:]*):(.*)$/s.exec(name) ?? []
  if (kind === undefined) {
    return `there is no user ${name} in ${passwordFile}`
  }
  return kind === 'key' ? `there is no key ${rest} in ${keyFile}` : `there is no issuer ${kind} in ${accessFile}`
}
