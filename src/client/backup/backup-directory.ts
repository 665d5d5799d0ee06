/**
 * A directory of backups has one file for each backup that found something new, and a list of these files, by which a
 * lost one is noticed:
 *
 * ```
 * <directory>/000001-<root>.car     all blocks below the root
 * <directory>/000002-<root>.car     the blocks below the next root that no earlier file has
 * <directory>/backups.json          {"files":[{"name":"000001-<root>.car","bytes":1234}, ...]}, in their order
 * <directory>/.partial              a file that is being written
 * ```
 *
 * Directories of older versions have no list.
 */
import { open, readdir, readFile, rename, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { ClientError } from '../../remote/errors.ts'

const listName = 'backups.json'
const nameDigits = 6
const backupName = /^(\d{6,})-([a-z0-9]+)\.car$/

const fileSchema = z.object({
  name: z.string().regex(backupName),
  bytes: z.number(),
  /** A backup found damage in it; its undamaged blocks still count */
  isDamaged: z.literal(true).optional(),
  /** Its state can't be restored: blocks are missing here and in the appliance */
  isLost: z.literal(true).optional(),
})
const listSchema = z.object({ files: z.array(fileSchema) })

export type ListedFile = z.infer<typeof fileSchema>

export interface BackupDirectory {
  /** Names of the files that exist, the oldest first */
  names: string[]
  /** Undefined if there is no list, or it is damaged */
  listed: ListedFile[] | undefined
  isListDamaged: boolean
}

/** @throws ClientError if the directory or its list can't be read */
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

/** Replaces the list in one step, so that a crash leaves either the old one or the new one */
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

/** @throws ClientError if nothing of this name exists */
export async function isDirectory(path: string): Promise<boolean> {
  const found = await stat(path).catch((err: NodeJS.ErrnoException) => {
    throw new ClientError(`${path} can't be read: ${err.code}`, { cause: err })
  })
  return found.isDirectory()
}

/** The root in the name of a file: the state that it was written for */
export function rootInName(name: string): string | undefined {
  return backupName.exec(name)?.[2]
}

export function numberInName(name: string): number {
  return Number(backupName.exec(name)?.[1])
}

/** @param names of all files that exist, or that the list says existed */
export function nextBackupName(names: readonly string[], root: string): string {
  const last = Math.max(0, ...names.map(numberInName))
  return `${paddedNumber(last + 1)}-${root}.car`
}

/** The number of a file as it stands in its name */
export function paddedNumber(number: number): string {
  return String(number).padStart(nameDigits, '0')
}

function byNumber(a: string, b: string): number {
  return numberInName(a) - numberInName(b) || (a < b ? -1 : 1)
}
