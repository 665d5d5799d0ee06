import { access, constants } from 'node:fs/promises'
import { AccessFiles } from '../../access/files/access-files.ts'
import { AccessFileError } from '../../access/files/errors.ts'
import type { Config } from '../../config/schema.ts'
import type { Logger } from '../../log.ts'
import { accessFilesInit } from '../groups/access.ts'
import { type Finding, ok, warning, wrong } from './finding.ts'

const check = 'access rules'

/** Reads rules, users and keys as the server does */
export async function checkRules(dataDir: string, config: Config, log: Logger): Promise<Finding[]> {
  const init = accessFilesInit(dataDir, config.access)
  const { accessFile, passwordFile } = init
  const files = new AccessFiles({ log }, init)
  try {
    await files.load()
  } catch (err) {
    const { code, message } = err as NodeJS.ErrnoException
    if (err instanceof AccessFileError) {
      return [wrong(check, message, 'Correct the file; docs/access.md says what may be in it.')]
    }
    if (code !== undefined) {
      return [wrong(check, `can't be read: ${message}`, 'Let the user of the server read these files (chown, chmod).')]
    }
    throw err
  }
  if (files.state === undefined) {
    return [
      warning(
        check,
        `there are none (${accessFile}): everybody who reaches the port can push and delete`,
        `ipdr access init private --data-dir ${dataDir}`,
      ),
    ]
  }
  const findings = [ok(check, `${accessFile} is in force`)]
  if (config.access.htpasswd !== undefined && !(await isThere(passwordFile))) {
    findings.push(
      wrong(check, `there is no ${passwordFile}, so no user of it can log in`, `htpasswd -Bc ${passwordFile} NAME`),
    )
  }
  return findings
}

async function isThere(path: string): Promise<boolean> {
  return await access(path, constants.F_OK).then(
    () => true,
    () => false,
  )
}
