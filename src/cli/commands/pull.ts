import { type Command, Option } from 'commander'
import { createLog } from '../../log.ts'
import { defaultIpfsHost, defaultRegistryHost } from '../flags/default-hosts.ts'
import { dockerLogIns } from '../flags/log-ins.ts'
import { state } from '../flags/option-values.ts'
import { showCopyProgress } from '../output/copy-progress.ts'
import { line } from '../output/printable.ts'
import { printCopied } from '../output/results.ts'
import type { CliContext } from '../process/context.ts'
import { runCommand } from '../process/run-command.ts'

interface PullFlags {
  silent?: true
  quiet?: true
  output?: string
  platform?: string
  at?: number | string
  ipfsHost?: string
  ipfsGateway?: string
  dockerRegistryHost: string
  network: 'public' | 'lan'
  peer: string[]
  plainHttp?: true
  json?: true
}

const footer = `
IMAGE is a CID (bafy..., Qm..., ciq..., /ipfs/...), an IPNS name (k51..., /ipns/...) or the name of an image of the
appliance. A CID or IPNS name is pulled from the kubo of --ipfs-host or the gateway of --ipfs-gateway if one is given.
Otherwise ipdr tries, in this order: the appliance, a kubo at ${defaultIpfsHost}, an IPFS node of its own for this pull.
Everything that comes is checked against its digest.
With --at, an appliance gives what it remembers (history.keep), deleted images too, to those who may pull.`

export function addPullCommand(program: Command, context: CliContext): void {
  program
    .command('pull')
    .description('Pull an image into the Docker Engine or into files, and print its name')
    .argument('<image>', 'CID, IPNS name or name of the image')
    .option('-s, --silent', 'print the name only')
    .option('--quiet', 'the same as --silent')
    .option('--output <path>', 'write an OCI image layout to this directory, or an archive of one to this file (.tar)')
    .option(
      '--platform <platform>',
      'pull only this platform, such as linux/arm64 (default: that of the Docker Engine; all with --output)',
    )
    .option('--at <state>', 'pull what the name led to in this state or then: 2h (ago), 2026-11-30T14:00:00Z', state)
    .option('--docker-registry-host <host>', 'pull from this appliance', defaultRegistryHost)
    .option('--ipfs-host <host>', 'pull from the kubo with this RPC API: host:port, URL or multiaddr')
    .option('-g, --ipfs-gateway <url>', 'pull from this gateway, block by block')
    .addOption(
      new Option('--network <profile>', 'network profile of an IPFS node that runs for the pull')
        .choices(['public', 'lan'])
        .default('public'),
    )
    .addOption(
      new Option('--peer <multiaddr>', 'a peer for that node that has the image (repeatable)')
        .argParser((value: string, all: string[]) => [...all, value])
        .default([], 'none'),
    )
    .option('--plain-http', 'allow registries without TLS; localhost and loopback addresses always are')
    .option('--json', 'print JSON')
    .addHelpText('after', footer)
    .action(async (image: string, flags: PullFlags) => {
      await runCommand(context, async signal => {
        await run(image, flags, context, signal)
      })
    })
}

async function run(image: string, flags: PullFlags, context: CliContext, signal: AbortSignal): Promise<void> {
  const silent = flags.silent === true || flags.quiet === true
  const [{ pull }, { parsePlatform }] = await Promise.all([
    import('../../client/transfer/pull.ts'),
    import('../../client/images/select-platform.ts'),
  ])
  const { missing, name } = await (async () => {
    using progress = showCopyProgress(context, { silent: silent || flags.json === true })
    return await pull(
      {
        image,
        output: flags.output,
        at: flags.at,
        platform: flags.platform === undefined ? undefined : parsePlatform(flags.platform),
        registryHost: flags.dockerRegistryHost,
        ipfsHost: flags.ipfsHost,
        defaultIpfsHost,
        ipfsGateway: flags.ipfsGateway,
        network: flags.network,
        peers: flags.peer,
        plainHttp: flags.plainHttp === true,
        credentials: dockerLogIns(context),
        onSource: progress.from,
        log: createLog({ level: 'error', format: 'human', stream: context.stderr }),
      },
      { signal, progress },
    )
  })()
  const text = silent ? line`${name}` : line`Successfully pulled Docker image from IPFS:\n${name}`
  printCopied(context, { ...flags, silent }, { result: { image, name }, missing, text })
}
