import type { Command } from 'commander'
import type { RestoreProgress, RestoreResult } from '../../client/appliance/appliance-client.ts'
import { addAdminFlags, openAdministration, type AdminFlags } from '../flags/admin-flags.ts'
import type { CliContext } from '../process/context.ts'
import { runCommand } from '../process/run-command.ts'
import { line } from '../output/printable.ts'
import type { ProgressState } from '../output/progress.ts'
import { printResult, withProgress } from '../output/results.ts'
import { formatSize } from '../output/table.ts'

interface Flags extends AdminFlags {
  root?: string
}

export function addRestoreCommand(program: Command, context: CliContext): void {
  addAdminFlags(program.command('restore'))
    .description('Fill an empty appliance from backups')
    .argument('<backup...>', 'directories or files of `ipdr backup`, the oldest first; the last one is restored')
    .option('--root <cid>', 'restore an earlier state instead, by the root that ipdr backup printed')
    .action(async (sources: string[], flags: Flags) => {
      await runCommand(context, async signal => {
        const [{ appliance }, { restore }] = await Promise.all([
          openAdministration(flags, context),
          import('../../client/backup/restore.ts'),
        ])
        let total = 0
        const result = await withProgress(
          context,
          flags,
          (progress: RestoreProgress) => state(progress, total),
          async onProgress =>
            await restore(
              appliance,
              {
                sources,
                root: flags.root,
                onProgress,
                onSize: bytes => {
                  total = bytes
                },
                onProblem: ({ path, problem }) => {
                  context.stderr.write(line`backup ${path}: ${problem}`)
                },
              },
              { signal },
            ),
        )
        printResult(context, flags, result, line`${summary(result)}` + line`${result.root}`)
      })
    })
}

/** @param total bytes of the files */
function state({ phase, blocks, bytes, repositories }: RestoreProgress, total: number): ProgressState {
  const step = {
    blocks: 'storing blocks',
    digests: `checking ${repositories} repositories`,
    index: `opening ${repositories} repositories`,
  }[phase]
  const text = `${step}: ${blocks} blocks (${formatSize(bytes)}) received`
  return phase === 'blocks'
    ? { text, step: phase, bytes, hasSize: true, total: total > bytes ? total : undefined }
    : { text, step: phase }
}

function summary({ repositories, tags, manifests, blobs, bytes, seconds }: RestoreResult): string {
  const what = `${repositories} repositories with ${tags} tags, ${manifests} manifests and ${blobs} blobs`
  return `Restored ${what} from ${formatSize(bytes)} (${seconds} s)`
}
