import type { Index, ManifestRecord } from '../../index/index.ts'
import type { Digest } from '../../oci/digest.ts'
import { referencesOf } from '../../registry/manifest-record.ts'
import { everything } from '../../oci/pagination.ts'

/**
 * The manifests of a repository that have had no tag for long. What a manifest that stays names is needed, be it as its subject, and so is what
 * names as its subject a manifest that stays.
 *
 * @param before milliseconds of the epoch: what was pushed or lost a tag since, or nobody knows when, stays
 */
export async function untaggedManifests(
  index: Pick<Index, 'manifests' | 'tags'>,
  repository: string,
  before: number,
): Promise<Map<Digest, ManifestRecord>> {
  const unneeded = new Map<Digest, ManifestRecord>()
  const referrers = new Map<Digest, Digest[]>()
  const left: Digest[] = []
  for await (const { digest, record } of index.manifests(repository)) {
    unneeded.set(digest, record)
    if (record.updated === undefined || Date.parse(record.updated) > before) {
      left.push(digest)
    }
    if (record.subject !== undefined) {
      const others = referrers.get(record.subject)
      if (others === undefined) {
        referrers.set(record.subject, [digest])
      } else {
        others.push(digest)
      }
    }
  }
  for await (const { record } of index.tags(repository, everything)) {
    left.push(record.digest)
  }
  for (let digest = left.pop(); digest !== undefined; digest = left.pop()) {
    const record = unneeded.get(digest)
    if (record !== undefined) {
      unneeded.delete(digest)
      for (const other of [...referencesOf(record), ...(referrers.get(digest) ?? [])]) {
        left.push(other)
      }
    }
  }
  return unneeded
}
