import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { readCarBlocks, readCarCids, readCarRoot } from '../ipfs/car.ts'
import { CarFile } from '../ipfs/car-file.ts'
import { keyBytes } from '../ipfs/block-keys.ts'
import type { Block } from '../ipfs/dag.ts'
import { ClientError } from './client-error.ts'

const keysAtATime = 4096
const nameDigits = 6
const backupName = /^\d{6}-[a-z0-9]+\.car$/

/**
 * The files of a backup, the oldest first: a directory has one for each time that something was new
 *
 * @throws ClientError where there is none
 */
export async function backupFiles (source: string): Promise<string[]> {
  const found = await stat(source).catch((err: NodeJS.ErrnoException) => { throw new ClientError(`${source} can't be read: ${err.code}`, { cause: err }) })
  if (!found.isDirectory()) {
    return [source]
  }
  return (await readdir(source)).filter(name => backupName.test(name)).sort().map(name => join(source, name))
}

/** Name of the next file in a directory of backups */
export function nextBackupName (files: readonly string[], root: string): string {
  return `${String(files.length + 1).padStart(nameDigits, '0')}-${root}.car`
}

/** @throws ClientError where the file is no CAR, or damaged */
export async function rootOfBackup (path: string): Promise<string> {
  return await named(path, async () => {
    await using file = await CarFile.open(path)
    return await readCarRoot(file)
  })
}

/**
 * What an appliance is told that it need not send again
 *
 * @throws ClientError where a file is damaged or cut short
 */
export async function * blockKeys (files: readonly string[]): AsyncGenerator<Uint8Array> {
  for (const path of files) {
    await using file = await named(path, async () => await CarFile.open(path))
    await named(path, async () => await readCarRoot(file))
    const cids = readCarCids(file)
    for (let isDone = false; !isDone;) {
      const keys: Uint8Array[] = []
      isDone = await named(path, async () => {
        for await (const { multihash: { digest } } of take(cids, keysAtATime)) {
          const key = new Uint8Array(keyBytes)
          key.set(digest.subarray(0, keyBytes))
          keys.push(key)
        }
        return keys.length < keysAtATime
      })
      yield Buffer.concat(keys)
    }
  }
}

/**
 * The blocks of all files, each compared with its CID
 *
 * @throws ClientError where one is damaged, or a file is cut short
 */
export async function * blocksOf (files: readonly string[]): AsyncGenerator<Block> {
  for (const path of files) {
    await using file = await named(path, async () => await CarFile.open(path))
    await named(path, async () => await readCarRoot(file))
    const blocks = readCarBlocks(file)
    for (let next = await named(path, async () => await blocks.next()); next.done !== true; next = await named(path, async () => await blocks.next())) {
      yield next.value
    }
  }
}

async function * take<T> (items: AsyncGenerator<T>, count: number): AsyncGenerator<T> {
  for (let taken = 0; taken < count; taken++) {
    const next = await items.next()
    if (next.done === true) {
      return
    }
    yield next.value
  }
}

async function named<T> (path: string, reading: () => Promise<T>): Promise<T> {
  try {
    return await reading()
  } catch (err) {
    const { code, message, name } = err as NodeJS.ErrnoException
    if (name === 'DamagedBlockError' || code !== undefined) {
      throw new ClientError(`backup ${path}: ${message}`, { cause: err })
    }
    throw err
  }
}
