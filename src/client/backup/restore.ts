import { stat } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { encodeCar, readCarRoot } from '../../ipfs/car/car.ts'
import { CarFile } from '../../ipfs/car/car-file.ts'
import type { ApplianceClient, RestoreProgress, RestoreResult } from '../appliance/appliance-client.ts'
import { wholeBlocks } from './backup-blocks.ts'
import { isDirectory, readBackupDirectory, rootInName } from './backup-directory.ts'
import { ClientError } from '../../remote/errors.ts'
import type { AbortOptions } from '../../remote/abort-options.ts'
import type { BackupProblem } from './inspect-backups.ts'

export interface RestoreInit {
  /** Files or directories of files. The last one is restored; the others have the blocks that it leaves out. */
  sources: readonly string[]
  /** Root of an earlier state to restore. @default the last state */
  root?: string | undefined
  onProgress?: ((progress: RestoreProgress) => void) | undefined
  /** Called with the bytes of all files before they are sent */
  onSize?: ((bytes: number) => void) | undefined
  /**
   * Called for each file that is missing or damaged. That need not end the restore: the state may not need its blocks.
   */
  onProblem?: ((problem: BackupProblem) => void) | undefined
}

interface Source {
  paths: string[]
  /** Root of the last state; undefined if there is no backup */
  root: string | undefined
}

/**
 * Fills an empty appliance from backups
 *
 * @throws ClientError, ResponseError
 */
export async function restore(
  appliance: Pick<ApplianceClient, 'restore'>,
  { sources, root, onProgress = () => {}, onSize, onProblem = () => {} }: RestoreInit,
  options: AbortOptions,
): Promise<RestoreResult> {
  const found: Source[] = []
  for (const source of sources) {
    found.push(await readSource(source, onProblem))
  }
  const wanted = root ?? found.at(-1)?.root
  if (wanted === undefined) {
    throw new ClientError(`there is no backup in ${sources.at(-1)}`)
  }
  onSize?.(await bytesOf(found.flatMap(({ paths }) => paths)))
  const damaged = new Set<string>()
  const onDamage: Parameters<typeof wholeBlocks>[1] = (path, { damage, offset }) => {
    if (!damaged.has(path)) {
      damaged.add(path)
      onProblem({ path, problem: `${damage} (byte ${offset})` })
    }
  }
  let failure: unknown
  const body = async function* (): AsyncGenerator<Uint8Array> {
    try {
      yield* encodeCar(
        wanted,
        wholeBlocks(
          found.flatMap(({ paths }) => paths),
          onDamage,
          options.signal,
        ),
      )
    } catch (err) {
      // kept for the caller: the request only says that its body was cut off
      failure = err
      throw err
    }
  }
  try {
    return await appliance.restore(body, onProgress, options)
  } catch (err) {
    throw failure ?? err
  }
}

/** Of files; one that can't be read is told of when it is its turn */
async function bytesOf(paths: readonly string[]): Promise<number> {
  const sizes = await Promise.all(paths.map(async path => (await stat(path).catch(() => undefined))?.size ?? 0))
  return sizes.reduce((sum, size) => sum + size, 0)
}

async function readSource(path: string, onProblem: (problem: BackupProblem) => void): Promise<Source> {
  if (!(await isDirectory(path))) {
    return { paths: [path], root: await rootOf(path) }
  }
  const { names, listed } = await readBackupDirectory(path)
  // a file that is not in the list may have blocks that are needed, but it is not the last state
  const last = listed?.at(-1)?.name ?? names.at(-1)
  for (const { name } of listed ?? []) {
    if (!names.includes(name)) {
      onProblem({ path: join(path, name), problem: 'it is missing' })
    }
  }
  return { paths: names.map(name => join(path, name)), root: last === undefined ? undefined : rootInName(last) }
}

async function rootOf(path: string): Promise<string> {
  try {
    await using file = await CarFile.open(path)
    return await readCarRoot(file)
  } catch (err) {
    const { code, message } = err as NodeJS.ErrnoException
    const named = rootInName(basename(path))
    if (code === undefined && named !== undefined) {
      return named
    }
    throw new ClientError(`backup ${path}: ${code === undefined ? message : `it can't be read: ${code}`}`, {
      cause: err,
    })
  }
}
