import type { Index, ManifestRecord } from '../../index/index.ts'
import type { Digest } from '../../oci/digest.ts'
import { referencesOf } from '../../registry/manifest-record.ts'
import { everything } from '../../oci/pagination.ts'

/**
 * The manifests of a repository that have had no tag for long and that nothing needs. A manifest that is kept keeps
 * everything that it names, its subject included, and every manifest that names it as the subject.
 *
 * @param before milliseconds since the epoch. A manifest stays if it was pushed or lost a tag later, or if that time is
 *   not known.
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
