import type { Command } from 'commander'
import type { BackupResult } from '../../client/backup/backup.ts'
import { ClientError } from '../../client/errors.ts'
import type { BackupVerification } from '../../client/backup/verify-backup.ts'
import { addAdminFlags, openAdministration, type AdminFlags } from '../flags/admin-flags.ts'
import type { CliContext } from '../process/context.ts'
import { runCommand } from '../process/run-command.ts'
import { formatSize } from '../output/table.ts'

interface Flags extends AdminFlags {
  since?: string[]
  quick?: true
  verify?: true
}

export function addBackupCommand(program: Command, context: CliContext): void {
  addAdminFlags(program.command('backup'))
    .description('Copy all that an appliance has, while it goes on')
    .argument('<target>', 'a directory, which gets only what is new since the last time, or a file that ends in .car')
    .option('--since <backup...>', 'earlier backups, files or directories: what they have is left out')
    .option('--quick', 'do not compare the blocks of earlier backups with their CIDs')
    .option('--verify', 'only check a backup that is there, without an appliance')
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
  const result = await backup(appliance, { target, since: flags.since, quick: flags.quick }, { signal })
  for (const { path, problem } of flags.json === true ? [] : result.problems) {
    context.stderr.write(`${path}: ${problem}\n`)
  }
  for (const path of flags.json === true ? [] : result.lost) {
    context.stderr.write(`${path}: its state can't be restored any more\n`)
  }
  context.stdout.write(flags.json === true ? `${JSON.stringify(result)}\n` : `${describe(result)}\n${result.root}\n`)
  requireComplete(result)
}

/** @throws ClientError where something is not in the backup */
function requireComplete({ leftOut: { count, names } }: BackupResult): void {
  if (count > 0) {
    const more = count > names.length ? `, and ${count - names.length} more` : ''
    throw new ClientError(`not in the backup, as blocks are missing or damaged: ${names.join(', ')}${more}`, {
      hint: 'The rest is. "ipdr fsck" repairs what other nodes have; else push it again.',
    })
  }
}

async function verify(target: string, flags: Flags, { stdout }: CliContext, signal: AbortSignal): Promise<void> {
  const { verifyBackup } = await import('../../client/backup/verify-backup.ts')
  const result = await verifyBackup(target, flags.since ?? [], { signal })
  stdout.write(flags.json === true ? `${JSON.stringify(result)}\n` : describeVerification(result))
  if (result.problems.length > 0) {
    throw new ClientError('the backup is damaged or not complete', {
      hint: 'The next ipdr backup into the directory writes what is missing anew, as far as the appliance has it.',
    })
  }
}

function describe({ file, blocks, bytes, problems }: BackupResult): string {
  if (file !== undefined) {
    return `Wrote ${blocks} blocks of ${formatSize(bytes)} to ${file}`
  }
  return problems.length === 0
    ? 'Nothing has changed since the last backup'
    : 'Nothing was to be written: all that the appliance has is there'
}

function describeVerification({ files, blocks, bytes, problems, known }: BackupVerification): string {
  return [
    ...known.map(({ path, problem }) => `${path}: ${problem}, as was known before`),
    ...problems.map(({ path, problem }) => `${path}: ${problem}`),
    `${files} files with ${blocks} blocks of ${formatSize(bytes)}: ${problems.length} problems`,
  ]
    .map(line => `${line}\n`)
    .join('')
}
