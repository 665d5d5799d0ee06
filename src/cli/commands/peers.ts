import type { Command } from 'commander'
import { addAdminFlags, openAdministration, type AdminFlags } from '../flags/admin-flags.ts'
import type { CliContext } from '../process/context.ts'
import { line } from '../output/printable.ts'
import { printResult } from '../output/results.ts'
import { runCommand } from '../process/run-command.ts'
import { table } from '../output/table.ts'
import { addPeersTrustCommand } from './peers-trust.ts'

export function addPeersCommand(program: Command, context: CliContext): void {
  const peers = addAdminFlags(program.command('peers'))
    .description('List the peers that an appliance is connected to')
    .action(async (flags: AdminFlags) => {
      await runCommand(context, async signal => {
        await list(flags, context, signal)
      })
    })
  addAdminFlags(peers.command('connect'))
    .description('Connect an appliance to a peer')
    .argument('<multiaddr>', 'address of the peer, with its peer id: /ip4/.../tcp/4001/p2p/...')
    .action(async (address: string, _: AdminFlags, command: Command) => {
      // the flags may stand before or after the word `connect`
      const flags = command.optsWithGlobals<AdminFlags>()
      await runCommand(context, async signal => {
        const { appliance } = await openAdministration(flags, context)
        const peer = await appliance.connect(address, { signal })
        printResult(context, flags, { peer }, line`connected to ${peer}`)
      })
    })
  addPeersTrustCommand(peers, context)
}

async function list(flags: AdminFlags, context: CliContext, signal: AbortSignal): Promise<void> {
  const { appliance } = await openAdministration(flags, context)
  const peers = await appliance.peers({ signal })
  const rows = peers.map(({ address, direction, latency, limited, peer }) => {
    return [
      peer,
      limited ? `${direction}, relayed` : direction,
      latency === undefined ? '-' : `${Math.round(latency)} ms`,
      address,
    ]
  })
  printResult(context, flags, peers, table([['PEER', 'DIRECTION', 'LATENCY', 'ADDRESS'], ...rows]))
}
