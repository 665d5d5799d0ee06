import { Argument, type Command } from 'commander'
import { presets, type Preset } from '../../access/rules/presets.ts'
import { addConfigFlags } from '../flags/config-flags.ts'
import { configOfServer } from '../flags/container-command.ts'
import { reloadAccess } from '../flags/reload-access.ts'
import { line } from '../output/printable.ts'
import { printResult } from '../output/results.ts'
import type { CliContext } from '../process/context.ts'

export function addAccessInitCommand(group: Command, context: CliContext): void {
  addConfigFlags(group.command('init'))
    .addArgument(new Argument('<preset>', 'who may pull and push').choices(presets))
    .option('--json', 'print JSON')
    .description(
      'Write rules of who may do what, and a user who may do everything; return once a server that runs has read them',
    )
    .action(async (preset: Preset, flags: { json?: true }, command: Command) => {
      const { initAccess } = await import('../../appliance/init-access.ts')
      const config = await configOfServer(command, context)
      const password = await initAccess(preset, config)
      context.stderr.write(line`This password is shown only now:`)
      printResult(context, flags, { user: 'admin', password }, line`admin ${password}`)
      await reloadAccess(config, context)
    })
}
