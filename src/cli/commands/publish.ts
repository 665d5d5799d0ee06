import type { Command } from 'commander'
import { addAdminFlags, openAdministration, type AdminFlags } from '../flags/admin-flags.ts'
import type { CliContext } from '../process/context.ts'
import { line } from '../output/printable.ts'
import { printResult } from '../output/results.ts'
import { runCommand } from '../process/run-command.ts'

export function addPublishCommand(program: Command, context: CliContext): void {
  addAdminFlags(program.command('publish'))
    .description('Publish the tags of an appliance under its IPNS name, and print the DNS record that leads to them')
    .action(async (flags: AdminFlags) => {
      await runCommand(context, async signal => {
        const { appliance } = await openAdministration(flags, context)
        const { cid, name } = await appliance.publish({ signal })
        const record = `dnslink=/ipns/${name}/cids`
        const text = [
          line`Published /ipfs/${cid} as /ipns/${name}`,
          line`To use a domain instead, set the TXT record of _dnslink.<domain> once:`,
          line`${record}`,
        ]
        printResult(context, flags, { name, cid, record }, text.join(''))
      })
    })
}
