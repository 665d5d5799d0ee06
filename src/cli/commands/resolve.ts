import type { Command } from 'commander'
import { addAdminFlags, openAdministration, type AdminFlags } from '../flags/admin-flags.ts'
import type { CliContext } from '../process/context.ts'
import { line } from '../output/printable.ts'
import { printResult } from '../output/results.ts'
import { runCommand } from '../process/run-command.ts'

export function addResolveCommand(program: Command, context: CliContext): void {
  addAdminFlags(program.command('resolve'))
    .description('Ask an appliance what an IPNS name or a domain leads to')
    .argument('<name>', 'k51..., /ipns/... or a domain')
    .action(async (name: string, flags: AdminFlags) => {
      await runCommand(context, async signal => {
        const { appliance } = await openAdministration(flags, context)
        const { cid, path } = await appliance.resolve(name, { signal })
        printResult(context, flags, { name, cid, path }, line`${['/ipfs', cid, ...path].join('/')}`)
      })
    })
}
