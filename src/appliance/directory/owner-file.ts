import { open, readFile, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { syncDirectory } from '../../ipfs/blockstore/sync-directory.ts'
import { ownerOnly } from './file-modes.ts'

/** @returns the text of a file; undefined if there is none */
export async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8')
  } catch (err) {
    if ((err as NodeJS.ErrnoException).code !== 'ENOENT') {
      throw err
    }
    return undefined
  }
}

/**
 * Writes to a file that only its owner can read, and waits until it is on disk
 *
 * @param flag of `open`: `wx` for a file that must not be there, of which nothing is left if it can't be written as a
 *   whole; `a` to append
 */
export async function writeOwnerFile(path: string, flag: 'wx' | 'a', text: string): Promise<void> {
  await using file = await open(path, flag, ownerOnly.file)
  try {
    await file.writeFile(text)
    await file.sync()
  } catch (err) {
    if (flag === 'wx') {
      await rm(path, { force: true })
    }
    throw err
  }
  await syncDirectory(dirname(path))
}

/** Replaces a file that only its owner can read, as a whole: after a power failure it is the old one or the new one */
export async function replaceOwnerFile(path: string, text: string): Promise<void> {
  const temporary = `${path}.new`
  await rm(temporary, { force: true })
  await using file = await open(temporary, 'wx', ownerOnly.file)
  await file.chmod(ownerOnly.file)
  await file.writeFile(text)
  await file.sync()
  await rename(temporary, path)
  await syncDirectory(dirname(path))
}
