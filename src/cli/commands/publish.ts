import type { Command } from 'commander'
import { addAdminFlags, openAdministration, type AdminFlags } from '../flags/admin-flags.ts'
import type { CliContext } from '../process/context.ts'
import { jsonLine, line } from '../output/printable.ts'
import { runCommand } from '../process/run-command.ts'

export function addPublishCommand(program: Command, context: CliContext): void {
  addAdminFlags(program.command('publish'))
    .description('Publish the tags of an appliance under its IPNS name, and print the DNS record that leads to them')
    .action(async (flags: AdminFlags) => {
      await runCommand(context, async signal => {
        const { appliance } = await openAdministration(flags, context)
        const { cid, name } = await appliance.publish({ signal })
        const record = `dnslink=/ipns/${name}/cids`
        context.stdout.write(
          flags.json === true
            ? jsonLine({ name, cid, record })
            : line`Published /ipfs/${cid} as /ipns/${name}\nFor a domain, set the TXT record of _dnslink.<domain>, once:\n${record}`,
        )
      })
    })
}
