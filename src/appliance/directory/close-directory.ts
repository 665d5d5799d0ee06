import { chmod, readdir, stat } from 'node:fs/promises'
import type { Stats } from 'node:fs'
import { join } from 'node:path'
import { describeOthers, isOpenToOthers } from './file-modes.ts'
import type { Logger } from '../../log.ts'

/** Secrets: whoever reads one can pass for this peer or a user, let peers in, or administer the server */
const secrets = ['datastore', 'admin.token', 'token-keys.json', 'api-keys.json', 'htpasswd', 'operator-key.json']

/**
 * Takes all permissions for the data directory from other users. Where that can't be done, because the directory
 * belongs to somebody else or its file system has no permissions, only the secrets in it are closed, and the log says
 * so. The server goes on: the volume of a container often belongs to root, and nobody else can reach it.
 */
export async function closeDirectory({ log }: { log: Logger }, directory: string): Promise<void> {
  if (process.platform === 'win32') {
    return
  }
  const before = await stat(directory)
  const failure = await close(directory)
  const { exposed, left } = await closeSecrets(directory)
  for (const part of ['index', 'blocks', 'quarantine']) {
    await close(join(directory, part))
  }
  if (!isOpenToOthers(before)) {
    return
  }
  const fields = { directory, to: describeOthers(before), ...(exposed.length === 0 ? {} : { exposed }) }
  if (failure === undefined) {
    log.warn('data directory was open to other users; it is closed now', fields)
    return
  }
  log.warn("data directory is open to other users and can't be closed", {
    ...fields,
    ...(left.length === 0 ? {} : { left }),
    owner: before.uid,
    reason: failure,
  })
}

/** @returns which secrets had permissions for others, and which still have */
async function closeSecrets(directory: string): Promise<{ exposed: string[]; left: string[] }> {
  const exposed: string[] = []
  const left: string[] = []
  for (const name of secrets) {
    const before = await statOrAbsent(join(directory, name))
    if (before !== undefined && isOpenToOthers(before)) {
      exposed.push(name)
    }
    if ((await close(join(directory, name))) !== undefined) {
      left.push(name)
    }
  }
  for (const file of await readdir(join(directory, 'datastore')).catch(() => [])) {
    await close(join(directory, 'datastore', file))
  }
  return { exposed, left }
}

/** @returns why it is still open; undefined if it is closed or does not exist */
async function close(path: string): Promise<string | undefined> {
  const before = await statOrAbsent(path)
  if (before === undefined || !isOpenToOthers(before)) {
    return undefined
  }
  try {
    await chmod(path, before.mode & 0o7700)
  } catch (err) {
    return (err as Error).message
  }
  return isOpenToOthers(await stat(path)) ? 'its file system has no modes' : undefined
}

async function statOrAbsent(path: string): Promise<Stats | undefined> {
  try {
    return await stat(path)
  } catch (err) {
    if ((err as NodeJS.ErrnoException).code !== 'ENOENT') {
      throw err
    }
    return undefined
  }
}
