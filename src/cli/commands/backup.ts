import type { Command } from 'commander'
import { addApplianceFlags, openAppliance, type ApplianceFlags } from '../appliance-flags.ts'
import type { CliContext } from '../context.ts'
import { runClient } from '../run-client.ts'
import { formatSize } from '../table.ts'

interface Flags extends ApplianceFlags {
  since?: string[]
}

export function addBackupCommand (program: Command, context: CliContext): void {
  addApplianceFlags(program.command('backup'))
    .description('Copy all that an appliance has, while it goes on')
    .argument('<target>', 'a directory, which gets only what is new since the last time, or a file that ends in .car')
    .option('--since <backup...>', 'earlier backups, files or directories: what they have is left out')
    .action(async (target: string, flags: Flags) => {
      await runClient(context, async signal => {
        const [{ appliance }, { backup }] = await Promise.all([openAppliance(flags, context), import('../../client/backup.ts')])
        const result = await backup(appliance, { target, since: flags.since }, { signal })
        context.stdout.write(flags.json === true ? `${JSON.stringify(result)}\n` : `${describe(result)}\n${result.root}\n`)
      })
    })
}

function describe ({ file, blocks, bytes }: { file: string | undefined, blocks: number, bytes: number }): string {
  return file === undefined ? 'Nothing has changed since the last backup' : `Wrote ${blocks} blocks of ${formatSize(bytes)} to ${file}`
}
