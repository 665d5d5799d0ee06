import type { Command } from 'commander'
import type { Differences, Undone } from '../../client/appliance/history-client.ts'
import { addAdminFlags, openAdministration, type AdminFlags } from '../flags/admin-flags.ts'
import { state } from '../flags/option-values.ts'
import { line } from '../output/printable.ts'
import { printResult } from '../output/results.ts'
import type { CliContext } from '../process/context.ts'
import { runCommand } from '../process/run-command.ts'
import { short } from './history.ts'

interface Flags extends AdminFlags {
  to?: number | string
  repository?: string
}

export function addUndoCommand(program: Command, context: CliContext): void {
  addAdminFlags(program.command('undo'))
    .description('Undo the last change of a tag or a repository of an appliance; an undo can be undone')
    .argument('<name>', 'the repository, or the tag: repository:tag')
    .option(
      '--to <state>',
      'make it as it was in this state, a number from "ipdr history", or then: 2h (ago), 2026-11-30T14:00:00Z',
      state,
    )
    .action(async (name: string, flags: Flags) => {
      await runCommand(context, async signal => {
        const { appliance } = await openAdministration(flags, context)
        const undone = await appliance.history.undo(name, flags.to, { signal })
        printResult(context, flags, undone, undoneText(name, undone))
      })
    })
}

export function addDiffCommand(program: Command, context: CliContext): void {
  addAdminFlags(program.command('diff'))
    .description('List what differs between two states of an appliance, which are numbers from "ipdr history" or times')
    .argument('<from>', 'the one state, or a time: 2h (ago), 2026-11-30T14:00:00Z', state)
    .argument('[to]', 'the other state (default: that of now)', state)
    .option('--repository <name>', 'compare only this repository')
    .action(async (from: number | string, to: number | string | undefined, flags: Flags) => {
      await runCommand(context, async signal => {
        const { appliance } = await openAdministration(flags, context)
        const differences = await appliance.history.diff({ from, to, name: flags.repository }, { signal })
        printResult(context, flags, differences, diffText(differences))
      })
    })
}

function undoneText(name: string, { removed, restored, tags, to }: Undone): string {
  const changed = tags.map(({ tag, before, after }) => line`${tag}: ${short(before)} -> ${short(after)}`).join('')
  const isSame = tags.length + restored.length + removed.length === 0
  const manifests = line`${restored.length} manifests are back, ${removed.length} are gone`
  return isSame
    ? line`${name} is as it was in state ${to}`
    : `${line`${name} is as it was in state ${to} again`}${changed}${manifests}`
}

function diffText({ from, manifests, tags, to }: Differences): string {
  const text = [
    ...tags.map(({ repository, tag, before, after }) => {
      return line`${repository}:${tag}: ${short(before)} -> ${short(after)}`
    }),
    ...manifests.map(({ repository, digest, before, after }) => {
      return line`${repository}@${digest}: ${before ?? 'none'} -> ${after ?? 'none'}`
    }),
  ].join('')
  return text === '' ? line`Nothing differs between state ${from} and state ${to}.` : text
}
