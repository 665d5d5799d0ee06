import type { Index, IndexChange, ManifestRecord } from '../index/index.ts'
import type { Digest } from '../oci/digest.ts'
import { everything } from '../oci/pagination.ts'

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
