import type { Command } from 'commander'
import type { CloudEvent } from '../../client/appliance/event-stream.ts'
import { ClientError } from '../../remote/errors.ts'
import { addAdminFlags, openAdministration, type AdminFlags } from '../flags/admin-flags.ts'
import { jsonLine, line } from '../output/printable.ts'
import { printResult } from '../output/results.ts'
import type { CliContext } from '../process/context.ts'
import { runCommand } from '../process/run-command.ts'

interface Flags extends AdminFlags {
  since?: string
  /** False with `--no-follow` */
  follow: boolean
}

export function addEventsCommand(program: Command, context: CliContext): void {
  const events = addAdminFlags(program.command('events'))
    .description('Print what happens in an appliance, one event a line, until it is interrupted')
    .option('--since <id>', 'begin after this event of the history')
    .option('--no-follow', 'end after what is in the history')
    .action(async (flags: Flags) => {
      await runCommand(context, async signal => {
        await print(flags, context, signal)
      })
    })
  addAdminFlags(events.command('resend'))
    .description('Have an appliance send events of its history to its webhooks again')
    .argument('<id...>', 'ids of events, as ipdr events prints them')
    .option('--webhook <name>', 'send them to this webhook alone (default: to all that want them)')
    .action(async (ids: string[], _: AdminFlags, command: Command) => {
      // the flags may stand before or after the word `resend`
      const flags = command.optsWithGlobals<AdminFlags & { webhook?: string }>()
      await runCommand(context, async signal => {
        const { connection } = await openAdministration(flags, context)
        const { resendEvents } = await import('../../client/appliance/event-stream.ts')
        const queued = await resendEvents(connection, { ids, webhook: flags.webhook }, { signal })
        printResult(context, flags, { queued }, line`${queued} queued`)
      })
    })
}

/** @throws ClientError where the appliance stops sending */
async function print({ follow, since, ...flags }: Flags, context: CliContext, signal: AbortSignal): Promise<void> {
  const { connection } = await openAdministration(flags, context)
  const { readEvents } = await import('../../client/appliance/event-stream.ts')
  let last = since
  for await (const event of readEvents(connection, { since, live: follow, signal })) {
    last = event.id
    context.stdout.write(flags.json === true ? jsonLine(event) : line`${textOf(event)}`)
  }
  if (follow) {
    throw new ClientError(`${connection.host} stopped sending events`, {
      ...(last === undefined ? {} : { hint: `--since ${last} goes on from there, where the server keeps a history.` }),
    })
  }
}

function textOf({ data, id, subject, time, type }: CloudEvent): string {
  const { actor, digest, previous, reason, tag } = data
  const parts = [
    ...[time, type.replace(/^ipdr\./, ''), subject],
    tag === undefined ? undefined : digest,
    previous === undefined ? undefined : `was ${previous}`,
    actor === undefined ? undefined : `by ${String(actor)}`,
    reason === undefined ? undefined : `(${reason})`,
    id,
  ]
  return parts.filter(part => part !== undefined).join(' ')
}
