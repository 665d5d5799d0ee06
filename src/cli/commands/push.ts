import type { Command } from 'commander'
import { defaultIpfsHost, defaultRegistryHost } from '../flags/default-hosts.ts'
import { dockerLogIns } from '../flags/log-ins.ts'
import { size } from '../flags/option-values.ts'
import { showCopyProgress } from '../output/copy-progress.ts'
import { line } from '../output/printable.ts'
import { printCopied } from '../output/results.ts'
import type { CliContext } from '../process/context.ts'
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
  json?: true
}

const footer = `
Without --from, the image comes from the Docker Engine. SOURCE is a directory (OCI image layout), a tar archive (OCI
image layout or docker save), or an image of a registry (registry.example/repository:tag), with every platform.
Without --ipfs-host, the image goes to the appliance, or to a kubo at ${defaultIpfsHost} if no appliance answers.`

export function addPushCommand(program: Command, context: CliContext): void {
  program
    .command('push')
    .description('Push an image to an appliance or to another IPFS node, and print its CID')
    .argument('<image>', 'name of the image')
    .option('-s, --silent', 'print the CID only')
    .option('--quiet', 'the same as --silent')
    .option('--ipfs-host <host>', 'push to the kubo with this RPC API: host:port, URL or multiaddr')
    .option('--docker-registry-host <host>', 'push to this appliance', defaultRegistryHost)
    .option('--from <source>', 'where the image comes from')
    .option(
      '--max-unpacked <size>',
      'how much an archive may unpack to, such as 10GiB (default: 100 times its size, but at least 64MiB)',
      size,
    )
    .option('--plain-http', 'allow registries without TLS; localhost and loopback addresses always are')
    .option('--json', 'print JSON')
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
  const { missing, root } = await (async () => {
    using progress = showCopyProgress(context, { silent: silent || flags.json === true })
    progress.from(flags.from ?? 'the Docker Engine')
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
        credentials: dockerLogIns(context),
      },
      { signal, progress },
    )
  })()
  const text = silent ? line`${root}` : line`Successfully pushed Docker image to IPFS:\n/ipfs/${root}`
  printCopied(context, { ...flags, silent }, { result: { image, cid: root }, missing, text })
}
