import type { Command } from 'commander'
import { addConfigFlags } from '../flags/config-flags.ts'
import { configOfServer } from '../flags/container-command.ts'
import { reloadAccess } from '../flags/reload-access.ts'
import { line } from '../output/printable.ts'
import { printResult } from '../output/results.ts'
import type { CliContext } from '../process/context.ts'

export function addKeyRevokeCommand(group: Command, context: CliContext): void {
  addConfigFlags(group.command('revoke'))
    .argument('<name>', 'name of the key')
    .option('--json', 'print JSON')
    .description('Delete an API key; return once a server that runs refuses it and its tokens')
    .action(async (name: string, flags: { json?: true }, command: Command) => {
      const { revokeKey } = await import('../../appliance/groups/api-keys.ts')
      const config = await configOfServer(command, context)
      await revokeKey(name, config)
      await reloadAccess(config, context)
      printResult(context, flags, { revoked: name }, line`revoked ${name}`)
    })
}
