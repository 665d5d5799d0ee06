import { basename, join } from 'node:path'
import { CID } from 'multiformats/cid'
import { CompleteDags } from '../../ipfs/dag/complete-dags.ts'
import type { CarScanOptions } from '../../ipfs/car/car-scan.ts'
import { BackupBlocks, type ScannedFile } from './backup-blocks.ts'
import {
  isDirectory,
  numberInName,
  paddedNumber,
  readBackupDirectory,
  rootInName,
  type ListedFile,
} from './backup-directory.ts'

/** Numbers that are searched for missing files, if there is no list */
const maxNumbers = 100_000

export interface BackupProblem {
  /** A file, or the directory */
  path: string
  problem: string
}

export interface InspectedFile extends ScannedFile, BackupState {
  listed: ListedFile | undefined
}

/** What a directory or file of backups has */
export interface BackupInspection {
  /** The oldest first */
  files: InspectedFile[]
  /** Names of all files that exist, or that the list says existed */
  names: string[]
  /** Undamaged blocks of these and of earlier backups; the caller disposes of them */
  blocks: BackupBlocks
  /** What is wrong, and was not noted by an earlier backup */
  problems: BackupProblem[]
  /** Whether the directory has a list of its files */
  isListed: boolean
}

export type InspectOptions = CarScanOptions

/**
 * Reads every block of the files of a backup
 *
 * @param target a directory or a file
 * @param since earlier backups, as files or directories of files
 * @throws ClientError if one can't be read
 */
export async function inspectBackups(
  target: string,
  since: readonly string[],
  options: InspectOptions,
): Promise<BackupInspection> {
  await using work = new AsyncDisposableStack()
  const blocks = work.use(new BackupBlocks())
  const problems: BackupProblem[] = []
  for (const source of since) {
    problems.push(...(await inspectOne(source, blocks, options)).problems)
  }
  const inspected = await inspectOne(target, blocks, options)
  work.move()
  return { ...inspected, blocks, problems: [...problems, ...inspected.problems] }
}

/** A file, and the state of the appliance that it was written for */
export interface BackupState {
  path: string
  name: string
  /** Root of the state; undefined if neither name nor header tell it */
  state: string | undefined
}

/**
 * The files whose state can't be restored, because blocks of it are missing
 *
 * @throws the reason of the signal
 */
export async function incompleteStates<State extends BackupState>(
  files: readonly State[],
  blocks: BackupBlocks,
  options: InspectOptions,
): Promise<{ file: State; reason: string }[]> {
  const dags = new CompleteDags(blocks)
  const incomplete: { file: State; reason: string }[] = []
  for (const file of files) {
    const reason = file.state === undefined ? undefined : await reasonAgainst(file.state, dags, options)
    if (reason !== undefined) {
      incomplete.push({ file, reason })
    }
  }
  return incomplete
}

async function inspectOne(
  target: string,
  blocks: BackupBlocks,
  options: InspectOptions,
): Promise<Omit<BackupInspection, 'blocks'>> {
  if (!(await isDirectory(target))) {
    const file = await inspectFile(target, undefined, blocks, options)
    return { files: [file], names: [], problems: problemsOf(file, true), isListed: false }
  }
  const { names, listed, isListDamaged } = await readBackupDirectory(target)
  const problems: BackupProblem[] = isListDamaged ? [{ path: target, problem: 'its list of files is damaged' }] : []
  for (const name of missingNames(names, listed)) {
    problems.push({ path: join(target, name), problem: 'it is missing' })
  }
  const files: InspectedFile[] = []
  for (const name of names) {
    const file = await inspectFile(
      join(target, name),
      listed?.find(known => known.name === name),
      blocks,
      options,
    )
    problems.push(...problemsOf(file, listed === undefined))
    files.push(file)
  }
  return {
    files,
    names: [...names, ...(listed ?? []).map(({ name }) => name)],
    problems,
    isListed: listed !== undefined,
  }
}

async function inspectFile(
  path: string,
  listed: ListedFile | undefined,
  blocks: BackupBlocks,
  options: InspectOptions,
): Promise<InspectedFile> {
  const found = await blocks.add(path, options)
  const name = basename(path)
  return { ...found, path, name, listed, state: stateIn(name) ?? found.root }
}

function stateIn(name: string): string | undefined {
  try {
    return CID.parse(rootInName(name) ?? '').toString()
  } catch {
    // a file that the user renamed
    return undefined
  }
}

/** @param isFree whether files may exist that are not in the list */
function problemsOf(
  { path, listed, bytes, root, state, damaged, damage }: InspectedFile,
  isFree: boolean,
): BackupProblem[] {
  const found: string[] = []
  if (damage !== undefined && listed?.isDamaged !== true) {
    found.push(damaged === 1 ? damage : `${damage}, and ${damaged - 1} more parts are damaged`)
  }
  if (root !== undefined && root !== state && listed?.isDamaged !== true) {
    found.push(`its root is ${root}, not the one in its name`)
  }
  if (listed !== undefined && listed.bytes !== bytes) {
    found.push(`it has ${bytes} bytes instead of ${listed.bytes}`)
  }
  if (listed === undefined && !isFree) {
    found.push('it is not in the list of files')
  }
  return found.map(problem => ({ path, problem }))
}

/** Files of the list that do not exist; without a list, the numbers that are left out between the others */
function missingNames(names: readonly string[], listed: readonly ListedFile[] | undefined): string[] {
  if (listed !== undefined) {
    return listed.map(({ name }) => name).filter(name => !names.includes(name))
  }
  const numbers = new Set(names.map(numberInName))
  return Array.from({ length: Math.min(Math.max(0, ...numbers), maxNumbers) }, (_, i) => i + 1)
    .filter(number => !numbers.has(number))
    .map(number => `${paddedNumber(number)}-*.car`)
}

/** Why a state can't be restored; undefined if it can */
async function reasonAgainst(
  root: string,
  dags: CompleteDags,
  { signal }: InspectOptions,
): Promise<string | undefined> {
  try {
    await dags.require(root, { signal })
    return undefined
  } catch (err) {
    signal?.throwIfAborted()
    if ((err as NodeJS.ErrnoException).syscall !== undefined) {
      throw err
    }
    return (err as Error).message
  }
}
