/**
 * Opens files below a directory that a stranger may have filled. Its paths and links could lead to a file of the user,
 * which would then be pushed with the image. So a file is refused if it lies outside the directory; what counts is
 * where the opened file really is, because a check of the name before would miss a link that is put there in between.
 */
import { constants, type BigIntStats } from 'node:fs'
import { lstat, open, opendir, readlink, realpath, stat, type FileHandle } from 'node:fs/promises'
import { isAbsolute, join, normalize, relative, sep } from 'node:path'
import { ClientError } from '../../remote/errors.ts'

/** Directory entries that are searched for the other names of a hard-linked file */
const maxEntries = 100_000
/** Errors of a path that leads nowhere, or that no file system could have */
const absent = ['ENOENT', 'ENOTDIR', 'ELOOP', 'ENAMETOOLONG']
/** O_NONBLOCK: opening a FIFO would wait for a writer. Windows has neither flag. */
const flags = constants.O_RDONLY | (constants.O_NONBLOCK ?? 0)
const noFollow = constants.O_NOFOLLOW ?? 0
const hint = 'Nothing outside the directory is read. To include what its links lead to, copy it by cp -rL first.'

/**
 * Opens a file of a directory
 *
 * @param root the directory, as a path without links
 * @param path the file, relative to the directory
 * @returns undefined if there is no such file
 * @throws ClientError if it lies outside the directory, is not a regular file or can't be read
 */
export async function openInside(root: string, path: string): Promise<FileHandle | undefined> {
  const wanted = normalize(path)
  if (isAbsolute(path) || !isBelow(root, join(root, wanted))) {
    throw new ClientError(`${path} lies outside ${root}, whose files refer to it`, { hint })
  }
  const real = await present(path.includes('\0') ? undefined : realpath(join(root, wanted)), path)
  if (real === undefined) {
    return undefined
  }
  requireBelow(root, real, path)
  const file = await present(openRegular(real), path)
  try {
    if (file !== undefined) {
      const stats = await file.stat({ bigint: true })
      requireBelow(root, await placeOf(file, real, stats), path)
      await requireOwn(root, stats, path)
    }
    return file
  } catch (err) {
    await file?.close()
    throw err
  }
}

/**
 * Opens a regular file, and neither a device, which may act when it is opened, nor a FIFO, which may never end
 *
 * @param options.follow whether the path may be a link. @default false
 * @throws ClientError if it is something else; the errors of `open`
 */
export async function openRegular(path: string, { follow = false }: { follow?: boolean } = {}): Promise<FileHandle> {
  requireFile(follow ? await stat(path) : await lstat(path), path)
  const file = await open(path, follow ? flags : flags | noFollow)
  try {
    requireFile(await file.stat(), path)
    return file
  } catch (err) {
    await file.close()
    throw err
  }
}

/** Undefined instead of an error that says the file does not exist */
async function present<T>(work: Promise<T> | undefined, path: string): Promise<T | undefined> {
  try {
    return await work
  } catch (err) {
    const { code, message } = err as NodeJS.ErrnoException
    if (code !== undefined && !absent.includes(code)) {
      throw new ClientError(`${path} can't be read: ${message}`, { cause: err })
    }
    if (code === undefined) {
      throw err
    }
    return undefined
  }
}

/** Where an open file lies now, even if its path leads elsewhere since */
async function placeOf(file: FileHandle, path: string, { dev, ino }: BigIntStats): Promise<string> {
  const place =
    process.platform === 'linux' ? await readlink(`/proc/self/fd/${file.fd}`).catch(() => undefined) : undefined
  if (place !== undefined) {
    return place
  }
  const real = await realpath(path)
  const now = await lstat(real, { bigint: true })
  if (now.dev !== dev || now.ino !== ino) {
    throw new ClientError(`${path} was replaced while it was being opened`)
  }
  return real
}

/** Refuses a hard link to a file outside: all names of the file (`nlink`) have to be in the directory */
async function requireOwn(root: string, { dev, ino, nlink }: BigIntStats, path: string): Promise<void> {
  let missing = nlink > 1n ? nlink : 0n
  let seen = 0
  for await (const entry of missing > 0n ? await opendir(root, { recursive: true }) : []) {
    if (missing === 0n || ++seen > maxEntries) {
      break
    }
    const stats = entry.isFile() ? await lstat(join(entry.parentPath, entry.name), { bigint: true }) : undefined
    missing -= stats?.ino === ino && stats.dev === dev ? 1n : 0n
  }
  if (missing > 0n) {
    throw new ClientError(`${path} in ${root} is a hard link to a file outside of it`, { hint })
  }
}

function requireFile(stats: { isFile: () => boolean }, path: string): void {
  if (!stats.isFile()) {
    throw new ClientError(`${path} is not a regular file`)
  }
}

function requireBelow(root: string, place: string, path: string): void {
  if (!isBelow(root, place)) {
    throw new ClientError(`${path} in ${root} is a link that leads out of it`, { hint })
  }
}

function isBelow(root: string, place: string): boolean {
  const way = relative(root, place)
  return way !== '..' && !way.startsWith(`..${sep}`) && !isAbsolute(way)
}
