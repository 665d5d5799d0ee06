import type { Command } from 'commander'
import type { Change } from '../../client/appliance/history-client.ts'
import { addAdminFlags, openAdministration, type AdminFlags } from '../flags/admin-flags.ts'
import { state, wholeNumber } from '../flags/option-values.ts'
import { line } from '../output/printable.ts'
import { printResult } from '../output/results.ts'
import { table } from '../output/table.ts'
import type { CliContext } from '../process/context.ts'
import { UsageError } from '../process/errors.ts'
import { runCommand } from '../process/run-command.ts'

interface Flags extends AdminFlags {
  limit: number
  at?: number | string
  forget?: true
}

/** Tags and manifests of one change that are named */
const maxNamed = 3

export function addHistoryCommand(program: Command, context: CliContext): void {
  addAdminFlags(program.command('history'))
    .description('List what has changed in an appliance and can be undone, the newest change first')
    .argument('[name]', 'only the changes of this repository, or of this tag: repository:tag')
    .option('--limit <number>', 'list at most so many changes', wholeNumber, 100)
    .option(
      '--at <state>',
      'list the tags that the repository had in this state or then: 2h (ago), 2026-11-30T14:00:00Z',
      state,
    )
    .option(
      '--forget',
      'forget all changes of the repository, which can not be undone then; the next gc frees what they deleted',
    )
    .action(async (name: string | undefined, flags: Flags) => {
      if (flags.forget === true && name === undefined) {
        throw new UsageError('--forget needs the name of a repository')
      }
      if (flags.at !== undefined && (name === undefined || flags.forget === true)) {
        throw new UsageError('--at needs the name of a repository or a tag, and no --forget')
      }
      await runCommand(context, async signal => {
        if (name !== undefined && flags.forget === true) {
          await forget(name, flags, context, signal)
        } else if (name !== undefined && flags.at !== undefined) {
          await listTags(name, flags.at, flags, context, signal)
        } else {
          await list(name, flags, context, signal)
        }
      })
    })
}

async function forget(name: string, flags: Flags, context: CliContext, signal: AbortSignal): Promise<void> {
  const { appliance } = await openAdministration(flags, context)
  const forgotten = await appliance.history.forget(name, { signal })
  printResult(context, flags, { forgotten }, line`${forgotten} changes of ${name} forgotten`)
}

async function listTags(
  name: string,
  at: number | string,
  flags: Flags,
  context: CliContext,
  signal: AbortSignal,
): Promise<void> {
  const { appliance } = await openAdministration(flags, context)
  const found = await appliance.history.tagsAt(name, at, { signal })
  const rows = found.tags.map(({ cid, deleted, digest, tag }) => [tag, digest, cid ?? '-', deleted ? 'yes' : 'no'])
  const [first] = found.tags.filter(({ deleted }) => deleted)
  const end =
    first === undefined
      ? ''
      : line`What is deleted is pulled by "ipdr pull ${found.repository}:${first.tag} --at ${found.state}".`
  const text =
    found.tags.length === 0
      ? line`There was no ${name.includes(':') ? 'tag' : 'tag of'} ${name} in state ${found.state}.`
      : `${table([['TAG', 'DIGEST', 'CID', 'DELETED'], ...rows])}${end}`
  printResult(context, flags, found, text)
}

async function list(name: string | undefined, flags: Flags, context: CliContext, signal: AbortSignal): Promise<void> {
  const { appliance } = await openAdministration(flags, context)
  const { changes, more } = await appliance.history.list({ name, limit: flags.limit }, { signal })
  const rows = changes.map(change => [
    String(change.state),
    change.time,
    change.action,
    change.by ?? '-',
    change.repository,
    whatChanged(change),
  ])
  const end = more ? line`Older changes are left out; --limit lists more.` : ''
  const text = `${table([['STATE', 'TIME', 'ACTION', 'BY', 'REPOSITORY', 'WHAT'], ...rows])}${end}`
  printResult(context, flags, { changes, more }, text)
}

/** Such as `v1: sha256:0123456789ab -> sha256:ba9876543210, deleted sha256:0123456789ab` */
function whatChanged({ action, blobs, manifests, tags }: Change): string {
  if (action === 'forget') {
    return 'what was before is forgotten'
  }
  const what = [
    ...tags.map(({ tag, before, after }) => `${tag}: ${short(before)} -> ${short(after)}`),
    ...manifests
      .filter(({ before, after }) => before === undefined || after === undefined)
      .map(({ digest, after }) => `${after === undefined ? 'deleted' : 'new'} ${short(digest)}`),
    ...blobs.map(digest => `deleted blob ${short(digest)}`),
  ]
  const more = what.length - maxNamed
  return `${what.slice(0, maxNamed).join(', ')}${more > 0 ? ` and ${more} more` : ''}`
}

/** A digest with as many characters as are enough to tell it from others */
export function short(digest: string | undefined): string {
  return digest === undefined ? 'none' : digest.slice(0, digest.indexOf(':') + 13)
}
