import type { Command } from 'commander'
import { loadConfig } from '../../config/load.ts'
import { printResult } from '../output/results.ts'
import type { CliContext } from '../process/context.ts'

export function addConfigVerifyCommand(group: Command, context: CliContext): void {
  group
    .command('verify')
    .description(
      'Check a configuration file on its own; without a file, check what environment and system file result in',
    )
    .argument('[file]', 'YAML file')
    .option('--json', 'print JSON')
    .action((file: string | undefined, flags: { json?: true }) => {
      const { env } = context
      loadConfig(file === undefined ? { ...(env && { env }) } : { env: {}, file })
      printResult(context, flags, { ok: true }, 'ok\n')
    })
}
