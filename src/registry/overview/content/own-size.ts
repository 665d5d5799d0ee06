import type { Index, ManifestRecord } from '../../../index/index.ts'
import type { Digest } from '../../../oci/digest.ts'
import { TimeSlice } from '../../../scheduling/time-slice.ts'

/** Parts of an image, and manifests of its repository, that are looked at; where there are more, it is not counted */
const [maxParts, maxManifests] = [500, 20_000]

export interface OwnSizeInit {
  repository: string
  digest: Digest
  record: ManifestRecord
  /** Manifests of the repository to which tags lead */
  tagged: Iterable<Digest>
  /** Whether what another repository has counts */
  counts: (repository: string) => boolean
}

/**
 * Bytes of an image that nothing else needs: no other manifest or tag of its repository, and no repository that counts
 *
 * @returns undefined where it is too much to count
 */
export async function ownSize(
  index: Pick<Index, 'blob' | 'isBlobOwned' | 'manifest' | 'manifests'>,
  { counts, digest, record, repository, tagged }: OwnSizeInit,
  signal: AbortSignal,
): Promise<number | undefined> {
  if (record.manifests.length > maxParts) {
    return undefined
  }
  const own = new Map([[digest, record]])
  for (const child of record.manifests) {
    const found = await index.manifest(repository, child)
    if (found !== undefined) {
      own.set(child, found)
    }
  }
  const needed = await neededByOthers(index, repository, own, signal)
  if (needed === undefined) {
    return undefined
  }
  if (needed.has(digest)) {
    // an index lists it
    return 0
  }
  for (const other of tagged) {
    if (other !== digest && own.has(other)) {
      needed.add(other)
      own.get(other)?.blobs.forEach(blob => needed.add(blob))
    }
  }
  const left = [...own].filter(([part]) => !needed.has(part))
  const blobs = new Set(left.flatMap(([, part]) => part.blobs).filter(blob => !needed.has(blob)))
  if (blobs.size > maxParts) {
    return undefined
  }
  let size = left.reduce((sum, [, part]) => sum + part.size, 0)
  for (const blob of blobs) {
    signal.throwIfAborted()
    if (!(await index.isBlobOwned(blob, other => other !== repository && counts(other)))) {
      size += (await index.blob(blob))?.size ?? 0
    }
  }
  return size
}

/** Manifests of an image that others list, and blobs of these and of the others */
async function neededByOthers(
  index: Pick<Index, 'manifests'>,
  repository: string,
  own: ReadonlyMap<Digest, ManifestRecord>,
  signal: AbortSignal,
): Promise<Set<Digest> | undefined> {
  const needed = new Set<Digest>()
  const wanted = new Set([...own].flatMap(([digest, { blobs }]) => [digest, ...blobs]))
  const slice = new TimeSlice()
  let count = 0
  for await (const { digest, record } of index.manifests(repository)) {
    if (++count > maxManifests) {
      return undefined
    }
    for (const part of own.has(digest) ? [] : [...record.manifests, ...record.blobs]) {
      if (wanted.has(part)) {
        needed.add(part)
        own.get(part)?.blobs.forEach(blob => needed.add(blob))
      }
    }
    await slice.pause()
    signal.throwIfAborted()
  }
  return needed
}
