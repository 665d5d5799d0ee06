import { Option, type Command } from 'commander'
import type { FsckProgress, FsckResult } from '../../client/appliance/appliance-client.ts'
import { ClientError } from '../../remote/errors.ts'
import { addAdminFlags, openAdministration, type AdminFlags } from '../flags/admin-flags.ts'
import { sizeOrOff } from '../flags/option-values.ts'
import { line } from '../output/printable.ts'
import type { ProgressState } from '../output/progress.ts'
import { printResult, withProgress } from '../output/results.ts'
import { formatSize } from '../output/table.ts'
import type { CliContext } from '../process/context.ts'
import { runCommand } from '../process/run-command.ts'
import { rebuildIndex } from './fsck-rebuild.ts'

interface Flags extends AdminFlags {
  repair: boolean
  dryRun?: true
  rate?: number
  rebuild?: true
  waive?: true
}

/** Blocks that are listed of one image */
const maxListed = 3

export function addFsckCommand(program: Command, context: CliContext): void {
  addAdminFlags(program.command('fsck'))
    .description('Check and repair everything that an appliance has stored, while it keeps serving')
    .option('--no-repair', 'only print what is wrong')
    .addOption(new Option('--dry-run').hideHelp())
    .option(
      '--rate <size>',
      'bytes to read a second, such as 50MiB; off means unlimited (default: fsck.rate of the server)',
      sizeOrOff,
    )
    .option('--rebuild', 'rebuild an index that was lost, from the blocks and the files of the tags')
    .option('--waive', 'with --rebuild: declare the index complete; what it does not know becomes garbage')
    .action(async (flags: Flags) => {
      await runCommand(context, async signal => {
        const run = flags.rebuild === true ? rebuildIndex : check
        await run(flags, context, { signal }).catch(explain)
      })
    })
}

/** @throws ClientError if something stays damaged or missing */
async function check(flags: Flags, context: CliContext, options: { signal: AbortSignal }): Promise<void> {
  const { appliance } = await openAdministration(flags, context)
  const init = { repair: flags.repair && flags.dryRun !== true, rate: flags.rate }
  const result = await withProgress(
    context,
    flags,
    state,
    async onProgress => await appliance.fsck(init, onProgress, options),
  )
  printResult(context, flags, result, summary(result))
  if (result.images.length + result.others.length + result.unlisted > 0) {
    throw new ClientError('some images are damaged: push those that are listed again, or delete them')
  }
}

function explain(err: unknown): never {
  const { cause } = err as { cause?: { cause?: NodeJS.ErrnoException } }
  const isRefused = err instanceof ClientError && cause?.cause?.code === 'ECONNREFUSED'
  throw isRefused
    ? new ClientError(err.message, {
        cause: err,
        hint: 'fsck runs in the server: start one by `ipdr server --data-dir DIRECTORY`.',
      })
    : err
}

function state({ phase, blocks, bytes, bad, repaired, total }: FsckProgress): ProgressState {
  const step = { index: 'blocks of the index', blocks: 'other blocks', repair: `${repaired} repaired` }[phase]
  const wrong = bad === 0 ? '' : `, ${bad} ${phase === 'repair' ? 'were' : 'are'} not`
  const text = `${step}: ${blocks} blocks (${formatSize(bytes)}) are right${wrong}`
  return { text, step: phase, bytes, hasSize: true, total: phase === 'repair' ? undefined : total }
}

function summary(result: FsckResult): string {
  const { blocks, bytes, missing, damaged, repair, repaired, unneeded, unlisted, seconds } = result
  const lines = [
    ...result.images.map(
      ({ repository, digest, tags, ...hurt }) =>
        `${repository}@${digest}${tags.length === 0 ? '' : ` (${tags.join(', ')})`}: ${reason(hurt)}`,
    ),
    ...result.others.map(({ what, ...hurt }) => `${what}: ${reason(hurt)}`),
    ...(unlisted === 0 ? [] : [`and ${unlisted} more`]),
    `${blocks} blocks (${formatSize(bytes)}) are right; ${missing} ${repair ? 'were' : 'are'} missing and ` +
      `${damaged} damaged, ${repaired} of them repaired; ${unneeded} damaged ones are not needed (${seconds} s)`,
  ]
  return lines.map(text => line`${text}`).join('')
}

function reason({ blocks, problem }: { blocks: string[]; problem?: string }): string {
  const listed = [
    ...blocks.slice(0, maxListed),
    ...(blocks.length > maxListed ? [`${blocks.length - maxListed} more`] : []),
  ]
  return [
    ...(problem === undefined ? [] : [problem]),
    ...(blocks.length === 0 ? [] : [`missing or damaged: ${listed.join(', ')}`]),
  ].join('; ')
}
