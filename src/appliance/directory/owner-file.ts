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
