import { randomBytes } from 'node:crypto'
import { hash } from 'bcryptjs'
import { parsePasswords } from '../access/files/htpasswd.ts'
import { administrator, presetFile, type Preset } from '../access/rules/presets.ts'
import { reasonOf } from '../config/entries.ts'
import type { Config } from '../config/schema.ts'
import { accessPaths } from './groups/access.ts'
import { openDataDirectory } from './directory/data-directory.ts'
import { readIfThere, writeOwnerFile } from './directory/owner-file.ts'
import { StartError } from './directory/start-error.ts'

const passwordBytes = 18
const bcryptCost = 10

/**
 * Writes the rules of a preset, and a user who may do everything. A server that runs takes both up by itself.
 *
 * @returns the password of that user, which is kept nowhere
 * @throws StartError where there are rules already, or a user of that name; nothing has been changed then
 */
export async function initAccess(preset: Preset, { dataDir, access }: Config): Promise<string> {
  const { path } = await openDataDirectory(dataDir)
  const paths = accessPaths(path)
  const [rules, passwords] = [access.file ?? paths.rules, access.htpasswd ?? paths.passwords]
  const users = await readUsers(passwords)
  if (users.names.has(administrator)) {
    throw new StartError(`${passwords} has a user ${administrator} already: delete that line first`)
  }
  const password = randomBytes(passwordBytes).toString('base64url')
  await write(rules, 'wx', presetFile(preset))
  await write(passwords, 'a', `${users.needsNewline ? '\n' : ''}${administrator}:${await hash(password, bcryptCost)}\n`)
  return password
}

async function readUsers(path: string): Promise<{ names: ReadonlySet<string>; needsNewline: boolean }> {
  try {
    const text = (await readIfThere(path)) ?? ''
    return { names: new Set(parsePasswords(path, text).keys()), needsNewline: text !== '' && !text.endsWith('\n') }
  } catch (err) {
    throw new StartError((err as NodeJS.ErrnoException).code === undefined ? (err as Error).message : cannot(path, err))
  }
}

/** @throws StartError where {@link writeOwnerFile} can't write */
async function write(path: string, flag: 'wx' | 'a', text: string): Promise<void> {
  try {
    await writeOwnerFile(path, flag, text)
  } catch (err) {
    throw new StartError(
      (err as NodeJS.ErrnoException).code === 'EEXIST'
        ? `${path} is there already: change it, or delete it first`
        : cannot(path, err),
      { cause: err },
    )
  }
}

function cannot(path: string, err: unknown): string {
  return `${path} can't be used: ${reasonOf(err)}`
}
