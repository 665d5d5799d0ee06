import { type Command, Option } from 'commander'
import { dataDirectoryOf, type AdminFlags } from '../flags/admin-flags.ts'
import { duration } from '../flags/option-values.ts'
import { line } from '../output/printable.ts'
import { printResult } from '../output/results.ts'
import type { CliContext } from '../process/context.ts'

const day = 24 * 3600

interface TrustFlags extends AdminFlags {
  key?: string
}

interface SignFlags extends TrustFlags {
  groups: string[]
  expires: number
}

export function addPeersTrustCommand(peers: Command, context: CliContext): void {
  const trust = peers.command('trust').description('Certificates by which appliances of one operator know each other')
  keyOption(trust.command('init'))
    .description("Make an operator's key, and print the public key, which servers are to trust")
    .action(async (_: TrustFlags, command: Command) => {
      const { createOperatorKey } = await import('../../appliance/operator-key.ts')
      const flags = command.optsWithGlobals<TrustFlags>()
      const { file, publicKey } = await createOperatorKey(await placeOf(flags, context))
      context.stderr.write(line`Whoever has ${file} can let peers in. Under trust.keys in access.yml, servers trust:`)
      printResult(context, flags, { file, publicKey }, line`${publicKey}`)
    })
  keyOption(trust.command('sign'))
    .argument('<peer-id>', 'id of the node that the certificate is for, as its server prints it at the start')
    .addOption(
      new Option('--groups <groups>', 'groups that the node is in, separated by commas')
        .argParser(listOf)
        .default([], 'none'),
    )
    .addOption(
      new Option('--expires <duration>', 'how long it is valid').argParser(duration).default(365 * day, '365d'),
    )
    .description(
      "Sign a certificate, and print it: it belongs in the file peer-certificate of that node's data directory",
    )
    .action(async (peer: string, _: SignFlags, command: Command) => {
      const { signPeer } = await import('../../appliance/operator-key.ts')
      const flags = command.optsWithGlobals<SignFlags>()
      const { expires, groups } = flags
      const certificate = await signPeer({ ...(await placeOf(flags, context)), peer, groups, lifetime: expires })
      printResult(context, flags, { peer, groups, certificate }, line`${certificate}`)
    })
}

function keyOption(command: Command): Command {
  return command
    .option('--key <file>', "file with the operator's key (default: operator-key.json in the data directory)")
    .option('--json', 'print JSON')
}

/** @param flags with those of `peers`, which may stand before or after the words `trust sign` */
async function placeOf(flags: TrustFlags, context: CliContext): Promise<{ file: string | undefined; dataDir: string }> {
  return { file: flags.key, dataDir: await dataDirectoryOf(flags, context) }
}

function listOf(text: string): string[] {
  return text.split(',').filter(group => group !== '')
}
