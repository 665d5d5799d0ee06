/**
 * The data directory:
 *
 * ```
 * format       number of this layout
 * index/       LevelDB: what the registry knows (index/keys.ts)
 * blocks/      blocks, in blockstore-fs's layout (ipfs/blockstore/layout.ts)
 * quarantine/  damaged blocks that were taken out of there (ipfs/blockstore/quarantine.ts)
 * datastore/   LevelDB of the IPFS node: its identity, its peers, the key and record of its IPNS name
 * cids/        the CID of every tag as a file (registry/tags/cid-store.ts)
 * admin.sock   the socket for administering the running server (admin-socket.ts)
 * admin.token  the secret for administering it over TCP (admin-token.ts)
 * access.yml   who may do what (access/access-file.ts); without it, everybody may do everything
 * htpasswd     users and the bcrypt hashes of their passwords (access/htpasswd.ts)
 * peer-certificate  what this node shows to other nodes of its operator (own-certificate.ts); put there by hand
 * operator-key.json the key that signs those, where it was made here (operator-key.ts)
 * token-keys.json   the keys that sign tokens (access/token-keys.ts)
 * api-keys.json   API keys, hashed (access/api-keys.ts)
 * read-only.json    is there while the registry is read-only (registry/read-only-mode.ts)
 * ```
 *
 * Only its owner can read it (close-directory.ts).
 */
import { chmod, mkdir, open, readFile, readdir, rename } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { cannotUse, checkWritable } from './check-writable.ts'
import { ownerOnly } from './file-modes.ts'
import { syncDirectory } from '../../ipfs/blockstore/sync-directory.ts'
import { StartError } from './start-error.ts'

/** To be changed when older versions can no longer read the directory */
const currentFormat = '1'

export interface DataDirectory {
  path: string
  index: string
  blocks: string
  datastore: string
}

/**
 * Makes the directory if it is missing, and refuses one that is not ours, has another format, or can't be written to
 *
 * @throws StartError before anything has changed
 */
export async function openDataDirectory(path: string): Promise<DataDirectory> {
  const { isNew, ...parts } = await checkDataDirectory(path)
  if (isNew) {
    try {
      await makeDirectory(parts.path)
      await writeFormat(parts.path)
    } catch (err) {
      throw await cannotUse(`data directory ${parts.path}`, parts.path, err)
    }
  }
  return parts
}

/**
 * Refuses a directory that is not ours, has another format, or can't be written to; changes nothing
 *
 * @returns `isNew` where it is missing or empty
 * @throws StartError
 */
export async function checkDataDirectory(path: string): Promise<DataDirectory & { isNew: boolean }> {
  const directory = resolve(path)
  const what = `data directory ${directory}`
  const parts = {
    path: directory,
    index: join(directory, 'index'),
    blocks: join(directory, 'blocks'),
    datastore: join(directory, 'datastore'),
  }
  try {
    const format = await readFormat(directory)
    if (format === undefined) {
      // for a read-only parent, Node's mkdir reports that it is missing
      await checkWritable(what, directory)
      return { ...parts, isNew: true }
    }
    checkFormat(what, format)
  } catch (err) {
    throw err instanceof StartError ? err : await cannotUse(what, directory, err)
  }
  // a directory that was handed over to another user only in part would fail half-way; LevelDB turns its log over
  // before it takes its lock
  for (const part of [...Object.values(parts), join(parts.index, 'LOCK'), join(parts.datastore, 'LOCK')]) {
    await checkWritable(what, part)
  }
  return { ...parts, isNew: false }
}

function checkFormat(what: string, format: string): void {
  if (format !== currentFormat) {
    const which = !/^\d{1,9}$/.test(format)
      ? 'unknown'
      : Number(format) < Number(currentFormat)
        ? `${format}, that of an older version`
        : `${format}, that of a newer version`
    throw new StartError(`${what} has format ${which}; this version reads format ${currentFormat}`)
  }
}

/** Undefined if the directory is missing or empty */
async function readFormat(directory: string): Promise<string | undefined> {
  const format = await orAbsent(readFile(join(directory, 'format'), 'utf8'))
  if (format !== undefined) {
    return format.trim()
  }
  // a directory that is the root of a file system has lost+found
  const others = ((await orAbsent(readdir(directory))) ?? []).filter(
    name => name !== 'lost+found' && !name.startsWith('.'),
  )
  if (others.length > 0) {
    throw new StartError(
      `data directory ${directory} is neither empty nor a data directory of ipdr: it has no file "format"`,
    )
  }
  return undefined
}

async function orAbsent<T>(reading: Promise<T>): Promise<T | undefined> {
  try {
    return await reading
  } catch (err) {
    if ((err as NodeJS.ErrnoException).code !== 'ENOENT') {
      throw err
    }
    return undefined
  }
}

/**
 * Makes missing parents, too, and waits until all their names are on disk: else a power failure could take everything
 * below
 */
async function makeDirectory(directory: string): Promise<void> {
  const first = await mkdir(directory, { recursive: true })
  if (first !== undefined) {
    await chmod(directory, ownerOnly.directory)
  }
  for (let made = directory; first !== undefined && made.length >= first.length; made = dirname(made)) {
    await syncDirectory(dirname(made))
  }
}

async function writeFormat(directory: string): Promise<void> {
  const temporary = join(directory, '.format')
  const file = await open(temporary, 'w')
  try {
    await file.writeFile(`${currentFormat}\n`)
    await file.sync()
  } finally {
    await file.close()
  }
  await rename(temporary, join(directory, 'format'))
  await syncDirectory(directory)
}
