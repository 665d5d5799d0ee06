/**
 * Backups in files. This file writes one, restore.ts fills an empty appliance from them, verify-backup.ts only checks
 * them. Each of these begins with inspect-backups.ts, which reads what is there, block by block (backup-blocks.ts);
 * backup-directory.ts draws how the files are named and listed. Imports the client of the appliance and the CAR files
 * of ipfs.
 */
import { mkdir, open, rename, rm, stat, type FileHandle } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { asyncIterableReader } from '@ipld/car/decoder'
import { readCarBlocks, readCarRoot } from '../../ipfs/car/car.ts'
import type { ApplianceClient } from '../appliance/appliance-client.ts'
import type { LeftOut } from '../appliance/backup-answer.ts'
import { nextBackupName, syncDirectory, writeBackupList, type ListedFile } from './backup-directory.ts'
import { ClientError } from '../../remote/errors.ts'
import type { AbortOptions } from '../../remote/abort-options.ts'
import {
  incompleteStates,
  inspectBackups,
  type BackupInspection,
  type BackupProblem,
  type InspectedFile,
} from './inspect-backups.ts'

export interface BackupInit {
  /** A file that ends in `.car`, or a directory that gets a new file with each backup */
  target: string
  /** Earlier backups outside the directory, as files or directories of files: their blocks are left out */
  since?: readonly string[] | undefined
  /** Do not compare the blocks of earlier backups with their CIDs */
  quick?: boolean | undefined
  /** Called with what the appliance has sent so far, in blocks and bytes, and about how many bytes it sends */
  onProgress?: ((blocks: number, bytes: number, total: number | undefined) => void) | undefined
}

export interface BackupResult {
  root: string
  /** The file that was written; undefined if nothing has changed since the last one */
  file: string | undefined
  /** Blocks and bytes of this file alone */
  blocks: number
  bytes: number
  /**
   * What is wrong with the earlier files. This file has their damaged blocks again, if the appliance still has them.
   */
  problems: BackupProblem[]
  /** Files whose state can't be restored any more: neither the backup nor the appliance has all of its blocks */
  lost: string[]
  /** What the appliance could not send, because it is missing or damaged there */
  leftOut: LeftOut
}

interface Written {
  blocks: number
  bytes: number
}

interface Added extends Written {
  name: string
  path: string
  state: string
}

/**
 * Copies everything that an appliance has, except undamaged blocks of earlier backups, into a file. The file gets its
 * name once it is complete and on disk.
 *
 * @throws ClientError, ResponseError
 */
export async function backup(
  appliance: Pick<ApplianceClient, 'backup'>,
  init: BackupInit,
  options: AbortOptions,
): Promise<BackupResult> {
  const { target } = init
  if (target.endsWith('.car')) {
    return await backupToFile(appliance, init, options)
  }
  await mkdir(target, { recursive: true })
  const before = await inspectBackups(target, init.since ?? [], { ...options, quick: init.quick })
  await using _blocks = before.blocks
  const partial = join(target, '.partial')
  const { root, written, leftOut } = await writeBackup(appliance, partial, before, init, options)
  const isNew = written.blocks > 0 || before.files.at(-1)?.state !== root
  if (!isNew) {
    await rm(partial)
    written.bytes = 0
  }
  const file = isNew ? join(target, nextBackupName(before.names, root)) : undefined
  if (file !== undefined) {
    await rename(partial, file)
    await syncDirectory(target)
  }
  const added = file === undefined ? undefined : { name: basename(file), path: file, state: root, ...written }
  const lost = await settle(init, before, added, options)
  return { root, file, ...written, problems: before.problems, lost, leftOut }
}

async function backupToFile(
  appliance: Pick<ApplianceClient, 'backup'>,
  init: BackupInit,
  options: AbortOptions,
): Promise<BackupResult> {
  const { target, since = [], quick } = init
  if ((await stat(target).catch(() => undefined)) !== undefined) {
    throw new ClientError(`${target} exists already`)
  }
  const directory = dirname(target)
  await mkdir(directory, { recursive: true })
  const [first, ...others] = since
  const before = first === undefined ? undefined : await inspectBackups(first, others, { ...options, quick })
  await using _blocks = before?.blocks
  const { root, written, leftOut } = await writeBackup(appliance, `${target}.partial`, before, init, options)
  await rename(`${target}.partial`, target)
  await syncDirectory(directory)
  return { root, file: target, ...written, problems: before?.problems ?? [], lost: [], leftOut }
}

async function writeBackup(
  appliance: Pick<ApplianceClient, 'backup'>,
  path: string,
  before: BackupInspection | undefined,
  { onProgress }: BackupInit,
  options: AbortOptions,
): Promise<{ root: string; written: Written; leftOut: LeftOut }> {
  const { root, bytes, leftOut, size } = await appliance.backup(async function* () {
    yield* before?.blocks.keys.bytes() ?? []
  }, options)
  try {
    await using file = await open(path, 'w')
    const reader = asyncIterableReader(written(file, bytes))
    if ((await readCarRoot(reader)) !== root) {
      throw new ClientError('the appliance sent a backup with another root than it announced')
    }
    let blocks = 0
    for await (const _ of readCarBlocks(reader)) {
      options.signal?.throwIfAborted()
      blocks++
      onProgress?.(blocks, reader.pos, size)
    }
    await file.sync()
    return { root, written: { blocks, bytes: reader.pos }, leftOut }
  } catch (err) {
    await rm(path, { force: true })
    throw err
  }
}

/**
 * Writes the list of files anew. What is wrong with a file is noted there, so that the next backup does not report it
 * again.
 *
 * @returns paths of the files whose states are lost since this backup
 */
async function settle(
  { target, quick = false }: BackupInit,
  { blocks, files, isListed, problems }: BackupInspection,
  added: Added | undefined,
  options: AbortOptions,
): Promise<string[]> {
  const isSuspect = problems.length > 0 || files.some(isDamaged) || (!isListed && files.length > 0)
  if (added !== undefined && isSuspect) {
    // quick: this file has just been written and checked
    await blocks.add(added.path, { ...options, quick: true })
  }
  const states = added === undefined ? files : [...files, added]
  const lost = new Set(
    isSuspect ? (await incompleteStates(states, blocks, options)).map(({ file: { path } }) => path) : [],
  )
  if (isSuspect || added !== undefined) {
    await writeBackupList(target, [
      ...files.map(file =>
        listed(file, {
          isDamaged: isDamaged(file) || (quick && file.listed?.isDamaged === true),
          isLost: isSuspect ? lost.has(file.path) : file.listed?.isLost === true,
        }),
      ),
      ...(added === undefined ? [] : [listed(added, { isDamaged: false, isLost: lost.has(added.path) })]),
    ])
  }
  return files.filter(({ path, listed }) => lost.has(path) && listed?.isLost !== true).map(({ path }) => path)
}

function isDamaged({ damage, root, state }: InspectedFile): boolean {
  return damage !== undefined || root !== state
}

function listed(
  { name, bytes }: { name: string; bytes: number },
  { isDamaged, isLost }: { isDamaged: boolean; isLost: boolean },
): ListedFile {
  return { name, bytes, ...(isDamaged ? { isDamaged } : {}), ...(isLost ? { isLost } : {}) }
}

/** Passes chunks on once they are in the file */
async function* written(file: FileHandle, source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  for await (const chunk of source) {
    for (let offset = 0; offset < chunk.byteLength; ) {
      offset += (await file.write(chunk, offset)).bytesWritten
    }
    yield chunk
  }
}
