import { Argument, type Command } from 'commander'
import type { ReadOnlyAnswer } from '../../client/appliance/appliance-client.ts'
import { addAdminFlags, openAdministration, type AdminFlags } from '../flags/admin-flags.ts'
import type { CliContext } from '../process/context.ts'
import { UsageError } from '../process/errors.ts'
import { line } from '../output/printable.ts'
import { printResult } from '../output/results.ts'
import { runCommand } from '../process/run-command.ts'

interface Flags extends AdminFlags {
  reason?: string
}

export function addReadOnlyCommand(program: Command, context: CliContext): void {
  addAdminFlags(program.command('read-only'))
    .description(
      'Have an appliance refuse pushes and deletes, or take them again; without on or off, tell which it does',
    )
    .addArgument(new Argument('[state]', 'on or off').choices(['on', 'off']))
    .option('--reason <text>', 'what clients are told')
    .action(async (state: 'on' | 'off' | undefined, flags: Flags) => {
      const { reason } = flags
      if (reason !== undefined && state !== 'on') {
        throw new UsageError('--reason is for "read-only on"')
      }
      await runCommand(context, async signal => {
        const { appliance } = await openAdministration(flags, context)
        const change = state === undefined ? undefined : { on: state === 'on', reason }
        const answer = await appliance.readOnly(change, { signal })
        printResult(context, flags, answer, textOf(answer))
      })
    })
}

function textOf({ pending, readOnly, reason, since }: ReadOnlyAnswer): string {
  if (!readOnly) {
    return line`takes writes`
  }
  return [
    line`read-only since ${since}${reason === undefined ? '' : `: ${reason}`}`,
    ...(pending === 0 ? [] : [line`${pending} writes are still under way`]),
  ].join('')
}
