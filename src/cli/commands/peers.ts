import type { Command } from 'commander'
import { addAdminFlags, openAdministration, type AdminFlags } from '../flags/admin-flags.ts'
import type { CliContext } from '../process/context.ts'
import { jsonLine, line } from '../output/printable.ts'
import { runCommand } from '../process/run-command.ts'
import { table } from '../output/table.ts'

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
    .argument('<multiaddr>', 'its address, with the peer id: /ip4/.../tcp/4001/p2p/...')
    .action(async (address: string, _: AdminFlags, command: Command) => {
      // the same flags before and behind the word
      const flags = command.optsWithGlobals<AdminFlags>()
      await runCommand(context, async signal => {
        const { appliance } = await openAdministration(flags, context)
        const peer = await appliance.connect(address, { signal })
        context.stdout.write(flags.json === true ? jsonLine({ peer }) : line`connected to ${peer}`)
      })
    })
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
  context.stdout.write(
    flags.json === true ? jsonLine(peers) : table([['PEER', 'DIRECTION', 'LATENCY', 'ADDRESS'], ...rows]),
  )
}
