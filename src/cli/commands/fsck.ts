import { InvalidArgumentError, Option, type Command } from 'commander'
import { ClientError } from '../../client/errors.ts'
import type { FsckProgress, FsckResult } from '../../client/appliance/appliance-client.ts'
import { parseSize } from '../../config/units.ts'
import { addAdminFlags, openAdministration, type AdminFlags } from '../flags/admin-flags.ts'
import type { CliContext } from '../process/context.ts'
import { rebuildIndex } from './fsck-rebuild.ts'
import { jsonLine, line } from '../output/printable.ts'
import { runCommand } from '../process/run-command.ts'
import { formatSize } from '../output/table.ts'

interface Flags extends AdminFlags {
  repair: boolean
  dryRun?: true
  rate?: number
  rebuild?: true
  waive?: true
}

/** Blocks that are named of one image */
const maxNamed = 3

export function addFsckCommand(program: Command, context: CliContext): void {
  addAdminFlags(program.command('fsck'))
    .description('Check and repair all that an appliance has stored, while it goes on')
    .option('--no-repair', 'only tell what is wrong')
    .addOption(new Option('--dry-run').hideHelp())
    .option(
      '--rate <size>',
      'bytes a second that are read, such as 50MiB; off: as many as there are (default: fsck.rate of the server)',
      parseRate,
    )
    .option('--rebuild', 'restore an index that was lost, from the blocks and the files of the tags')
    .option('--waive', 'with --rebuild: take the index as it is; what it does not know becomes garbage')
    .action(async (flags: Flags) => {
      await runCommand(context, async signal => {
        if (flags.rebuild === true) {
          await rebuildIndex(flags, context, { signal }).catch(explain)
          return
        }
        const { appliance } = await openAdministration(flags, context)
        const result = await appliance
          .fsck(
            { repair: flags.repair && flags.dryRun !== true, rate: flags.rate },
            progress => {
              show(progress, context, flags)
            },
            { signal },
          )
          .catch(explain)
        context.stdout.write(flags.json === true ? jsonLine(result) : describe(result))
        const hurt = result.images.length + result.others.length + result.unlisted
        if (hurt > 0) {
          throw new ClientError('not all is well: push the images that are listed again, or delete them')
        }
      })
    })
}

function explain(err: unknown): never {
  const { cause } = err as { cause?: { cause?: NodeJS.ErrnoException } }
  const isRefused = err instanceof ClientError && cause?.cause?.code === 'ECONNREFUSED'
  throw isRefused
    ? new ClientError(err.message, {
        cause: err,
        hint: 'The check runs in the server: start one by `ipdr server --data-dir DIRECTORY`.',
      })
    : err
}

function parseRate(text: string): number {
  const rate = text === 'off' ? 0 : parseSize(text)
  if (rate === undefined) {
    throw new InvalidArgumentError('It is a size such as 50MiB, or off.')
  }
  return rate
}

function show({ phase, blocks, bytes, bad, repaired }: FsckProgress, { stderr }: CliContext, { json }: Flags): void {
  if (json !== true) {
    const what = { index: 'what the index leads to', blocks: 'other blocks', repair: `${repaired} repaired` }[phase]
    stderr.write(
      line`${what}: ${blocks} blocks of ${formatSize(bytes)} are right${bad === 0 ? '' : `, ${bad} ${phase === 'repair' ? 'were' : 'are'} not`}`,
    )
  }
}

function describe({
  images,
  others,
  unlisted,
  blocks,
  bytes,
  missing,
  damaged,
  repair,
  repaired,
  unneeded,
  seconds,
}: FsckResult): string {
  const lines = [
    ...images.map(
      ({ repository, digest, tags, ...hurt }) =>
        `${repository}@${digest}${tags.length === 0 ? '' : ` (${tags.join(', ')})`}: ${reason(hurt)}`,
    ),
    ...others.map(({ what, ...hurt }) => `${what}: ${reason(hurt)}`),
    ...(unlisted === 0 ? [] : [`and ${unlisted} more`]),
    `${blocks} blocks of ${formatSize(bytes)} are right; ${missing} ${repair ? 'were' : 'are'} missing and ${damaged} damaged, ${repaired} of them repaired; ${unneeded} damaged that nothing needs (${seconds} s)`,
  ]
  return lines.map(text => line`${text}`).join('')
}

function reason({ blocks, problem }: { blocks: string[]; problem?: string }): string {
  const named = [
    ...blocks.slice(0, maxNamed),
    ...(blocks.length > maxNamed ? [`${blocks.length - maxNamed} more`] : []),
  ]
  return [
    ...(problem === undefined ? [] : [problem]),
    ...(blocks.length === 0 ? [] : [`bad: ${named.join(', ')}`]),
  ].join('; ')
}
