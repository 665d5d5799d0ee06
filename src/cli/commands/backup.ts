import type { Command } from 'commander'
import type { BackupResult } from '../../client/backup/backup.ts'
import { ClientError } from '../../remote/errors.ts'
import type { BackupVerification } from '../../client/backup/verify-backup.ts'
import { addAdminFlags, openAdministration, type AdminFlags } from '../flags/admin-flags.ts'
import type { CliContext } from '../process/context.ts'
import { runCommand } from '../process/run-command.ts'
import { line } from '../output/printable.ts'
import { printResult, withProgress } from '../output/results.ts'
import { formatSize } from '../output/table.ts'

/** A short backup says nothing where there is no terminal; milliseconds */
const quietFor = 10_000

interface Flags extends AdminFlags {
  since?: string[]
  quick?: true
  verify?: true
}

export function addBackupCommand(program: Command, context: CliContext): void {
  addAdminFlags(program.command('backup'))
    .description('Copy everything that an appliance has, while it keeps serving')
    .argument('<target>', 'a directory, which only gets what is new since the last backup, or a file that ends in .car')
    .option('--since <backup...>', 'earlier backups, files or directories: what they have is left out')
    .option('--quick', 'do not compare the blocks of earlier backups with their CIDs')
    .option('--verify', 'only check an existing backup, without an appliance')
    .action(async (target: string, flags: Flags) => {
      await runCommand(context, async signal => {
        await (flags.verify === true ? verify : copy)(target, flags, context, signal)
      })
    })
}

async function copy(target: string, flags: Flags, context: CliContext, signal: AbortSignal): Promise<void> {
  const [{ appliance }, { backup }] = await Promise.all([
    openAdministration(flags, context),
    import('../../client/backup/backup.ts'),
  ])
  const init = { target, since: flags.since, quick: flags.quick }
  const result = await withProgress(
    context,
    flags,
    ({ blocks, bytes, total }: { blocks: number; bytes: number; total: number | undefined }) => ({
      text: `${blocks} blocks received`,
      bytes,
      // the appliance knows about how much it is
      total: total === undefined ? undefined : Math.max(bytes, total),
    }),
    async onProgress =>
      await backup(
        appliance,
        {
          ...init,
          onProgress: (blocks, bytes, total) => {
            onProgress({ blocks, bytes, total })
          },
        },
        { signal },
      ),
    { quietFor },
  )
  const problems = [
    ...result.problems,
    ...result.lost.map(path => ({ path, problem: "its state can't be restored any more" })),
  ]
  for (const { path, problem } of flags.json === true ? [] : problems) {
    context.stderr.write(line`${path}: ${problem}`)
  }
  printResult(context, flags, result, line`${summary(result)}` + line`${result.root}`)
  requireComplete(result)
}

/** @throws ClientError if something is missing from the backup */
function requireComplete({ leftOut: { count, names } }: BackupResult): void {
  if (count > 0) {
    const more = count > names.length ? `, and ${count - names.length} more` : ''
    throw new ClientError(`not in the backup, because blocks are missing or damaged: ${names.join(', ')}${more}`, {
      hint: 'Everything else is. "ipdr fsck" repairs what other nodes have; push the rest again.',
    })
  }
}

async function verify(target: string, flags: Flags, context: CliContext, signal: AbortSignal): Promise<void> {
  const { verifyBackup } = await import('../../client/backup/verify-backup.ts')
  const result = await verifyBackup(target, flags.since ?? [], { signal })
  printResult(context, flags, result, verificationSummary(result))
  if (result.problems.length > 0) {
    throw new ClientError('the backup is damaged or not complete', {
      hint: 'The next ipdr backup into the directory adds what is missing, as far as the appliance still has it.',
    })
  }
}

function summary({ file, blocks, bytes, problems }: BackupResult): string {
  if (file !== undefined) {
    return `Wrote ${blocks} blocks (${formatSize(bytes)}) to ${file}`
  }
  return problems.length === 0
    ? 'Nothing has changed since the last backup'
    : 'Nothing to write: the backup has everything that the appliance has'
}

function verificationSummary({ files, blocks, bytes, problems, known }: BackupVerification): string {
  const lines = [
    ...known.map(({ path, problem }) => `${path}: ${problem}, as an earlier backup noted`),
    ...problems.map(({ path, problem }) => `${path}: ${problem}`),
    `${files} files with ${blocks} blocks (${formatSize(bytes)}): ${problems.length} problems`,
  ]
  return lines.map(text => line`${text}`).join('')
}
