import { mkdir, open, rename, rm, stat, type FileHandle } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { asyncIterableReader } from '@ipld/car/decoder'
import { readCarBlocks, readCarRoot } from '../ipfs/car.ts'
import type { ApplianceClient } from './appliance-client.ts'
import { backupFiles, blockKeys, nextBackupName, rootOfBackup } from './backup-files.ts'
import { ClientError } from './client-error.ts'
import type { ReadOptions } from './image-source.ts'

export interface BackupInit {
  /** A file that ends in `.car`, or a directory that gets a file for each backup */
  target: string
  /** Files, or directories of files, with earlier backups: what they have is left out. @default those in the directory */
  since?: readonly string[] | undefined
  onProgress?: ((blocks: number, bytes: number) => void) | undefined
}

export interface BackupResult {
  root: string
  /** Undefined where nothing has changed since the last backup in the directory */
  file: string | undefined
  /** In this file alone */
  blocks: number
  bytes: number
}

/**
 * Copies all that an appliance has into a file; what is there under the file's name is whole
 *
 * @throws ClientError, ResponseError
 */
export async function backup (appliance: ApplianceClient, { target, since = [], onProgress }: BackupInit, options: ReadOptions): Promise<BackupResult> {
  const isFile = target.endsWith('.car')
  if (isFile && await stat(target).catch(() => undefined) !== undefined) {
    throw new ClientError(`${target} is there already`)
  }
  const directory = isFile ? dirname(target) : target
  await mkdir(directory, { recursive: true })
  const own = isFile ? [] : await backupFiles(target)
  const earlier = [...(await Promise.all(since.map(backupFiles))).flat(), ...own]
  const partial = isFile ? `${target}.partial` : join(target, '.partial')
  const { root, bytes } = await appliance.backup(() => blockKeys(earlier), options)
  let written: { blocks: number, bytes: number }
  try {
    written = await writeBackup(partial, root, bytes, onProgress)
    const last = own.at(-1)
    if (last !== undefined && written.blocks === 0 && await rootOfBackup(last) === root) {
      await rm(partial)
      return { root, file: undefined, blocks: 0, bytes: 0 }
    }
  } catch (err) {
    await rm(partial, { force: true })
    throw err
  }
  const file = isFile ? target : join(target, nextBackupName(own, root))
  await rename(partial, file)
  await using handle = await open(directory)
  await handle.sync()
  return { root, file, ...written }
}

async function writeBackup (path: string, root: string, source: AsyncIterable<Uint8Array>, onProgress: BackupInit['onProgress']): Promise<{ blocks: number, bytes: number }> {
  await using file = await open(path, 'w')
  const reader = asyncIterableReader(written(file, source))
  if (await readCarRoot(reader) !== root) {
    throw new ClientError('the appliance sent another backup than it said')
  }
  let blocks = 0
  for await (const _ of readCarBlocks(reader)) {
    onProgress?.(++blocks, reader.pos)
  }
  await file.sync()
  return { blocks, bytes: reader.pos }
}

async function * written (file: FileHandle, source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  for await (const chunk of source) {
    for (let offset = 0; offset < chunk.byteLength;) {
      offset += (await file.write(chunk, offset)).bytesWritten
    }
    yield chunk
  }
}
