import type { ManifestChange, TagChange } from '../index/history-index.ts'
import type { Index, IndexChange, ManifestRecord } from '../index/index.ts'
import type { Digest } from '../oci/digest.ts'
import { everything } from '../oci/pagination.ts'
import type { NewEvent } from './event-sink.ts'
import type { History, Made } from './history.ts'

/** What a change deletes */
export interface Deletion {
  /** Each with the manifest at which it pointed */
  tags: ReadonlyMap<string, Digest>
  manifests: ReadonlyMap<Digest, ManifestRecord>
}

/** Where a deletion is remembered, so that it can be undone, and whose doing it is */
export interface Remembering extends Pick<Made, 'action' | 'by'> {
  history: History
  /** Tags that the same change deletes besides */
  tags?: TagChange[] | undefined
}

interface TagUpdate {
  change: IndexChange
  index: Pick<Index, 'manifest' | 'tag'>
  repository: string
}

/**
 * Prepares a change that deletes manifests from a repository, with the tags that point at them. A repository that is
 * left without a manifest disappears from the catalog. The caller holds the lock of the repository.
 *
 * @param remembering undefined: the deletion can't be undone
 * @returns the change, which the caller commits, and what it deletes
 */
export async function deleteManifests(
  index: Index,
  repository: string,
  manifests: ReadonlyMap<Digest, ManifestRecord>,
  remembering?: Remembering,
): Promise<Deletion & { change: IndexChange }> {
  const change = index.change()
  const tags = new Map<string, Digest>()
  const deletedTags = new Map((remembering?.tags ?? []).map(deleted => [deleted.tag, deleted]))
  const deleted: ManifestChange[] = []
  for (const [digest, record] of manifests) {
    const { subject } = record
    change.deleteManifest(repository, digest)
    if (remembering !== undefined) {
      deleted.push({ digest, before: await remembering.history.kept(repository, digest, record) })
    }
    if (subject !== undefined) {
      change.deleteReferrer(repository, subject, digest)
    }
  }
  for await (const { tag, record } of index.tags(repository, everything)) {
    if (manifests.has(record.digest)) {
      change.deleteTag(repository, tag)
      tags.set(tag, record.digest)
      deletedTags.set(tag, { tag, before: record })
    }
  }
  if (!(await hasOthers(index, repository, manifests))) {
    change.deleteRepository(repository)
  }
  if (remembering !== undefined) {
    const { action, by, history } = remembering
    await history.record(change, repository, { action, by, tags: [...deletedTags.values()], manifests: deleted })
  }
  return { change, tags, manifests }
}

/** One event for each tag that is deleted, then one for each manifest */
export function eventsOfDeletion(
  repository: string,
  { manifests, tags }: Deletion,
  why: Pick<NewEvent, 'origin' | 'reason'>,
): NewEvent[] {
  return [
    ...[...tags].map(([tag, digest]) => ({ kind: 'delete' as const, repository, tag, digest, ...why })),
    ...[...manifests].map(([digest, { mediaType, root, size }]) => ({
      ...{ kind: 'delete' as const, repository, digest, mediaType, size, cid: root },
      ...why,
    })),
  ]
}

/**
 * Has a change delete a tag. The caller holds the lock of the repository, and commits the change.
 *
 * @param updated the time, ISO 8601
 */
export async function deleteTag({ change, index, repository }: TagUpdate, tag: string, updated: string): Promise<void> {
  change.deleteTag(repository, tag)
  await noteUntagged({ change, index, repository }, tag, updated)
}

/**
 * Records when a manifest loses a tag: from then on it may be untagged, and `gc.untagged` counts from there
 *
 * @returns the manifest at which the tag pointed; undefined where the tag is new, or stays at `next`
 */
export async function noteUntagged(
  { change, index, repository }: TagUpdate,
  tag: string,
  updated: string,
  next?: Digest,
): Promise<Digest | undefined> {
  const digest = (await index.tag(repository, tag))?.digest
  if (digest === undefined || digest === next) {
    return undefined
  }
  const record = await index.manifest(repository, digest)
  if (record !== undefined) {
    change.putManifest(repository, digest, { ...record, updated })
  }
  return digest
}

async function hasOthers(
  index: Index,
  repository: string,
  manifests: ReadonlyMap<Digest, ManifestRecord>,
): Promise<boolean> {
  for await (const { digest } of index.manifests(repository)) {
    if (!manifests.has(digest)) {
      return true
    }
  }
  return false
}
