import type { Index, ManifestRecord, TagRecord } from '../../index/index.ts'
import type { Digest } from '../../oci/digest.ts'
import { TimeSlice } from '../../scheduling/time-slice.ts'
import { planManifests } from '../retention/plan-manifests.ts'
import type { RepositoryState } from '../retention/repository-state.ts'

/** What goes with some tags */
export interface Deletion {
  /** Those that were asked for, and those by which clients attach signatures to what goes */
  tags: Map<string, TagRecord>
  manifests: Map<Digest, ManifestRecord>
}

/**
 * Decides what goes with some tags: their images, where no tag that stays leads to them, with platforms, signatures and
 * the like that nothing else needs. It is what retention would delete with these tags.
 *
 * @param wanted tags that are there
 * @param init.images whether the images go, too
 * @param init.mustStay whether a tag has to stay to which nobody has agreed
 */
export function planDeletion(
  state: RepositoryState,
  wanted: readonly string[],
  { images, mustStay, now }: { images: boolean; mustStay: (tag: string) => boolean; now: number },
): Deletion {
  const tags = new Map(wanted.map(tag => [tag, state.tags.get(tag)!]))
  if (!images) {
    return { tags, manifests: new Map() }
  }
  const belonging = new Set([...state.attached.values()].flat().filter(tag => !mustStay(tag)))
  const decisions = new Map(
    [...state.tags.keys()]
      .filter(tag => tags.has(tag) || !belonging.has(tag))
      .map(tag => [tag, { stays: !tags.has(tag), why: '' }]),
  )
  const { going } = planManifests(state, decisions, { now, rules: [] })
  for (const subject of going.keys()) {
    for (const tag of state.attached.get(subject)?.filter(tag => belonging.has(tag)) ?? []) {
      tags.set(tag, state.tags.get(tag)!)
    }
  }
  return { tags, manifests: new Map([...going.keys()].map(digest => [digest, state.manifests.get(digest)!])) }
}

/** Bytes of manifests, and of the blobs that nothing else in the registry needs */
export async function bytesOfTheirOwn(
  index: Pick<Index, 'blob' | 'isBlobOwned'>,
  { manifests, repository }: Pick<RepositoryState, 'manifests' | 'repository'>,
  going: Deletion['manifests'],
  signal: AbortSignal,
): Promise<number> {
  const slice = new TimeSlice()
  const blobs = new Set([...going.values()].flatMap(record => record.blobs))
  let bytes = 0
  for (const [digest, record] of manifests) {
    if (going.has(digest)) {
      bytes += record.dagSize
    } else {
      record.blobs.forEach(blob => blobs.delete(blob))
    }
    await slice.pause()
    signal.throwIfAborted()
  }
  for (const digest of blobs) {
    if (!(await index.isBlobOwned(digest, other => other !== repository))) {
      bytes += (await index.blob(digest))?.dagSize ?? 0
    }
    await slice.pause()
    signal.throwIfAborted()
  }
  return bytes
}
