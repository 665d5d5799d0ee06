import type { AbortOptions } from '../../remote/abort-options.ts'
import type { RebuildProgress, RebuildResult } from '../../client/appliance/appliance-client.ts'
import { ClientError } from '../../remote/errors.ts'
import { openAdministration, type AdminFlags } from '../flags/admin-flags.ts'
import { line } from '../output/printable.ts'
import type { ProgressState } from '../output/progress.ts'
import { printResult, withProgress } from '../output/results.ts'
import type { CliContext } from '../process/context.ts'

/**
 * `ipdr fsck --rebuild`: has an appliance rebuild an index that was lost
 *
 * @throws ClientError if a part of it could not be rebuilt
 */
export async function rebuildIndex(
  flags: AdminFlags & { waive?: true },
  context: CliContext,
  options: AbortOptions,
): Promise<void> {
  const { appliance } = await openAdministration(flags, context)
  const init = { waive: flags.waive === true }
  const result = await withProgress(
    context,
    flags,
    state,
    async onProgress => await appliance.rebuild(init, onProgress, options),
  )
  printResult(context, flags, result, summary(result))
  if (!result.whole) {
    throw new ClientError('the index is not complete', {
      hint:
        'Repair what is listed and run this again. ' +
        '--waive declares the index complete as it is, and the rest becomes garbage.',
    })
  }
}

function state({ phase, blocks, manifests, blobs, images, total }: RebuildProgress): ProgressState {
  const step = { blocks: 'looking for images', tags: 'rebuilding tagged images', rest: 'rebuilding the rest' }[phase]
  const items = phase === 'blocks' ? { done: blocks, name: 'blocks' } : { done: images, name: 'images' }
  return {
    text: `${step}: ${blocks} blocks read, ${manifests} manifests and ${blobs} blobs rebuilt`,
    // of all images, some have tags: both steps are one way through them
    step: phase === 'blocks' ? phase : 'images',
    // a server of an older version does not count images
    items: images === undefined ? undefined : { ...items, total },
  }
}

function summary({ tags, manifests, blobs, recovered, partial, absent, problems, seconds }: RebuildResult): string {
  const counts = [
    `${recovered.length} images that no repository claims`,
    `${partial} that are only partly here`,
    `${absent.length} things that were never here`,
    `${problems.length} problems`,
  ]
  const lines = [
    ...[...absent, ...problems].map(
      ({ repository, tag, digest, cid, reason }) =>
        `${[repository, tag && `:${tag}`, digest && `@${digest}`].filter(Boolean).join('') || cid}: ${reason}`,
    ),
    ...recovered.map(digest => `recovered@${digest}: no repository claims it`),
    `Rebuilt ${tags} tags, ${manifests} manifests and ${blobs} blobs; ${counts.join(', ')} (${seconds} s)`,
  ]
  return lines.map(text => line`${text}`).join('')
}
