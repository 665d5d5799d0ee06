import type { Command } from 'commander'
import type { SignatureCounts, SignatureDecision } from '../../client/appliance/appliance-client.ts'
import { addAdminFlags, openAdministration, type AdminFlags } from '../flags/admin-flags.ts'
import { line } from '../output/printable.ts'
import { printResult, withProgress } from '../output/results.ts'
import { table } from '../output/table.ts'
import type { CliContext } from '../process/context.ts'
import { runCommand } from '../process/run-command.ts'

const order = ['refuse', 'unsigned', 'pass'] as const

export function addSignaturesCommand(program: Command, context: CliContext): void {
  addAdminFlags(program.command('signatures'))
    .description('List which images the onlySigned policies of an appliance refuse and let through, and why')
    .action(async (flags: AdminFlags) => {
      await runCommand(context, async signal => {
        const { appliance } = await openAdministration(flags, context)
        const decisions: SignatureDecision[] = []
        const result = await withProgress(
          context,
          flags,
          (counts: SignatureCounts) => ({ text: summary(counts) }),
          async onProgress =>
            await appliance.signatures(
              onProgress,
              some => {
                for (const decision of some) {
                  decisions.push(decision)
                }
              },
              { signal },
            ),
        )
        printResult(context, flags, { ...result, decisions }, listing(decisions) + line`${summary(result)}`)
      })
    })
}

function listing(decisions: readonly SignatureDecision[]): string {
  const shown = order.flatMap(wanted => decisions.filter(({ action }) => action === wanted))
  return table(shown.map(({ action, repository, tag, why }) => [action, `${repository}:${tag}`, why]))
}

function summary({ pass, refuse, repositories, unsigned }: SignatureCounts): string {
  const tags = `${refuse} refused, ${unsigned} unsigned, ${pass} signed`
  return `${tags}, in ${repositories} repositories that a policy is about`
}
