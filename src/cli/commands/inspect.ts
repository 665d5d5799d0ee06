import type { Command } from 'commander'
import type { InspectedManifest } from '../../client/registry/inspect-image.ts'
import { addApplianceFlags, openAppliance, type ApplianceFlags } from '../flags/appliance-flags.ts'
import type { CliContext } from '../process/context.ts'
import { line } from '../output/printable.ts'
import { printResult } from '../output/results.ts'
import { runCommand } from '../process/run-command.ts'
import { formatSize, table } from '../output/table.ts'

export function addInspectCommand(program: Command, context: CliContext): void {
  addApplianceFlags(program.command('inspect'))
    .description('Show the platforms, layers and CIDs of an image')
    .argument('<name>', '[host/]repository[:tag], CID or IPNS name')
    .action(async (name: string, flags: ApplianceFlags) => {
      await runCommand(context, async signal => {
        await run(name, flags, context, signal)
      })
    })
}

async function run(text: string, flags: ApplianceFlags, context: CliContext, signal: AbortSignal): Promise<void> {
  const [{ inspectImage }, { parseTarget }] = await Promise.all([
    import('../../client/registry/inspect-image.ts'),
    import('../../client/registry/parse-target.ts'),
  ])
  const { host, reference, repository } = parseTarget(text)
  const { registry } = await openAppliance(flags, context, { host })
  const image = { name: repository, ...(await inspectImage(registry, repository, reference, { signal, blobs: true })) }
  printResult(context, flags, image, `${line`Name      ${repository}`}${describe(image)}`)
}

function describe(manifest: InspectedManifest): string {
  const { cid, config, digest, layers, manifests, mediaType, missing, platform, size } = manifest
  const lines = [
    ['Platform', platform],
    ['CID', cid],
    ['Digest', digest],
    ['Type', mediaType],
    ['Size', formatSize(size)],
    ['Missing', missing.length === 0 ? undefined : missing.join(', ')],
  ]
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => line`${name!.padEnd(8)}  ${value}`)
  const blobs = [
    ...(config === undefined ? [] : [['Config', config] as const]),
    ...layers.map(layer => ['Layer', layer] as const),
  ]
  const rows = blobs.map(([what, { cid, digest, size }]) => [what, digest, formatSize(size), cid ?? '-'])
  return [
    ...lines,
    rows.length === 0 ? '' : table([['', 'DIGEST', 'SIZE', 'CID'], ...rows]),
    ...manifests.map(child => `\n${describe(child)}`),
  ].join('')
}
