import { LRUCache } from 'lru-cache'
import type { Index } from '../../index/index.ts'
import type { Digest } from '../../oci/digest.ts'
import type { Page } from '../../oci/pagination.ts'
import { forEach } from '../../scheduling/for-each.ts'
import { TimeSlice } from '../../scheduling/time-slice.ts'

/** Manifests and blobs of one image that are looked up; an image with more has no details */
const maxParts = 500
/** For one list, so that a request for many large images ends; the tags after that have no details */
const maxLookUps = 200_000
/** Images that are looked up at a time */
const concurrency = 8
/** Blobs whose sizes are kept while a list is made: images share layers */
const maxKnown = 10_000

/** What a list of tags says of an image that is here as a whole */
export interface TagDetails {
  digest: Digest
  /** CID of the image root */
  cid: string
  /** Bytes of all manifests and blobs, each counted once */
  size: number
}

type Records = Pick<Index, 'blob' | 'manifest' | 'tags'>

/**
 * Looks up images of a repository in the index alone
 *
 * @param init.isWanted whether to tell of a tag
 * @returns by tag; without those that are not of this registry, or of which a blob is not here
 */
export async function tagDetails(
  index: Records,
  { isWanted, page, repository }: { repository: string; page: Page; isWanted: (tag: string) => boolean },
  signal: AbortSignal,
): Promise<Map<string, TagDetails>> {
  const lookUp = new LookUp(index, repository)
  const images = new Map<Digest, Promise<TagDetails | undefined>>()
  const found = new Map<string, TagDetails>()
  await forEach(index.tags(repository, page), concurrency, signal, async ({ record: { digest }, tag }) => {
    if (!isWanted(tag)) {
      return
    }
    const image = images.get(digest) ?? lookUp.image(digest)
    images.set(digest, image)
    const details = await image
    if (details !== undefined) {
      found.set(tag, details)
    }
  })
  return found
}

/** For one list */
class LookUp {
  readonly #index: Records
  readonly #repository: string
  readonly #known = new LRUCache<Digest, number>({ max: maxKnown })
  /** Most records are in memory, so that the look-ups alone never let others have their turn */
  readonly #slice = new TimeSlice()
  #left = maxLookUps

  constructor(index: Records, repository: string) {
    this.#index = index
    this.#repository = repository
  }

  async image(top: Digest): Promise<TagDetails | undefined> {
    const sizes = new Map<Digest, number>()
    const manifests = new Set([top])
    let cid: string | undefined
    // the set grows meanwhile
    for (const digest of manifests) {
      if (sizes.size + manifests.size > maxParts || this.#left-- <= 0) {
        return undefined
      }
      await this.#slice.pause()
      const record = await this.#index.manifest(this.#repository, digest)
      // an index may name manifests that nobody has pushed
      if (record !== undefined) {
        cid ??= record.root
        sizes.set(digest, record.size)
        record.manifests.forEach(child => manifests.add(child))
        if (!(await this.#addBlobs(record.blobs, sizes))) {
          return undefined
        }
      }
    }
    const size = sizes.values().reduce((total, bytes) => total + bytes, 0)
    return cid === undefined ? undefined : { digest: top, cid, size }
  }

  /** @returns false where one is not here, or there are too many */
  async #addBlobs(blobs: readonly Digest[], sizes: Map<Digest, number>): Promise<boolean> {
    for (const digest of blobs) {
      await this.#slice.pause()
      const known = sizes.get(digest) ?? this.#known.get(digest)
      const size = known ?? (this.#left-- > 0 ? (await this.#index.blob(digest))?.size : undefined)
      if (size === undefined || sizes.size > maxParts) {
        return false
      }
      this.#known.set(digest, size)
      sizes.set(digest, size)
    }
    return true
  }
}
