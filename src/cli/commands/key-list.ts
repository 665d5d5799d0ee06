import type { Command } from 'commander'
import { addConfigFlags } from '../flags/config-flags.ts'
import { configOfServer } from '../flags/container-command.ts'
import { printResult } from '../output/results.ts'
import { table } from '../output/table.ts'
import type { CliContext } from '../process/context.ts'

export function addKeyListCommand(group: Command, context: CliContext): void {
  addConfigFlags(group.command('list'))
    .option('--json', 'print JSON')
    .description('List the API keys and what they may do')
    .action(async (flags: { json?: true }, command: Command) => {
      const { listKeys } = await import('../../appliance/groups/api-keys.ts')
      const keys = await listKeys(await configOfServer(command, context))
      const rows = keys.map(({ name, owner, created, expires, expired, scopes }) => [
        name,
        owner ?? '-',
        created.slice(0, 10),
        expired ? 'expired' : (expires?.slice(0, 10) ?? 'never'),
        scopes.join(' '),
      ])
      printResult(context, flags, keys, table([['NAME', 'OWNER', 'CREATED', 'EXPIRES', 'SCOPES'], ...rows]))
    })
}
