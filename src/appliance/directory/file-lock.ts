import { open, rm, stat } from 'node:fs/promises'
import { setTimeout } from 'node:timers/promises'
import { ownerOnly } from './file-modes.ts'
import { StartError } from './start-error.ts'

/** Milliseconds: what is done under a lock takes far less, so one that is older was left by a process that died */
const staleAfter = 30_000
const waitBetween = 50
const maxWait = 10_000

/**
 * Runs one change of a file at a time, whatever processes make them
 *
 * @param path of the file; the lock lies beside it
 * @throws StartError where another change takes too long
 */
export async function withFileLock<T>(path: string, change: () => Promise<T>): Promise<T> {
  const lock = `${path}.lock`
  const end = Date.now() + maxWait
  while (!(await create(lock))) {
    const age = Date.now() - ((await stat(lock).catch(() => undefined))?.mtimeMs ?? Date.now())
    if (age > staleAfter) {
      await rm(lock, { force: true })
    } else if (Date.now() > end) {
      throw new StartError(`${path} is being changed by another command: if there is none, delete ${lock}`)
    } else {
      await setTimeout(waitBetween)
    }
  }
  try {
    return await change()
  } finally {
    await rm(lock, { force: true })
  }
}

/** @returns whether it was not there yet */
async function create(path: string): Promise<boolean> {
  try {
    await (await open(path, 'wx', ownerOnly.file)).close()
    return true
  } catch (err) {
    if ((err as NodeJS.ErrnoException).code === 'EEXIST') {
      return false
    }
    throw err
  }
}
