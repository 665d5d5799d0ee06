import { readFile } from 'node:fs/promises'
import { ClientError } from '../remote/errors.ts'
import { getFromHelper } from '../remote/registry/credential-helper.ts'
import { dockerKeyOf, readCredentials, type Credentials } from '../remote/registry/docker-credentials.ts'

export interface StoredCredentials {
  /** Path of a file: `user:password`, or JSON as Docker's config.json */
  file?: string | undefined
  /** `docker-credential-<helper>` keeps the log-in */
  helper?: string | undefined
}

/**
 * The log-in for an upstream, read anew each time, as it may have been replaced
 *
 * @param hosts under which Docker may have stored it: of the URL, and the name of the upstream
 * @returns undefined where none is stored: the upstream is asked without
 * @throws ClientError if the file can't be read, or holds something else
 */
export async function storedCredentials(
  { file, helper }: StoredCredentials,
  hosts: readonly string[],
): Promise<Credentials | undefined> {
  if (helper !== undefined) {
    return await firstOf(hosts, async host => await getFromHelper(helper, dockerKeyOf(host)))
  }
  if (file === undefined) {
    return undefined
  }
  const text = await read(file)
  if (text.trimStart().startsWith('{')) {
    return await firstOf(hosts, async host => await readCredentials(file, host))
  }
  const [, username, password] = /^([^:\r\n]+):([^\r\n]+)\r?\n?$/.exec(text) ?? []
  if (username === undefined || password === undefined) {
    throw new ClientError(`${file} holds neither user:password nor a configuration of Docker`)
  }
  return { username, password }
}

async function read(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8')
  } catch (err) {
    throw new ClientError(`${file} can't be read: ${(err as Error).message}`, { cause: err })
  }
}

async function firstOf<T>(
  hosts: readonly string[],
  find: (host: string) => Promise<T | undefined>,
): Promise<T | undefined> {
  for (const host of new Set(hosts)) {
    const found = await find(host)
    if (found !== undefined) {
      return found
    }
  }
  return undefined
}
