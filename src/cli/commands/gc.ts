import type { Command } from 'commander'
import type { CollectionProgress, CollectionResult } from '../../client/appliance-client.ts'
import { addApplianceFlags, openAppliance, type ApplianceFlags } from '../appliance-flags.ts'
import type { CliContext } from '../context.ts'
import { runClient } from '../run-client.ts'
import { formatSize } from '../table.ts'

interface Flags extends ApplianceFlags {
  dryRun?: true
}

export function addGcCommand (program: Command, context: CliContext): void {
  addApplianceFlags(program.command('gc'))
    .description('Collect the garbage of an appliance while it goes on')
    .option('--dry-run', 'delete nothing, only say what would be')
    .action(async (flags: Flags) => {
      await runClient(context, async signal => {
        const { appliance } = await openAppliance(flags, context)
        const dryRun = flags.dryRun === true
        const result = await appliance.collect(dryRun, progress => { show(progress, context, flags) }, { signal })
        context.stdout.write(flags.json === true ? `${JSON.stringify(result)}\n` : `${describe(result)}\n`)
      })
    })
}

function show ({ phase, roots, blocks, bytes }: CollectionProgress, { stderr }: CliContext, { json }: Flags): void {
  if (json !== true) {
    const what = { index: 'looking through the index', mark: `${roots} roots marked`, sweep: `${roots} roots marked, ${blocks} blocks of ${formatSize(bytes)} found` }[phase]
    stderr.write(`${what}\n`)
  }
}

function describe ({ dryRun, manifests, links, cached, blocks, bytes, seconds }: CollectionResult): string {
  return `${dryRun ? 'Would free' : 'Freed'} ${formatSize(bytes)} in ${blocks} blocks; ${manifests} untagged manifests, ${links} unused blobs and ${cached} cached images ${dryRun ? 'would go' : 'went'} (${seconds} s)`
}
