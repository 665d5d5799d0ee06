import { ClientError } from '../../remote/errors.ts'
import type { AbortOptions } from '../../remote/abort-options.ts'
import { incompleteStates, inspectBackups, type BackupProblem } from './inspect-backups.ts'

export interface BackupVerification {
  files: number
  blocks: number
  bytes: number
  problems: BackupProblem[]
  /** What an earlier backup found and noted */
  known: BackupProblem[]
}

/**
 * Reads all files of a backup, and checks that every state they were written for can be restored
 *
 * @param target a directory or a file
 * @param since earlier backups, as files or directories of files
 * @throws ClientError if there is none, or one can't be read
 */
export async function verifyBackup(
  target: string,
  since: readonly string[],
  { signal }: AbortOptions,
): Promise<BackupVerification> {
  const { blocks, files, problems } = await inspectBackups(target, since, { signal })
  await using _blocks = blocks
  if (files.length === 0 && problems.length === 0) {
    throw new ClientError(`there is no backup in ${target}`)
  }
  const incomplete = await incompleteStates(
    files.filter(({ listed }) => listed?.isLost !== true),
    blocks,
    { signal },
  )
  return {
    files: files.length,
    blocks: files.reduce((total, file) => total + file.blocks, 0),
    bytes: files.reduce((total, { bytes }) => total + bytes, 0),
    problems: [
      ...problems,
      ...incomplete.map(({ file: { path }, reason }) => ({ path, problem: `its state can't be restored: ${reason}` })),
    ],
    known: files.flatMap(({ path, listed }) => [
      ...(listed?.isDamaged === true ? [{ path, problem: 'a part of it is damaged' }] : []),
      ...(listed?.isLost === true ? [{ path, problem: "its state can't be restored any more" }] : []),
    ]),
  }
}
