import { LRUCache } from 'lru-cache'
import type { Digest } from '../../oci/digest.ts'
import { formatPlatform, platformOf, readPlatform, type Platform } from '../../oci/manifest/platform.ts'
import { KeyedLock } from '../../scheduling/keyed-lock.ts'
import { TimeSlice } from '../../scheduling/time-slice.ts'
import { fits, type Filter } from './filter.ts'
import type { ImageContent, ImageReader } from './content/image-details.ts'

/** Images that one search reads, and for how long; milliseconds. The next one goes on with those after that. */
const [maxReads, maxTime] = [500, 1000]
/** Characters that are remembered of all images; annotations with more in one image are not searched */
const [maxRemembered, maxAnnotations] = [16 * 1024 * 1024, 256 * 1024]
const maxPlatforms = 64
/** What an image, and each of its annotations and platforms, takes beside its texts, about */
const overhead = 200
/** Milliseconds before an image that could not be read is read again */
const retryAfter = 60_000
const none: ImageFacts = { platforms: [], annotations: new Map() }

/** What images are searched by */
export interface ImageFacts {
  /** Those of an index, or the one of an image */
  platforms: readonly Platform[]
  annotations: ReadonlyMap<string, string>
}

/** One search: whether an image is what is searched for, and how many were not looked at */
export interface ImageSearch {
  fits: (repository: string, digest: Digest) => Promise<boolean>
  readonly unsearched: number
}

interface Components {
  images: Pick<ImageReader, 'content'>
}

interface Init {
  /** @default 500 */
  maxReads?: number
}

/** Finds images by what their manifests and configs say, of which it remembers as much as fits into a few megabytes */
export class ImageSearches {
  readonly #images: Components['images']
  readonly #maxReads: number
  /** By the digest of the manifest, whose content never changes */
  readonly #known = new LRUCache<Digest, ImageFacts>({
    maxSize: maxRemembered,
    sizeCalculation: sizeOf,
  })
  /** One search at a time reads images */
  readonly #readers = new KeyedLock()

  constructor({ images }: Components, init: Init = {}) {
    this.#images = images
    this.#maxReads = init.maxReads ?? maxReads
  }

  /** Has a search read images, when it is its turn */
  async run<T>(filter: Filter, signal: AbortSignal, work: (search: ImageSearch) => Promise<T>): Promise<T> {
    return await this.#readers.run('', async () => await work(this.#search(filter, signal)), { signal })
  }

  #search(filter: Filter, signal: AbortSignal): ImageSearch {
    const left = new Set<Digest>()
    const slice = new TimeSlice()
    const end = performance.now() + maxTime
    let reads = 0
    return {
      fits: async (repository, digest) => {
        await slice.pause()
        signal.throwIfAborted()
        const known = this.#known.get(digest)
        if (known !== undefined) {
          return fits(known, filter)
        }
        if (reads >= this.#maxReads || performance.now() > end) {
          left.add(digest)
          return false
        }
        reads++
        return fits(await this.#read(repository, digest, signal), filter)
      },
      get unsearched() {
        return left.size
      },
    }
  }

  async #read(repository: string, digest: Digest, signal: AbortSignal): Promise<ImageFacts> {
    try {
      const facts = factsOf(await this.#images.content(repository, { digest }, signal))
      this.#known.set(digest, facts)
      return facts
    } catch {
      signal.throwIfAborted()
      // it is not here, or damaged; others have their turn before it is read again
      this.#known.set(digest, none, { ttl: retryAfter })
      return none
    }
  }
}

function factsOf({ config, manifest }: ImageContent): ImageFacts {
  const ofIndex = (manifest?.manifests ?? []).map(platformOf)
  const ofConfig = config && { os: config.os ?? '', architecture: config.architecture ?? '', variant: config.variant }
  const platforms = new Map<string, Platform>()
  for (const platform of [...ofIndex, ofConfig]) {
    const name = platform && formatPlatform(platform)
    const read = name === undefined ? undefined : readPlatform(name)
    if (name !== undefined && read !== undefined) {
      platforms.set(name, read)
    }
  }
  const annotations = Object.entries(manifest?.annotations ?? {})
  const facts = { platforms: [...platforms.values()].slice(0, maxPlatforms), annotations: new Map(annotations) }
  return sizeOf(facts) > maxAnnotations ? { ...facts, annotations: none.annotations } : facts
}

function sizeOf({ annotations, platforms }: ImageFacts): number {
  const texts = [...annotations].reduce((sum, [name, value]) => sum + name.length + value.length + overhead, 0)
  return overhead + texts + platforms.length * overhead
}
