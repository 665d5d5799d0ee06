import type { Command } from 'commander'
import type { PrefetchProgress, PrefetchResult } from '../../client/appliance/appliance-client.ts'
import { ClientError } from '../../remote/errors.ts'
import { addAdminFlags, openAdministration, type AdminFlags } from '../flags/admin-flags.ts'
import { repeated } from '../flags/option-values.ts'
import { line } from '../output/printable.ts'
import type { ProgressState } from '../output/progress.ts'
import { printResult, withProgress } from '../output/results.ts'
import { formatShare, formatSize } from '../output/table.ts'
import type { CliContext } from '../process/context.ts'
import { runCommand } from '../process/run-command.ts'

interface Flags extends AdminFlags {
  platform?: string[]
}

export function addPrefetchCommand(program: Command, context: CliContext): void {
  addAdminFlags(program.command('prefetch'))
    .description('Have a mirror fetch images of its upstreams before anybody asks for them')
    .argument('<name...>', 'such as docker.io/library/alpine:3; the tag may be a glob, such as 3.*')
    .option(
      '--platform <platform>',
      'fetch this platform, such as linux/arm64, or all; repeatable (default: as configured, else that of the server)',
      repeated,
    )
    .action(async (names: string[], flags: Flags) => {
      await runCommand(context, async signal => {
        await prefetch(names, flags, context, signal)
      })
    })
}

/** @throws ClientError if something was not fetched */
async function prefetch(names: string[], flags: Flags, context: CliContext, signal: AbortSignal): Promise<void> {
  const { appliance } = await openAdministration(flags, context)
  const init = { names, platforms: flags.platform }
  const result = await withProgress(
    context,
    flags,
    state,
    async onProgress => await appliance.prefetch(init, onProgress, { signal }),
  )
  printResult(context, flags, result, summary(result))
  const { problems } = result
  for (const { name, reason } of problems) {
    context.stderr.write(line`${name}: ${reason}`)
  }
  if (problems.length > 0) {
    throw new ClientError(
      problems.length === 1 ? 'one name was not fetched' : `${problems.length} names were not fetched`,
    )
  }
}

function state({ bytes, image, rate, size, sources }: PrefetchProgress): ProgressState {
  const text = `${image}: ${formatShare(bytes, size)}, ${formatSize(rate)}/s${from(sources)}`
  return { text, left: rate > 0 ? (size - bytes) / rate : undefined }
}

function summary({ images, seconds }: PrefetchResult): string {
  const lines = images.map(({ digest, fetched, name, size, sources }) => {
    const news = fetched === 0 ? 'nothing new' : `${formatSize(fetched)} fetched`
    return `${name}@${digest}: ${news} of ${formatSize(size)}${from(sources)}`
  })
  return [...lines, `${images.length} images are here (${seconds} s)`].map(text => line`${text}`).join('')
}

function from(sources: PrefetchProgress['sources'] | undefined): string {
  const parts = Object.entries(sources ?? {}).filter(([, bytes]) => bytes > 0)
  return parts.length === 0 ? '' : ` (${parts.map(([kind, bytes]) => `${formatSize(bytes)} from ${kind}`).join(', ')})`
}
