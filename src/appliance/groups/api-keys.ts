import { basename, resolve } from 'node:path'
import {
  formatKeys,
  hashOfSecret,
  isExpired,
  keyName,
  newKeySecret,
  parseKeyScope,
  parseKeys,
  type ApiKey,
} from '../../access/files/api-keys.ts'
import type { NewKey } from '../../access/access-review.ts'
import { parsePasswords } from '../../access/files/htpasswd.ts'
import { reasonOf } from '../../config/entries.ts'
import type { Config } from '../../config/schema.ts'
import { openDataDirectory } from '../directory/data-directory.ts'
import { withFileLock } from '../directory/file-lock.ts'
import { readIfThere, replaceOwnerFile } from '../directory/owner-file.ts'
import { StartError } from '../directory/start-error.ts'
import { accessFilesInit } from './access.ts'
import { requireLifetime } from '../directory/lifetime.ts'

/** What somebody asks for can't be; the message has no path */
export class KeyRefusedError extends StartError {}

/** A key as everybody may see it who administers */
export interface ListedKey extends Omit<ApiKey, 'hash'> {
  expired: boolean
}

/**
 * Makes an API key. A server that runs takes it up by itself.
 *
 * @returns its secret, which is kept nowhere, and whether there are rules: without them nobody is asked for a key
 * @throws StartError where there is a key of that name, or something of it makes no sense
 */
export async function createKey(
  { name, scopes, owner, lifetime }: NewKey,
  config: Config,
): Promise<{ key: ListedKey; secret: string; hasRules: boolean }> {
  if (!keyName.test(name)) {
    throw new KeyRefusedError(
      `${name} can't be the name of a key: it must be letters, digits, dots, dashes and underscores`,
    )
  }
  scopes.forEach(requireScope)
  if (lifetime !== undefined) {
    requireLifetime('a key', lifetime)
  }
  const { path } = await openDataDirectory(config.dataDir)
  const { accessFile, passwordFile, keyFile } = accessFilesInit(path, config.access)
  if (owner !== undefined && !(await usersOf(passwordFile)).has(owner)) {
    throw new StartError(`there is no user ${owner} in ${passwordFile}`)
  }
  const secret = newKeySecret()
  const now = Date.now()
  const key = {
    name,
    hash: hashOfSecret(secret),
    scopes,
    owner,
    created: new Date(now).toISOString(),
    expires: lifetime === undefined ? undefined : new Date(now + lifetime * 1000).toISOString(),
  }
  await changeKeys(keyFile, keys => {
    if (keys.some(other => other.name === name)) {
      throw new KeyRefusedError(`there is a key ${name} already: revoke it first, or choose another name`)
    }
    return [...keys, key]
  })
  return { key: listed(key), secret, hasRules: (await readText(accessFile)) !== undefined }
}

/** @returns all keys in the order in which they were made, those that have expired, too */
export async function listKeys({ access, dataDir }: Config): Promise<ListedKey[]> {
  return (await readKeys(accessFilesInit(resolve(dataDir), access).keyFile)).map(listed)
}

/**
 * Deletes a key. A server that runs refuses it within a second, and every token that was issued for it.
 *
 * @throws StartError where there is no such key
 */
export async function revokeKey(name: string, { access, dataDir }: Config): Promise<void> {
  const { keyFile } = accessFilesInit(resolve(dataDir), access)
  if ((await readText(keyFile)) === undefined) {
    throw noSuchKey(name, keyFile)
  }
  await changeKeys(keyFile, keys => {
    if (!keys.some(key => key.name === name)) {
      throw noSuchKey(name, keyFile)
    }
    return keys.filter(key => key.name !== name)
  })
}

function requireScope(scope: string): void {
  try {
    parseKeyScope(scope)
  } catch (err) {
    throw new KeyRefusedError(`scope ${scope}: ${(err as Error).message}`, { cause: err })
  }
}

function listed({ hash: _, ...key }: ApiKey): ListedKey {
  return { ...key, expired: isExpired(key) }
}

async function changeKeys(path: string, change: (keys: ApiKey[]) => ApiKey[]): Promise<void> {
  try {
    await withFileLock(path, async () => {
      await replaceOwnerFile(path, formatKeys(change(await readKeys(path))))
    })
  } catch (err) {
    throw (err as NodeJS.ErrnoException).code === undefined ? err : cannot(path, err)
  }
}

async function readKeys(path: string): Promise<ApiKey[]> {
  const text = await readText(path)
  return text === undefined ? [] : parseKeys(basename(path), text)
}

async function usersOf(path: string): Promise<ReadonlySet<string>> {
  return new Set(parsePasswords(basename(path), (await readText(path)) ?? '').keys())
}

async function readText(path: string): Promise<string | undefined> {
  try {
    return await readIfThere(path)
  } catch (err) {
    throw cannot(path, err)
  }
}

function noSuchKey(name: string, path: string): StartError {
  return new StartError(`there is no key ${name} in ${path}`)
}

function cannot(path: string, err: unknown): StartError {
  return new StartError(`${path} can't be used: ${reasonOf(err)}`, { cause: err })
}
