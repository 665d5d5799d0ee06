import type { Command } from 'commander'
import { addApplianceFlags, openAppliance, type ApplianceFlags } from '../appliance-flags.ts'
import type { CliContext } from '../context.ts'
import { jsonLine, line } from '../printable.ts'
import { runClient } from '../run-client.ts'
import { table } from '../table.ts'

export function addPeersCommand (program: Command, context: CliContext): void {
  const peers = addApplianceFlags(program.command('peers'))
    .description('List the peers that an appliance is connected to')
    .action(async (flags: ApplianceFlags) => {
      await runClient(context, async signal => { await list(flags, context, signal) })
    })
  addApplianceFlags(peers.command('connect'))
    .description('Connect an appliance to a peer')
    .argument('<multiaddr>', 'its address, with the peer id: /ip4/.../tcp/4001/p2p/...')
    .action(async (address: string, _: ApplianceFlags, command: Command) => {
      // the same flags before and behind the word
      const flags = command.optsWithGlobals<ApplianceFlags>()
      await runClient(context, async signal => {
        const { appliance } = await openAppliance(flags, context)
        const peer = await appliance.connect(address, { signal })
        context.stdout.write(flags.json === true ? jsonLine({ peer }) : line`connected to ${peer}`)
      })
    })
}

async function list (flags: ApplianceFlags, context: CliContext, signal: AbortSignal): Promise<void> {
  const { appliance } = await openAppliance(flags, context)
  const peers = await appliance.peers({ signal })
  const rows = peers.map(({ address, direction, latency, limited, peer }) => {
    return [peer, limited ? `${direction}, relayed` : direction, latency === undefined ? '-' : `${Math.round(latency)} ms`, address]
  })
  context.stdout.write(flags.json === true ? jsonLine(peers) : table([['PEER', 'DIRECTION', 'LATENCY', 'ADDRESS'], ...rows]))
}
