import type { Command } from 'commander'
import { loadConfig } from '../../config/load.ts'
import type { CliContext } from '../process/context.ts'

export function addConfigVerifyCommand(group: Command, { env, stdout }: CliContext): void {
  group
    .command('verify')
    .description(
      'Check a configuration file on its own; without a file, check what environment and system file result in',
    )
    .argument('[file]', 'YAML file')
    .action((file?: string) => {
      loadConfig(file === undefined ? { ...(env && { env }) } : { env: {}, file })
      stdout.write('ok\n')
    })
}
