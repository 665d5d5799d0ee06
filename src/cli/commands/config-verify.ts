import type { Command } from 'commander'
import { loadConfig } from '../../config/load.ts'
import type { CliContext } from '../process/context.ts'

export function addConfigVerifyCommand(group: Command, { env, stdout }: CliContext): void {
  group
    .command('verify')
    .description(
      'Check a configuration file by itself; without one, what the environment and the file of the system make of it',
    )
    .argument('[file]', 'YAML file')
    .action((file?: string) => {
      loadConfig(file === undefined ? { ...(env && { env }) } : { env: {}, file })
      stdout.write('ok\n')
    })
}
