import type { Content, ContentReader } from '../../ipfs/content-store.ts'
import type { IndexChange, ManifestRecord } from '../../index/index.ts'
import type { Digest } from '../../oci/digest.ts'
import { OciError } from '../../oci/errors.ts'
import { readManifest, type LayoutManifest } from '../../registry/image/read-image.ts'

/** What could not be restored, and why */
export interface RebuildProblem {
  repository?: string | undefined
  tag?: string | undefined
  digest?: Digest | undefined
  cid?: string | undefined
  reason: string
}

/** An image as it is to get into a repository */
export interface RebuiltImage {
  /** Not committed yet */
  change: IndexChange
  /** With everything that comes with it: what an index lists, and what names one of them as its subject */
  manifests: Set<Digest>
  /** Of manifests and blobs, those that the repository did not have */
  added: { manifests: number; blobs: number }
  problems: RebuildProblem[]
  /** What a manifest names and was not here either when the manifest was pushed */
  absent: RebuildProblem[]
}

/** A manifest on its way into a repository */
export interface Wanted {
  digest: Digest
  /** What it may be where it does not say so itself: the first of them that its fields fit; undefined: what these tell alone */
  mediaTypes: Array<string | undefined>
  /** Image root that this registry made itself; undefined where nobody knows who made the others */
  own: string | undefined
  /** Roots that may lead to the manifest and its blobs, be they a stranger's */
  places: string[]
  /** What the manifest's record is to name; undefined: one that is made anew */
  root?: string | undefined
}

export interface Work extends RebuiltImage {
  repository: string
  /** Whether a tag leads to it */
  isClaimed: boolean
  signal: AbortSignal
  blobs: Map<Digest, Content>
  records: Map<Digest, ManifestRecord>
}

/**
 * Looks in all places until one has what is right: a stranger's may have something else, or nothing. Where none has it, that is a problem,
 * unless our own root does not know of it: then it was not here either when the manifest was pushed.
 */
export async function firstRight<T>(
  { digest, own, places }: Wanted,
  work: Work,
  look: (place: string, found: (cid: string) => void) => Promise<T | undefined>,
  { leaf, isOptional = false }: { leaf?: string | undefined; isOptional?: boolean } = {},
): Promise<T | undefined> {
  let failure: { cid: string; reason: string } | undefined
  let wasAbsent = false
  for (const place of places) {
    work.signal.throwIfAborted()
    let cid = place
    try {
      const right = await look(place, found => {
        cid = found
      })
      if (right !== undefined) {
        return right
      }
      wasAbsent ||= place === own
    } catch (err) {
      work.signal.throwIfAborted()
      const { name, message } = err as Error
      if (name === 'StorageFullError') {
        throw err
      }
      if (place !== leaf || name !== 'NotFoundError') {
        failure = { cid, reason: message }
      }
    }
  }
  const where = { repository: work.repository, digest }
  if (wasAbsent || (isOptional && failure === undefined)) {
    work.absent.push({ ...where, reason: 'was not here when the manifest was pushed' })
  } else {
    work.problems.push({ ...where, cid: failure?.cid ?? places.at(-1), reason: failure?.reason ?? 'is not here' })
  }
  return undefined
}

/**
 * Reads a manifest as the first of its media types that its fields fit
 *
 * @returns undefined where there is none; what fits none is none where it is optional
 * @throws as {@link readManifest}
 */
export async function readAsAny(
  reader: ContentReader,
  place: string,
  { digest, mediaTypes }: Wanted,
  { isOptional = false, signal }: { isOptional?: boolean; signal: AbortSignal },
): Promise<LayoutManifest | undefined> {
  for (const [i, mediaType] of mediaTypes.entries()) {
    try {
      return await readManifest(reader, place, { digest, mediaType }, { signal })
    } catch (err) {
      const isLast = i === mediaTypes.length - 1 && !isOptional
      if (isLast || !(err instanceof OciError && err.code === 'MANIFEST_INVALID')) {
        throw err
      }
    }
  }
  return undefined
}
