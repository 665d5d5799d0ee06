import type { Command } from 'commander'
import type { CollectionProgress, CollectionResult } from '../../client/appliance/appliance-client.ts'
import { addAdminFlags, openAdministration, type AdminFlags } from '../flags/admin-flags.ts'
import { duration } from '../flags/option-values.ts'
import { line } from '../output/printable.ts'
import type { ProgressState } from '../output/progress.ts'
import { printResult, withProgress } from '../output/results.ts'
import { formatSize } from '../output/table.ts'
import type { CliContext } from '../process/context.ts'
import { runCommand } from '../process/run-command.ts'

interface Flags extends AdminFlags {
  dryRun?: true
  grace?: number
}

export function addGcCommand(program: Command, context: CliContext): void {
  addAdminFlags(program.command('gc'))
    .description('Run the garbage collection of an appliance, which keeps serving')
    .option('--dry-run', 'delete nothing, only print what would be deleted')
    .option(
      '--grace <duration>',
      'delete garbage older than this; shortens gc.grace, gc.unreferenced and gc.uploads for this run',
      duration,
    )
    .action(async (flags: Flags) => {
      await runCommand(context, async signal => {
        const { appliance } = await openAdministration(flags, context)
        const init = { dryRun: flags.dryRun === true, grace: flags.grace }
        const result = await withProgress(
          context,
          flags,
          state,
          async onProgress => await appliance.collect(init, onProgress, { signal }),
        )
        printResult(context, flags, result, line`${summary(result)}`)
      })
    })
}

function state({ phase, roots, blocks, bytes, checked, total }: CollectionProgress): ProgressState {
  const texts = {
    index: 'reading the index',
    mark: `${roots} roots marked`,
    sweep: `${roots} roots marked, ${blocks} blocks (${formatSize(bytes)}) of garbage found`,
  }
  const items = {
    index: undefined,
    mark: { done: roots, name: 'roots' },
    // a server of an older version does not count them
    sweep: checked === undefined ? undefined : { done: checked, total, name: 'blocks' },
  }
  return { text: texts[phase], step: phase, items: items[phase] }
}

function summary({ dryRun, manifests, links, cached, blocks, bytes, seconds }: CollectionResult): string {
  const freed = `${dryRun ? 'Would free' : 'Freed'} ${formatSize(bytes)} in ${blocks} blocks`
  const what = `${manifests} untagged manifests, ${links} unused blobs and ${cached} cached images`
  return `${freed}; ${dryRun ? 'would delete' : 'deleted'} ${what} (${seconds} s)`
}
