import { basename, join } from 'node:path'
import { CID } from 'multiformats/cid'
import { CompleteDags } from '../../ipfs/dag/complete-dags.ts'
import type { CarScanOptions } from '../../ipfs/car/car-scan.ts'
import { BackupBlocks, type ScannedFile } from './backup-blocks.ts'
import { isDirectory, numberInName, readBackupDirectory, rootInName, type ListedFile } from './backup-directory.ts'

export interface BackupProblem {
  /** A file, or the directory */
  path: string
  problem: string
}

export interface InspectedFile extends ScannedFile, BackupState {
  listed: ListedFile | undefined
}

/** What is there of backups, and what is wrong with it that was not known before */
export interface BackupInspection {
  /** The oldest first */
  files: InspectedFile[]
  /** Names of all that are or were there */
  names: string[]
  /** What of these and of earlier backups is whole; whoever asks for the inspection disposes of them */
  blocks: BackupBlocks
  problems: BackupProblem[]
  isListed: boolean
}

export type InspectOptions = CarScanOptions

/**
 * Reads the files of a backup, every block of them
 *
 * @param target a directory or a file
 * @param since files, or directories of files, with earlier backups
 * @throws ClientError where one can't be read
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

/** A state that a file was written for */
export interface BackupState {
  path: string
  name: string
  state: string | undefined
}

/**
 * The files of which the state can't be brought back from all blocks there are
 *
 * @throws as an aborted signal
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
    // a name that somebody else gave
    return undefined
  }
}

/** @param isFree whether any file may be there */
function problemsOf(
  { path, listed, bytes, root, state, damaged, damage }: InspectedFile,
  isFree: boolean,
): BackupProblem[] {
  const found: string[] = []
  if (damage !== undefined && listed?.isDamaged !== true) {
    found.push(damaged === 1 ? damage : `${damage}, and ${damaged - 1} more parts are damaged`)
  }
  if (root !== undefined && root !== state && listed?.isDamaged !== true) {
    found.push(`it begins with ${root}, which is not what its name says`)
  }
  if (listed !== undefined && listed.bytes !== bytes) {
    found.push(`it has ${bytes} bytes instead of ${listed.bytes}`)
  }
  if (listed === undefined && !isFree) {
    found.push('the list of files does not have it')
  }
  return found.map(problem => ({ path, problem }))
}

/** @returns of files without a list: those that the numbers of the others leave out */
function missingNames(names: readonly string[], listed: readonly ListedFile[] | undefined): string[] {
  if (listed !== undefined) {
    return listed.map(({ name }) => name).filter(name => !names.includes(name))
  }
  const numbers = new Set(names.map(numberInName))
  return Array.from({ length: Math.min(Math.max(0, ...numbers), 100_000) }, (_, i) => i + 1)
    .filter(number => !numbers.has(number))
    .map(number => `${String(number).padStart(6, '0')}-*.car`)
}

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
