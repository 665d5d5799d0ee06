import type { ManifestChange, TagChange } from '../index/history-index.ts'
import type { Index, IndexChange, ManifestRecord, TagRecord } from '../index/index.ts'
import type { Digest } from '../oci/digest.ts'
import { everything } from '../oci/pagination.ts'
import { commitTelling, type EventSink, type NewEvent } from './event-sink.ts'
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
): Promise<Deletion & { change: IndexChange; state: number | undefined }> {
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
  const made = { tags: [...deletedTags.values()], manifests: deleted }
  const state =
    remembering &&
    (await remembering.history.record(change, repository, { action: remembering.action, by: remembering.by, ...made }))
  return { change, tags, manifests, state }
}

/** What deletes images, and who is told */
export interface DeletingComponents {
  index: Index
  /** Undefined: the deletion can't be undone */
  history?: History | undefined
  /** Undefined where nobody can hear of events */
  events?: Pick<EventSink, 'commit'> | undefined
  /** Hears of each tag that is gone */
  tagListener?: { tagged: (repository: string, tag: string) => void } | undefined
}

/**
 * Deletes tags and manifests of a repository at once. The caller holds the lock of the repository.
 *
 * @param what.tags tags that are there, each with its record; those of the manifests go anyway
 * @param why.updated the time, ISO 8601
 * @returns the state after the change; undefined where it can't be undone
 */
export async function deleteImages(
  { events, history, index, tagListener }: DeletingComponents,
  repository: string,
  what: { tags: ReadonlyMap<string, TagRecord>; manifests: ReadonlyMap<Digest, ManifestRecord> },
  {
    action,
    by,
    updated,
    ...told
  }: Pick<Made, 'action' | 'by'> & Pick<NewEvent, 'origin' | 'reason'> & { updated: string },
): Promise<number | undefined> {
  const tags = Array.from(what.tags, ([tag, before]) => ({ tag, before }))
  const remembering = history && { history, action, by, tags }
  const { change, state, ...deletion } = await deleteManifests(index, repository, what.manifests, remembering)
  const deleted = new Map(deletion.tags)
  for (const [tag, { digest }] of what.tags) {
    if (!deleted.has(tag)) {
      await deleteTag({ change, index, repository }, tag, updated)
      deleted.set(tag, digest)
    }
  }
  await commitTelling(events, change, () => eventsOfDeletion(repository, { ...deletion, tags: deleted }, told))
  for (const tag of deleted.keys()) {
    tagListener?.tagged(repository, tag)
  }
  return state
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
