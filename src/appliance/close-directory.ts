import { chmod, readdir, stat } from 'node:fs/promises'
import type { Stats } from 'node:fs'
import { join } from 'node:path'
import { describeOthers, isOpenToOthers } from './file-modes.ts'
import type { Logger } from '../log.ts'

/** Who reads one of these is the same peer, or may administer */
const secrets = ['datastore', 'admin.token']

/**
 * Takes away what other users may do with a data directory. Where that can't be done, as it belongs to somebody else or its file system has
 * no modes, what is in it is closed alone and the log says so. The server goes on: the volume of a container often belongs to root, and
 * nobody else can reach it.
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

/** @returns which secrets were open by their own modes, and which still are */
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

/** @returns why it is still open; undefined where it is not, or not there */
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
