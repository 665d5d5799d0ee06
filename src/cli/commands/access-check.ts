import { Argument, type Command } from 'commander'
import { actions, type Action } from '../../access/actions.ts'
import { addConfigFlags } from '../flags/config-flags.ts'
import { configOfServer } from '../flags/container-command.ts'
import { repeated } from '../flags/option-values.ts'
import { line } from '../output/printable.ts'
import type { CliContext } from '../process/context.ts'
import { DeniedError } from '../process/errors.ts'

export function addAccessCheckCommand(group: Command, context: CliContext): void {
  addConfigFlags(group.command('check'))
    .argument('<user>', 'name of a user, <issuer>:<name>, key:<name>, cert:<name> or anonymous')
    .argument('<repository>', 'name of a repository, with a tag if that matters')
    .addArgument(new Argument('<action>').choices(actions))
    .option('--group <group>', '<issuer>:<group> that the token of a user of an issuer tells of (repeatable)', repeated)
    .description('Tell whether the rules allow something, and which rule decides; exit code 1 where they do not')
    .action(
      async (user: string, name: string, action: Action, { group: groups }: { group?: string[] }, command: Command) => {
        const { checkAccess } = await import('../../appliance/check-access.ts')
        const { allowed, reason } = await checkAccess(
          { user, groups, name, action },
          await configOfServer(command, context),
        )
        if (!allowed) {
          throw new DeniedError(reason)
        }
        context.stdout.write(line`${reason}`)
      },
    )
}
