import { type Command, Option } from 'commander'
import { dockerConfigFile } from '../../config/load.ts'
import { createLog } from '../../log.ts'
import type { CliContext } from '../process/context.ts'
import { defaultIpfsHost, defaultRegistryHost } from '../flags/default-hosts.ts'
import { showProgress } from '../output/copy-progress.ts'
import { line } from '../output/printable.ts'
import { runCommand } from '../process/run-command.ts'

interface PullFlags {
  silent?: true
  quiet?: true
  output?: string
  platform?: string
  ipfsHost?: string
  ipfsGateway?: string
  dockerRegistryHost: string
  network: 'public' | 'lan'
  peer: string[]
  plainHttp?: true
}

const footer = `
IMAGE is a CID (bafy..., Qm..., ciq..., /ipfs/...), an IPNS name (k51..., /ipns/...) or the name of an image of the appliance.
Without --ipfs-host and --ipfs-gateway, the appliance is asked for a CID, or where none answers a kubo at ${defaultIpfsHost},
or where none answers either an IPFS node that is started for this one pull.
Whatever comes from wherever is checked against its digest.`

export function addPullCommand(program: Command, context: CliContext): void {
  program
    .command('pull')
    .description('Pull an image into the Docker Engine or into files, and print its name')
    .argument('<image>', 'CID, IPNS name or name of the image')
    .option('-s, --silent', 'print the name only')
    .option('--quiet', 'as --silent')
    .option('--output <path>', 'write an OCI image layout to this directory, or an archive of one to this file (.tar)')
    .option(
      '--platform <platform>',
      'only this one, as in linux/arm64 (default: that of the Docker Engine; all of them with --output)',
    )
    .option('--docker-registry-host <host>', 'pull from the appliance there', defaultRegistryHost)
    .option('--ipfs-host <host>', 'pull from the kubo whose RPC API is there: host:port, URL or multiaddr')
    .option('-g, --ipfs-gateway <url>', 'pull from this gateway, block by block')
    .addOption(
      new Option('--network <profile>', 'of an IPFS node that is started for the pull')
        .choices(['public', 'lan'])
        .default('public'),
    )
    .addOption(
      new Option('--peer <multiaddr>', 'a peer of that node that has the image (repeatable)')
        .argParser((value: string, all: string[]) => [...all, value])
        .default([], 'none'),
    )
    .option('--plain-http', 'reach registries without TLS; localhost and loopback addresses are anyway')
    .addHelpText('after', footer)
    .action(async (image: string, flags: PullFlags) => {
      await runCommand(context, async signal => {
        await run(image, flags, context, signal)
      })
    })
}

async function run(image: string, flags: PullFlags, context: CliContext, signal: AbortSignal): Promise<void> {
  const silent = flags.silent === true || flags.quiet === true
  const [{ pull }, { readCredentials }, { parsePlatform }] = await Promise.all([
    import('../../client/transfer/pull.ts'),
    import('../../client/registry/docker-credentials.ts'),
    import('../../client/images/select-platform.ts'),
  ])
  const { missing, name } = await (async () => {
    using progress = showProgress(context, { silent })
    return await pull(
      {
        image,
        output: flags.output,
        platform: flags.platform === undefined ? undefined : parsePlatform(flags.platform),
        registryHost: flags.dockerRegistryHost,
        ipfsHost: flags.ipfsHost,
        defaultIpfsHost,
        ipfsGateway: flags.ipfsGateway,
        network: flags.network,
        peers: flags.peer,
        plainHttp: flags.plainHttp === true,
        credentials: async host => await readCredentials(dockerConfigFile(context.env), host),
        log: createLog({ level: 'error', format: 'human', stream: context.stderr }),
      },
      { signal, progress },
    )
  })()
  if (missing.length > 0 && !silent) {
    context.stderr.write(
      line`The image has not all that its index names; left out: ${missing.map(({ digest }) => digest).join(', ')}`,
    )
  }
  context.stdout.write(silent ? line`${name}` : line`Successfully pulled Docker image from IPFS:\n${name}`)
}
