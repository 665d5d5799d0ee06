import type { Command } from 'commander'
import { stringify } from 'yaml'
import { addConfigFlags, configOf } from '../flags/config-flags.ts'
import { printResult } from '../output/results.ts'
import type { CliContext } from '../process/context.ts'

export function addConfigShowCommand(group: Command, context: CliContext): void {
  addConfigFlags(group.command('show'))
    .description('Print the configuration that results from flags, environment, file and defaults, as YAML')
    .option('--json', 'print JSON')
    .action((flags: { json?: true }, command: Command) => {
      const config = configOf(command, context)
      printResult(context, flags, config, stringify(config))
    })
}
