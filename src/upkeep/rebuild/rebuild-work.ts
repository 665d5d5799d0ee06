import type { Content, ContentReader } from '../../ipfs/content-store.ts'
import type { IndexChange, ManifestRecord } from '../../index/index.ts'
import type { Digest } from '../../oci/digest.ts'
import { OciError } from '../../oci/errors.ts'
import { isStorageFull } from '../../registry/errors.ts'
import { readManifest, type LayoutManifest } from '../../registry/image/read-image.ts'

/** What could not be rebuilt, and why */
export interface RebuildProblem {
  repository?: string | undefined
  tag?: string | undefined
  digest?: Digest | undefined
  cid?: string | undefined
  reason: string
}

/** An image that is ready to get into a repository */
export interface RebuiltImage {
  /** Its records; not committed yet */
  change: IndexChange
  /**
   * Its manifest and all that come with it: those that an index lists, and those that name one of them as their subject
   */
  manifests: Set<Digest>
  /** Number of manifests and blobs that the repository did not have */
  added: { manifests: number; blobs: number }
  problems: RebuildProblem[]
  /** What a manifest names but was not here when it was pushed either */
  absent: RebuildProblem[]
}

/** A manifest on its way into a repository */
export interface Wanted {
  digest: Digest
  /**
   * Media types to try for a manifest that does not name its own: the first that its fields fit is taken. Undefined
   * stands for what the fields alone tell.
   */
  mediaTypes: Array<string | undefined>
  /** Image root that this registry made; undefined where none is known to be its own */
  own: string | undefined
  /** Image roots that list what the repository had when the manifest was pushed: each lists it, or a part of it */
  listedBy: string[]
  /** Roots below which the manifest and its blobs may be found; strangers may have made them */
  places: string[]
  /** Image root for the manifest's record; undefined: a new one is stored */
  root?: string | undefined
}

export interface Work extends RebuiltImage {
  repository: string
  /** Whether a tag leads to the image */
  isClaimed: boolean
  /** Whether the repository gets nothing but what {@link Wanted.listedBy} lists */
  onlyListed: boolean
  signal: AbortSignal
  blobs: Map<Digest, Content>
  records: Map<Digest, ManifestRecord>
}

/**
 * Whether a repository gets what one of its manifests names. Where there are access rules, only what it had when the
 * manifest was pushed: what is here for other reasons may be another tenant's, and whoever names it must not get at it
 * by a rebuild.
 *
 * @param listedBy each of these image roots has to list it
 */
export async function mayGet(
  reader: ContentReader,
  listedBy: readonly string[],
  digest: Digest,
  { absent, onlyListed, problems, repository, signal }: Work,
): Promise<boolean> {
  for (const root of onlyListed ? listedBy : []) {
    try {
      const listed =
        (await reader.find(root, ['manifests', digest], { signal })) ??
        (await reader.find(root, ['blobs', digest], { signal }))
      if (listed === undefined) {
        absent.push({ repository, digest, reason: 'no image root of the repository lists it' })
        return false
      }
    } catch (err) {
      signal.throwIfAborted()
      problems.push({ repository, digest, cid: root, reason: (err as Error).message })
      return false
    }
  }
  return true
}

/**
 * Looks in all places until one has the right content: a stranger's root may have something else, or nothing. Where no
 * place has it, that is a problem, unless our own root does not name it: then it was not here when the manifest was
 * pushed either.
 *
 * @param look returns undefined where there is nothing; calls `found` with the CID of what it found, for the report of
 *   a problem
 * @param options.leaf a place that is guessed, so that it is no problem if it is missing
 * @param options.isOptional whether it is no problem if all places have nothing
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
      if (isStorageFull(err)) {
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
 * Reads a manifest as the first of the media types that its fields fit
 *
 * @param options.isOptional whether a file that fits none of them counts as no manifest, instead of an error
 * @returns undefined where there is none
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
