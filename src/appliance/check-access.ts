import { resolve } from 'node:path'
import { AccessFiles, type AccessFilesInit } from '../access/files/access-files.ts'
import { AccessQuestionError } from '../access/errors.ts'
import { explainAccess, type AccessQuestion, type Explanation } from '../access/explain-access.ts'
import type { Config } from '../config/schema.ts'
import { createLog } from '../log.ts'
import { accessFilesInit } from './groups/access.ts'
import { StartError } from './directory/start-error.ts'

/**
 * What the rules say, as a server with this configuration would decide
 *
 * @throws StartError where there is nobody of this name, or there can be no such repository or tag
 */
export async function checkAccess(
  question: AccessQuestion,
  config: Config,
): Promise<Pick<Explanation, 'allowed' | 'reason'>> {
  const init = accessFilesInit(resolve(config.dataDir), config.access)
  const files = new AccessFiles({ log: createLog({ level: 'error', format: 'human' }) }, init)
  await files.load()
  const { state } = files
  if (state === undefined) {
    const what = `${question.action} ${question.name}`
    return { allowed: true, reason: `yes: there are no rules (${init.accessFile}), so everybody may ${what}` }
  }
  try {
    const { allowed, reason } = explainAccess(state, question)
    return { allowed, reason }
  } catch (err) {
    throw err instanceof AccessQuestionError ? new StartError(err.message + whereOf(err, init), { cause: err }) : err
  }
}

function whereOf({ what }: AccessQuestionError, { accessFile, keyFile, passwordFile }: AccessFilesInit): string {
  return what === 'repository' ? '' : ` in ${{ user: passwordFile, key: keyFile, issuer: accessFile }[what]}`
}
