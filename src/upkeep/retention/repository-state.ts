import type { Index, ManifestRecord, TagRecord } from '../../index/index.ts'
import type { Digest } from '../../oci/digest.ts'
import { everything } from '../../oci/pagination.ts'
import type { PullNotes } from '../../registry/pull-notes.ts'
import { TimeSlice } from '../../scheduling/time-slice.ts'

/** All that retention has to know of a repository */
export interface RepositoryState {
  repository: string
  tags: ReadonlyMap<string, TagRecord>
  manifests: ReadonlyMap<Digest, ManifestRecord>
  /** The manifests that name each as their subject */
  referrers: ReadonlyMap<Digest, readonly Digest[]>
  /** Tags by which clients without the referrers API attach signatures and the like, by what these belong to */
  attached: ReadonlyMap<Digest, readonly string[]>
  /** When each manifest was last pulled, and from when on that is known; milliseconds since the epoch */
  pulls: ReadonlyMap<Digest, number>
  pullsSince: number
}

/** `sha256-<hex>` of the specification, and `sha256-<hex>.sig` and the like of cosign */
const attachedTag = /^(sha256|sha512)-([0-9a-f]{64}|[0-9a-f]{128})(\.[a-z]+)?$/

export async function readRepositoryState(
  { index, pulls }: { index: Pick<Index, 'manifests' | 'tags'>; pulls: Pick<PullNotes, 'lastPulls' | 'since'> },
  repository: string,
): Promise<RepositoryState> {
  const manifests = new Map<Digest, ManifestRecord>()
  const referrers = new Map<Digest, Digest[]>()
  const slice = new TimeSlice()
  for await (const { digest, record } of index.manifests(repository)) {
    manifests.set(digest, record)
    if (record.subject !== undefined) {
      addTo(referrers, record.subject, digest)
    }
    await slice.pause()
  }
  const tags = new Map<string, TagRecord>()
  const attached = new Map<Digest, string[]>()
  for await (const { tag, record } of index.tags(repository, everything)) {
    tags.set(tag, record)
    const [, algorithm, hex] = attachedTag.exec(tag) ?? []
    const subject = `${algorithm}:${hex}` as Digest
    if (manifests.has(subject)) {
      addTo(attached, subject, tag)
    }
    await slice.pause()
  }
  const lastPulls = await pulls.lastPulls(repository)
  return { repository, tags, manifests, referrers, attached, pulls: lastPulls, pullsSince: pulls.since }
}

function addTo<Key, Item>(lists: Map<Key, Item[]>, key: Key, item: Item): void {
  const list = lists.get(key)
  if (list === undefined) {
    lists.set(key, [item])
  } else {
    list.push(item)
  }
}
