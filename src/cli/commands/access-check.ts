import { Argument, type Command } from 'commander'
import { actions, type Action } from '../../access/rules/actions.ts'
import { addConfigFlags } from '../flags/config-flags.ts'
import { configOfServer } from '../flags/container-command.ts'
import { repeated } from '../flags/option-values.ts'
import { line } from '../output/printable.ts'
import { printResult } from '../output/results.ts'
import type { CliContext } from '../process/context.ts'
import { DeniedError } from '../process/errors.ts'

interface Flags {
  group?: string[]
  json?: true
}

export function addAccessCheckCommand(group: Command, context: CliContext): void {
  addConfigFlags(group.command('check'))
    .argument('<user>', 'name of a user, <issuer>:<name>, key:<name>, cert:<name> or anonymous')
    .argument('<repository>', 'name of a repository, with a tag if that matters')
    .addArgument(new Argument('<action>').choices(actions))
    .option('--group <group>', '<issuer>:<group> that the token of a user of an issuer tells of (repeatable)', repeated)
    .option('--json', 'print JSON')
    .description('Tell whether the rules allow something, and which rule decides; exit code 1 where they do not')
    .action(async (user: string, name: string, action: Action, flags: Flags, command: Command) => {
      const { checkAccess } = await import('../../appliance/check-access.ts')
      const { allowed, reason } = await checkAccess(
        { user, groups: flags.group, name, action },
        await configOfServer(command, context),
      )
      if (allowed || flags.json === true) {
        printResult(context, flags, { allowed, reason }, line`${reason}`)
      }
      if (!allowed) {
        throw new DeniedError(reason)
      }
    })
}
