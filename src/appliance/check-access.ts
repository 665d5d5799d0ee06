import { resolve } from 'node:path'
import { AccessFiles } from '../access/access-files.ts'
import type { Action } from '../access/actions.ts'
import { userIdentity } from '../access/authenticator.ts'
import { anonymous, anonymousFrom } from '../access/identity.ts'
import type { Config } from '../config/schema.ts'
import { createLog } from '../log.ts'
import { parseName, parseTag } from '../oci/reference.ts'
import { accessFilesInit } from './groups/access.ts'
import { StartError } from './directory/start-error.ts'

/**
 * What the rules say, as a server with this configuration would decide; what comes from where somebody connects from is
 * left out
 */
export async function checkAccess(
  { user, name, action }: { user: string; name: string; action: Action },
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
  if (user !== anonymous && !state.passwords.has(user)) {
    throw new StartError(`there is no user ${user} in ${init.passwordFile}`)
  }
  const [, repository, tag] = /^([^:]*)(?::(.*))?$/s.exec(name)!
  const { allowed, rule } = state.rules.decide(
    user === anonymous ? anonymousFrom() : userIdentity(state, user, undefined),
    { action, repository: parseName(repository), tag: tag === undefined ? undefined : parseTag(tag) },
  )
  if (rule === undefined) {
    return { allowed, reason: `no: no rule allows ${user} to ${what}` }
  }
  return {
    allowed,
    reason: allowed ? `yes: ${rule.source} allows ${user} to ${what}` : `no: ${rule.source} denies ${user} to ${what}`,
  }
}
