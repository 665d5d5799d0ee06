import type { Command } from 'commander'
import type { RestoreProgress, RestoreResult } from '../../client/appliance/appliance-client.ts'
import { addAdminFlags, openAdministration, type AdminFlags } from '../flags/admin-flags.ts'
import type { CliContext } from '../process/context.ts'
import { runCommand } from '../process/run-command.ts'
import { formatSize } from '../output/table.ts'

interface Flags extends AdminFlags {
  root?: string
}

export function addRestoreCommand(program: Command, context: CliContext): void {
  addAdminFlags(program.command('restore'))
    .description('Fill an empty appliance from backups')
    .argument('<backup...>', 'directories or files of `ipdr backup`, the oldest first; the last is what is restored')
    .option('--root <cid>', 'of an earlier state, as ipdr backup printed it')
    .action(async (sources: string[], flags: Flags) => {
      await runCommand(context, async signal => {
        const [{ appliance }, { restore }] = await Promise.all([
          openAdministration(flags, context),
          import('../../client/backup/restore.ts'),
        ])
        const result = await restore(
          appliance,
          {
            sources,
            root: flags.root,
            onProgress: progress => {
              show(progress, context, flags)
            },
            onProblem: ({ path, problem }) => {
              context.stderr.write(`backup ${path}: ${problem}\n`)
            },
          },
          { signal },
        )
        context.stdout.write(
          flags.json === true ? `${JSON.stringify(result)}\n` : `${describe(result)}\n${result.root}\n`,
        )
      })
    })
}

function show(
  { phase, blocks, bytes, repositories }: RestoreProgress,
  { stderr }: CliContext,
  { json }: AdminFlags,
): void {
  if (json !== true) {
    const what = {
      blocks: 'storing',
      digests: `checking: ${repositories} repositories`,
      index: `opening: ${repositories} repositories`,
    }[phase]
    stderr.write(`${what}, ${blocks} blocks of ${formatSize(bytes)} came\n`)
  }
}

function describe({ repositories, tags, manifests, blobs, bytes, seconds }: RestoreResult): string {
  return `Restored ${repositories} repositories with ${tags} tags, ${manifests} manifests and ${blobs} blobs from ${formatSize(bytes)} (${seconds} s)`
}
