/**
 * The data directory:
 *
 * ```
 * format       number of this layout
 * index/       LevelDB: what the registry knows (index/keys.ts)
 * blocks/      blocks, in blockstore-fs's layout (ipfs/blockstore.ts)
 * datastore/   LevelDB of the IPFS node: its identity, its peers, the key and record of its IPNS name
 * cids/        the CID of every tag as a file (registry/cid-store.ts)
 * ```
 */
import { mkdir, open, readFile, readdir, rename } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { StartError } from './start-error.ts'

/** Changed whenever an older version could not read the directory any more */
const currentFormat = '1'

export interface DataDirectory {
  index: string
  blocks: string
  datastore: string
}

/**
 * Makes the directory where it is missing, and refuses one that is not ours or of another format
 *
 * @throws StartError; nothing has been changed then
 */
export async function openDataDirectory (path: string): Promise<DataDirectory> {
  const directory = resolve(path)
  try {
    await mkdir(directory, { recursive: true })
    const format = await readFormat(directory)
    if (format === undefined) {
      await writeFormat(directory)
    } else if (format !== currentFormat) {
      throw new StartError(`data directory ${directory} has format ${format.slice(0, 20)}; this version reads format ${currentFormat}`)
    }
  } catch (err) {
    if (err instanceof StartError) {
      throw err
    }
    throw new StartError(`data directory ${directory} can't be used: ${reasonOf(err)}`, { cause: err })
  }
  return { index: join(directory, 'index'), blocks: join(directory, 'blocks'), datastore: join(directory, 'datastore') }
}

async function readFormat (directory: string): Promise<string | undefined> {
  try {
    return (await readFile(join(directory, 'format'), 'utf8')).trim()
  } catch (err) {
    if ((err as NodeJS.ErrnoException).code !== 'ENOENT') {
      throw err
    }
  }
  // lost+found: the directory may be a file system of its own
  const others = (await readdir(directory)).filter(name => name !== 'lost+found' && !name.startsWith('.'))
  if (others.length > 0) {
    throw new StartError(`data directory ${directory} is neither empty nor a data directory of ipdr: it has no file "format"`)
  }
  return undefined
}

async function writeFormat (directory: string): Promise<void> {
  const temporary = join(directory, '.format')
  const file = await open(temporary, 'w')
  try {
    await file.writeFile(`${currentFormat}\n`)
    await file.sync()
  } finally {
    await file.close()
  }
  await rename(temporary, join(directory, 'format'))
}

function reasonOf (err: unknown): string {
  switch ((err as NodeJS.ErrnoException).code) {
    case 'EACCES':
    case 'EPERM':
      return 'no permission to write to it'
    case 'EROFS':
      return 'it is read-only'
    case 'ENOTDIR':
    case 'EEXIST':
      return 'it is not a directory'
    case 'ENOSPC':
      return 'no space left'
    default:
      return (err as Error).message
  }
}
