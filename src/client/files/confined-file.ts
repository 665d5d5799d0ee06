/**
 * Opens files below a directory that somebody else may have filled. Its paths and links are that stranger's: whatever leads out is refused, and not
 * by its name alone but where the file that was opened really lies.
 */
import { constants, type BigIntStats } from 'node:fs'
import { lstat, open, opendir, readlink, realpath, stat, type FileHandle } from 'node:fs/promises'
import { isAbsolute, join, normalize, relative, sep } from 'node:path'
import { ClientError } from '../errors.ts'

/** Files that are looked through for the other names of one that has several */
const maxEntries = 100_000
/** A name that leads nowhere, or that no file system could have */
const absent = ['ENOENT', 'ENOTDIR', 'ELOOP', 'ENAMETOOLONG']
/** Without waiting for a writer, where it is a FIFO after all; Windows knows neither */
const flags = constants.O_RDONLY | (constants.O_NONBLOCK ?? 0)
const noFollow = constants.O_NOFOLLOW ?? 0
const hint = 'Nothing outside the directory is read. A copy of it by cp -rL has what its links lead to.'

/**
 * Opens a file of a directory
 *
 * @param root the directory, without links in its path
 * @param path as the directory's own files name it
 * @returns undefined where there is no such file
 * @throws ClientError where it lies outside the directory, is no regular file or can't be read
 */
export async function openInside(root: string, path: string): Promise<FileHandle | undefined> {
  const wanted = normalize(path)
  if (isAbsolute(path) || !isBelow(root, join(root, wanted))) {
    throw new ClientError(`${path} lies outside ${root}, which names it`, { hint })
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
 * Opens a regular file: no device, which may do something when it is opened, and no FIFO, which has no end
 *
 * @param options.follow whether it may be reached by a link
 * @throws ClientError where it is none; the errors of `open`
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

/** Where an open file lies, whatever has become of its path since */
async function placeOf(file: FileHandle, path: string, { dev, ino }: BigIntStats): Promise<string> {
  const place =
    process.platform === 'linux' ? await readlink(`/proc/self/fd/${file.fd}`).catch(() => undefined) : undefined
  if (place !== undefined) {
    return place
  }
  const real = await realpath(path)
  const now = await lstat(real, { bigint: true })
  if (now.dev !== dev || now.ino !== ino) {
    throw new ClientError(`${path} was replaced while it was opened`)
  }
  return real
}

/** A file with several names has them all in the directory, or it is somebody else's too */
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
    throw new ClientError(`${path} in ${root} is a hard link to a file that lies elsewhere too`, { hint })
  }
}

function requireFile(stats: { isFile: () => boolean }, path: string): void {
  if (!stats.isFile()) {
    throw new ClientError(`${path} is no regular file`)
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
