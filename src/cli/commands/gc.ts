import type { Command } from 'commander'
import type { CollectionProgress, CollectionResult } from '../../client/appliance/appliance-client.ts'
import { addAdminFlags, openAdministration, type AdminFlags } from '../flags/admin-flags.ts'
import { parseDuration } from '../../config/units.ts'
import type { CliContext } from '../process/context.ts'
import { jsonLine, line } from '../output/printable.ts'
import { runCommand } from '../process/run-command.ts'
import { formatSize } from '../output/table.ts'
import { UsageError } from '../process/errors.ts'

interface Flags extends AdminFlags {
  dryRun?: true
  grace?: string
}

export function addGcCommand(program: Command, context: CliContext): void {
  addAdminFlags(program.command('gc'))
    .description('Collect the garbage of an appliance while it goes on')
    .option('--dry-run', 'delete nothing, only say what would be')
    .option(
      '--grace <duration>',
      'what nothing needs goes if it is older than this; shortens gc.grace, gc.unreferenced and gc.uploads',
    )
    .action(async (flags: Flags) => {
      const grace = flags.grace === undefined ? undefined : parseDuration(flags.grace)
      if (flags.grace !== undefined && grace === undefined) {
        throw new UsageError(`--grace must be a duration such as 5m, got ${flags.grace}`)
      }
      await runCommand(context, async signal => {
        const { appliance } = await openAdministration(flags, context)
        const dryRun = flags.dryRun === true
        const result = await appliance.collect(
          { dryRun, grace },
          progress => {
            show(progress, context, flags)
          },
          { signal },
        )
        context.stdout.write(flags.json === true ? jsonLine(result) : line`${describe(result)}`)
      })
    })
}

function show({ phase, roots, blocks, bytes }: CollectionProgress, { stderr }: CliContext, { json }: Flags): void {
  if (json !== true) {
    const what = {
      index: 'looking through the index',
      mark: `${roots} roots marked`,
      sweep: `${roots} roots marked, ${blocks} blocks of ${formatSize(bytes)} found`,
    }[phase]
    stderr.write(line`${what}`)
  }
}

function describe({ dryRun, manifests, links, cached, blocks, bytes, seconds }: CollectionResult): string {
  return `${dryRun ? 'Would free' : 'Freed'} ${formatSize(bytes)} in ${blocks} blocks; ${manifests} untagged manifests, ${links} unused blobs and ${cached} cached images ${dryRun ? 'would go' : 'went'} (${seconds} s)`
}
