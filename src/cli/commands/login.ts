import type { Command } from 'commander'
import { dockerConfigFile } from '../../config/load.ts'
import { ask, canAsk, readSecret } from '../process/ask.ts'
import { line } from '../output/printable.ts'
import { printResult } from '../output/results.ts'
import type { CliContext } from '../process/context.ts'
import { UsageError } from '../process/errors.ts'
import { runCommand } from '../process/run-command.ts'

interface LoginFlags {
  username?: string
  passwordStdin?: true
  plainHttp?: true
  json?: true
}

export function addLoginCommand(program: Command, context: CliContext): void {
  program
    .command('login')
    .description('Log in at a registry: the commands of ipdr, and Docker and its relatives, use what this stores')
    .argument('<host>', 'the registry: host:port, or a URL with https:// or http://')
    .option('-u, --username <user>', 'user name (default: asked for on a terminal)')
    .option('--password-stdin', 'read the password, or a token, from standard input')
    .option('--plain-http', 'allow a registry on another machine without TLS')
    .option('--json', 'print JSON')
    .action(async (host: string, flags: LoginFlags) => {
      await runCommand(context, async signal => {
        await login(host, flags, context, signal)
      })
    })
}

async function login(host: string, flags: LoginFlags, context: CliContext, signal: AbortSignal): Promise<void> {
  const [{ logIn }, { storeCredentials }] = await Promise.all([
    import('../../remote/registry/log-in.ts'),
    import('../../remote/registry/docker-credentials.ts'),
  ])
  const user = await readUser(flags, context, signal)
  const found = await logIn({ host, plainHttp: flags.plainHttp === true, ...user }, { signal })
  const file = dockerConfigFile(context.env)
  const helper = await storeCredentials(file, found.host, found.credentials, { signal })
  if (!found.checked) {
    context.stderr.write(line`${found.host} asks nobody for a password: it is stored unchecked`)
  }
  if (helper === undefined) {
    const what = found.credentials.identityToken === undefined ? 'The password' : 'A token'
    context.stderr.write(line`${what} is stored in ${file}, unencrypted; a credential helper of Docker avoids that`)
  }
  const result = { host: found.host, user: user.username, checked: found.checked }
  printResult(context, flags, result, line`Logged in at ${found.host} as ${user.username}`)
}

async function readUser(
  { passwordStdin, username }: LoginFlags,
  context: CliContext,
  signal: AbortSignal,
): Promise<{ username: string; password: string }> {
  if (passwordStdin === true) {
    if (username === undefined) {
      throw new UsageError('--password-stdin needs --username')
    }
    return { username, password: await readSecret(context, signal) }
  }
  if (!canAsk(context)) {
    throw new UsageError('there is no terminal to ask for a password on', 'Use --username and --password-stdin.')
  }
  const user = username ?? (await ask(context, 'Username: ', { secret: false, signal }))
  const password = await ask(context, 'Password: ', { secret: true, signal })
  if (user === '' || password === '') {
    throw new UsageError('a log-in needs a user name and a password')
  }
  return { username: user, password }
}
