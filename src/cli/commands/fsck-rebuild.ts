import type { RebuildProgress, RebuildResult } from '../../client/appliance/appliance-client.ts'
import { ClientError } from '../../client/errors.ts'
import { openAdministration, type AdminFlags } from '../flags/admin-flags.ts'
import type { CliContext } from '../process/context.ts'
import { jsonLine, line } from '../output/printable.ts'
import type { AbortOptions } from '../../client/abort-options.ts'

/** Has an appliance restore an index that was lost; throws ClientError where not all could be */
export async function rebuildIndex(
  flags: AdminFlags & { waive?: true },
  context: CliContext,
  options: AbortOptions,
): Promise<void> {
  const { appliance } = await openAdministration(flags, context)
  const result = await appliance.rebuild(
    { waive: flags.waive === true },
    progress => {
      show(progress, context, flags)
    },
    options,
  )
  context.stdout.write(flags.json === true ? jsonLine(result) : describe(result))
  if (!result.whole) {
    throw new ClientError('not all could be restored', {
      hint: 'Repair what is listed and run this again; --waive takes the index as it is, and has the rest collected as garbage.',
    })
  }
}

function show(
  { phase, blocks, manifests, blobs }: RebuildProgress,
  { stderr }: CliContext,
  { json }: AdminFlags,
): void {
  if (json !== true) {
    const what = { blocks: 'looking for images', tags: 'restoring what has a tag', rest: 'restoring the rest' }[phase]
    stderr.write(line`${what}: ${blocks} blocks looked at, ${manifests} manifests and ${blobs} blobs restored`)
  }
}

function describe({ tags, manifests, blobs, recovered, partial, absent, problems, seconds }: RebuildResult): string {
  const lines = [
    ...[...absent, ...problems].map(
      ({ repository, tag, digest, cid, reason }) =>
        `${[repository, tag && `:${tag}`, digest && `@${digest}`].filter(Boolean).join('') || cid}: ${reason}`,
    ),
    ...recovered.map(digest => `recovered@${digest}: no repository claims it`),
    `Restored ${tags} tags, ${manifests} manifests and ${blobs} blobs; ${recovered.length} images that no repository claims, ${partial} that are here in part, ${absent.length} things that were never here, ${problems.length} problems (${seconds} s)`,
  ]
  return lines.map(text => line`${text}`).join('')
}
