import type { Command } from 'commander'
import { addApplianceFlags, openAppliance, type ApplianceFlags } from '../appliance-flags.ts'
import type { CliContext } from '../context.ts'
import { jsonLine, line } from '../printable.ts'
import { runClient } from '../run-client.ts'

export function addPublishCommand (program: Command, context: CliContext): void {
  addApplianceFlags(program.command('publish'))
    .description('Publish the tags of an appliance under its IPNS name, and print the DNS record that leads to them')
    .action(async (flags: ApplianceFlags) => {
      await runClient(context, async signal => {
        const { appliance } = await openAppliance(flags, context)
        const { cid, name } = await appliance.publish({ signal })
        const record = `dnslink=/ipns/${name}/cids`
        context.stdout.write(flags.json === true
          ? jsonLine({ name, cid, record })
          : line`Published /ipfs/${cid} as /ipns/${name}\nFor a domain, set the TXT record of _dnslink.<domain>, once:\n${record}`)
      })
    })
}
