import type { Command } from 'commander'
import { parseName } from '../../oci/reference.ts'
import type { Fetching } from '../../remote/registry/distribution-api.ts'
import { addApplianceFlags, openAppliance, type ApplianceFlags } from '../flags/appliance-flags.ts'
import type { CliContext } from '../process/context.ts'
import { printResult } from '../output/results.ts'
import { runCommand } from '../process/run-command.ts'
import { formatShare, formatSize, table } from '../output/table.ts'

export function addLsCommand(program: Command, context: CliContext): void {
  addApplianceFlags(program.command('ls'))
    .description('List the tags of an appliance, with sizes and CIDs')
    .argument('[repository]', 'list only the tags of this repository')
    .action(async (repository: string | undefined, flags: ApplianceFlags) => {
      await runCommand(context, async signal => {
        await ls(repository, flags, context, signal)
      })
    })
}

async function ls(
  repository: string | undefined,
  flags: ApplianceFlags,
  context: CliContext,
  signal: AbortSignal,
): Promise<void> {
  const { listTags } = await import('../../client/registry/list-tags.ts')
  const { registry } = await openAppliance(flags, context, { onlyCached: true })
  const tags = await listTags(registry, repository === undefined ? undefined : parseName(repository), { signal })
  const isFetching = tags.some(({ fetching }) => fetching !== undefined)
  const rows = tags.map(({ cid, fetching, name, size, tag }) => [
    ...[name, tag, formatSize(size), cid ?? '-'],
    ...(isFetching ? [stateOf(fetching)] : []),
  ])
  const head = ['REPOSITORY', 'TAG', 'SIZE', 'CID', ...(isFetching ? ['STATE'] : [])]
  printResult(context, flags, tags, table([head, ...rows]))
}

function stateOf(fetching: Fetching | undefined): string {
  return fetching === undefined ? '-' : `fetching ${formatShare(fetching.here, fetching.size)}`
}
