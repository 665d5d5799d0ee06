import type { Index, IndexChange, ManifestRecord } from '../index/index.ts'
import type { Digest } from '../oci/digest.ts'
import { everything } from '../oci/pagination.ts'

interface TagChange {
  change: IndexChange
  index: Pick<Index, 'manifest' | 'tag'>
  repository: string
}

/**
 * Prepares a change that deletes manifests from a repository, with the tags that point at them. A repository that is
 * left without a manifest disappears from the catalog. The caller holds the lock of the repository.
 *
 * @returns the change, which the caller commits, and the tags that it deletes
 */
export async function deleteManifests(
  index: Index,
  repository: string,
  manifests: ReadonlyMap<Digest, ManifestRecord>,
): Promise<{ change: IndexChange; tags: string[] }> {
  const change = index.change()
  const tags: string[] = []
  for (const [digest, { subject }] of manifests) {
    change.deleteManifest(repository, digest)
    if (subject !== undefined) {
      change.deleteReferrer(repository, subject, digest)
    }
  }
  for await (const { tag, record } of index.tags(repository, everything)) {
    if (manifests.has(record.digest)) {
      change.deleteTag(repository, tag)
      tags.push(tag)
    }
  }
  if (!(await hasOthers(index, repository, manifests))) {
    change.deleteRepository(repository)
  }
  return { change, tags }
}

/**
 * Has a change delete a tag. The caller holds the lock of the repository, and commits the change.
 *
 * @param updated the time, ISO 8601
 */
export async function deleteTag({ change, index, repository }: TagChange, tag: string, updated: string): Promise<void> {
  change.deleteTag(repository, tag)
  await noteUntagged({ change, index, repository }, tag, updated)
}

/** Records when a manifest loses a tag: from then on it may be untagged, and `gc.untagged` counts from there */
export async function noteUntagged(
  { change, index, repository }: TagChange,
  tag: string,
  updated: string,
  next?: Digest,
): Promise<void> {
  const digest = (await index.tag(repository, tag))?.digest
  const record = digest === undefined || digest === next ? undefined : await index.manifest(repository, digest)
  if (digest !== undefined && record !== undefined) {
    change.putManifest(repository, digest, { ...record, updated })
  }
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
