import type { Command } from 'commander'
import { dockerConfigFile } from '../../config/load.ts'
import { line } from '../output/printable.ts'
import { printResult } from '../output/results.ts'
import type { CliContext } from '../process/context.ts'
import { runCommand } from '../process/run-command.ts'

export function addLogoutCommand(program: Command, context: CliContext): void {
  program
    .command('logout')
    .description('Remove the log-in at a registry that `ipdr login` or `docker login` stored')
    .argument('<host>', 'the registry, as at the log-in')
    .option('--json', 'print JSON')
    .action(async (host: string, flags: { json?: true }) => {
      await runCommand(context, async signal => {
        const [{ logInHost }, { eraseCredentials }] = await Promise.all([
          import('../../remote/registry/log-in.ts'),
          import('../../remote/registry/docker-credentials.ts'),
        ])
        const key = logInHost(host)
        const erased = await eraseCredentials(dockerConfigFile(context.env), key, { signal })
        const text = erased ? line`Logged out of ${key}` : line`Not logged in at ${key}`
        printResult(context, flags, { host: key, loggedOut: erased }, text)
      })
    })
}
