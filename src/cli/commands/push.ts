import { InvalidArgumentError, type Command } from 'commander'
import type { CliContext } from '../process/context.ts'
import { dockerConfigFile } from '../../config/load.ts'
import { parseSize } from '../../config/units.ts'
import { defaultIpfsHost, defaultRegistryHost } from '../flags/default-hosts.ts'
import { showProgress } from '../output/copy-progress.ts'
import { line } from '../output/printable.ts'
import { runCommand } from '../process/run-command.ts'
import { startTemporaryRegistry } from '../process/temporary-registry.ts'

interface PushFlags {
  silent?: true
  quiet?: true
  ipfsHost?: string
  dockerRegistryHost: string
  from?: string
  maxUnpacked?: number
  plainHttp?: true
}

const footer = `
Without --from, the image comes from the Docker Engine. SOURCE is a directory (OCI image layout), a tar archive (OCI image layout or
docker save), or an image of a registry (registry.example/repository:tag), of which every platform is copied.
Without --ipfs-host, it goes to the appliance, or where none answers to a kubo at ${defaultIpfsHost}.`

export function addPushCommand(program: Command, context: CliContext): void {
  program
    .command('push')
    .description('Push an image to an appliance or to another IPFS node, and print its CID')
    .argument('<image>', 'name of the image')
    .option('-s, --silent', 'print the CID only')
    .option('--quiet', 'as --silent')
    .option('--ipfs-host <host>', 'push to the kubo whose RPC API is there: host:port, URL or multiaddr')
    .option('--docker-registry-host <host>', 'push to the appliance there', defaultRegistryHost)
    .option('--from <source>', 'where the image comes from')
    .option(
      '--max-unpacked <size>',
      'what an archive may unpack to, such as 10GiB (default: 100 times its size, but at least 64MiB)',
      parseUnpacked,
    )
    .option('--plain-http', 'reach registries without TLS; localhost and loopback addresses are anyway')
    .addHelpText('after', footer)
    .action(async (image: string, flags: PushFlags) => {
      await runCommand(context, async signal => {
        await run(image, flags, context, signal)
      })
    })
}

async function run(image: string, flags: PushFlags, context: CliContext, signal: AbortSignal): Promise<void> {
  const silent = flags.silent === true || flags.quiet === true
  const { push } = await import('../../client/transfer/push.ts')
  const { readCredentials } = await import('../../client/registry/docker-credentials.ts')
  const { missing, root } = await (async () => {
    using progress = showProgress(context, { silent })
    return await push(
      {
        image,
        from: flags.from,
        maxUnpacked: flags.maxUnpacked,
        registryHost: flags.dockerRegistryHost,
        ipfsHost: flags.ipfsHost,
        defaultIpfsHost,
        plainHttp: flags.plainHttp === true,
        startRegistry: startTemporaryRegistry,
        warn: text => {
          context.stderr.write(line`${text}`)
        },
        credentials: async host => await readCredentials(dockerConfigFile(context.env), host),
      },
      { signal, progress },
    )
  })()
  if (missing.length > 0 && !silent) {
    context.stderr.write(
      line`The source has not all that the index names; left out: ${missing.map(({ digest }) => digest).join(', ')}`,
    )
  }
  context.stdout.write(silent ? line`${root}` : line`Successfully pushed Docker image to IPFS:\n/ipfs/${root}`)
}

function parseUnpacked(text: string): number {
  const size = parseSize(text)
  if (size === undefined) {
    throw new InvalidArgumentError('It is a size such as 10GiB.')
  }
  return size
}
