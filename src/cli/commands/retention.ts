import type { Command } from 'commander'
import type { RetentionDecision, RetentionProgress, RetentionResult } from '../../client/appliance/appliance-client.ts'
import { addAdminFlags, openAdministration, type AdminFlags } from '../flags/admin-flags.ts'
import { line } from '../output/printable.ts'
import type { ProgressState } from '../output/progress.ts'
import { printResult, withProgress } from '../output/results.ts'
import { table } from '../output/table.ts'
import type { CliContext } from '../process/context.ts'
import { runCommand } from '../process/run-command.ts'

interface Flags extends AdminFlags {
  dryRun?: true
}

export function addRetentionCommand(program: Command, context: CliContext): void {
  addAdminFlags(program.command('retention'))
    .description('Delete the images of an appliance that its retention rules let go')
    .option('--dry-run', 'delete nothing, only print what would go and what would stay, and why')
    .action(async (flags: Flags) => {
      await runCommand(context, async signal => {
        const { appliance } = await openAdministration(flags, context)
        const decisions: RetentionDecision[] = []
        const result = await withProgress(
          context,
          flags,
          state,
          async onProgress =>
            await appliance.retain(
              { dryRun: flags.dryRun === true },
              onProgress,
              some => {
                for (const decision of some) {
                  decisions.push(decision)
                }
              },
              { signal },
            ),
        )
        printResult(context, flags, { ...result, decisions }, listing(decisions, result) + line`${summary(result)}`)
      })
    })
}

function state({ manifests, repositories, tags }: RetentionProgress): ProgressState {
  return { text: `${repositories} repositories: ${tags} tags and ${manifests} manifests to delete` }
}

/** What goes, then, in a dry run, what stays */
function listing(decisions: readonly RetentionDecision[], { dryRun }: RetentionResult): string {
  const shown = (['delete', 'keep'] as const)
    .slice(0, dryRun ? 2 : 1)
    .flatMap(wanted => decisions.filter(({ action }) => action === wanted))
  return table(
    shown.map(({ action, digest, repository, tag, why }) => [
      action,
      `${repository}${tag === undefined ? `@${digest}` : `:${tag}`}`,
      why,
    ]),
  )
}

function summary({ dryRun, keptTags, manifests, repositories, seconds, tags }: RetentionResult): string {
  const what = `${tags} tags and ${manifests} manifests of ${repositories} repositories that a rule is about`
  return `${dryRun ? 'Would delete' : 'Deleted'} ${what}; ${keptTags} tags stay (${seconds} s)`
}
