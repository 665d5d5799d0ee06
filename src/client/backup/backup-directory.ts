/**
 * A directory of backups has a file for each time that something was new, and a list of them, which tells a file that was lost from one that
 * never was:
 *
 * ```
 * <directory>/000001-<root>.car     all blocks below the root
 * <directory>/000002-<root>.car     those below the next root that no file before has
 * <directory>/backups.json          {"files":[{"name":"000001-<root>.car","bytes":1234}, ...]}, in their order
 * <directory>/.partial              a file that is being written
 * ```
 *
 * Directories of older versions have no list.
 */
import { open, readdir, readFile, rename, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { ClientError } from '../errors.ts'

const listName = 'backups.json'
const nameDigits = 6
const backupName = /^(\d{6,})-([a-z0-9]+)\.car$/

const fileSchema = z.object({
  name: z.string().regex(backupName),
  bytes: z.number(),
  /** Some of it was damaged when it was looked at; the rest counts */
  isDamaged: z.literal(true).optional(),
  /** Blocks of its state were lost, and the appliance had them no more */
  isLost: z.literal(true).optional(),
})
const listSchema = z.object({ files: z.array(fileSchema) })

export type ListedFile = z.infer<typeof fileSchema>

export interface BackupDirectory {
  /** Names of the files that are there, the oldest first */
  names: string[]
  /** Undefined where there is no list, or one that can't be read */
  listed: ListedFile[] | undefined
  isListDamaged: boolean
}

/** @throws ClientError where the directory can't be read */
export async function readBackupDirectory(path: string): Promise<BackupDirectory> {
  const entries = await readdir(path).catch((err: NodeJS.ErrnoException) => {
    throw new ClientError(`${path} can't be read: ${err.code}`, { cause: err })
  })
  const names = entries.filter(name => backupName.test(name)).sort(byNumber)
  if (!entries.includes(listName)) {
    return { names, listed: undefined, isListDamaged: false }
  }
  try {
    return {
      names,
      listed: listSchema.parse(JSON.parse(await readFile(join(path, listName), 'utf8'))).files,
      isListDamaged: false,
    }
  } catch (err) {
    if ((err as NodeJS.ErrnoException).syscall !== undefined) {
      throw new ClientError(`${join(path, listName)} can't be read: ${(err as NodeJS.ErrnoException).code}`, {
        cause: err,
      })
    }
    return { names, listed: undefined, isListDamaged: true }
  }
}

/** The list is whole, whatever happens meanwhile */
export async function writeBackupList(path: string, files: readonly ListedFile[]): Promise<void> {
  const partial = join(path, `.${listName}.partial`)
  await writeFile(partial, `${JSON.stringify({ files }, undefined, 1)}\n`, { flush: true })
  await rename(partial, join(path, listName))
  await syncDirectory(path)
}

export async function syncDirectory(path: string): Promise<void> {
  await using handle = await open(path)
  await handle.sync()
}

/** @throws ClientError where there is nothing of this name */
export async function isDirectory(path: string): Promise<boolean> {
  const found = await stat(path).catch((err: NodeJS.ErrnoException) => {
    throw new ClientError(`${path} can't be read: ${err.code}`, { cause: err })
  })
  return found.isDirectory()
}

/** The state that a file was written for, as its name says */
export function rootInName(name: string): string | undefined {
  return backupName.exec(name)?.[2]
}

export function numberInName(name: string): number {
  return Number(backupName.exec(name)?.[1])
}

/** @param names of all files that are or were there */
export function nextBackupName(names: readonly string[], root: string): string {
  const last = Math.max(0, ...names.map(numberInName))
  return `${String(last + 1).padStart(nameDigits, '0')}-${root}.car`
}

function byNumber(a: string, b: string): number {
  return numberInName(a) - numberInName(b) || (a < b ? -1 : 1)
}
