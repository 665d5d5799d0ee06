import { raceSignal } from 'race-signal'
import type { Descriptor } from '../../../oci/manifest/descriptor.ts'
import type { Digest } from '../../../oci/digest.ts'
import { OciError } from '../../../oci/errors.ts'
import { parseStoredManifest } from '../../../oci/manifest/manifest.ts'
import { formatPlatform, matchesPlatform, platformOf, type Platform } from '../../../oci/manifest/platform.ts'
import type { Reference } from '../../../oci/reference.ts'
import { forEach } from '../../../scheduling/for-each.ts'
import type { Slots } from '../../../scheduling/slots.ts'
import type { BlobFetch } from '../fetch/blob-fetch.ts'
import type { SourceKind } from '../../repository.ts'
import type { CameFrom } from '../fetch/fetched-leaves.ts'
import type { MirroredManifests } from '../images/mirrored-manifests.ts'
import type { NamedImage } from './image-names.ts'

/** Blobs of one image that are fetched at a time */
export const blobsAtOnce = 3
/** Manifests of one image, and indexes above one another */
const [maxManifests, maxDepth] = [1000, 8]

export interface PrefetchedImage {
  /** Such as `docker.io/library/alpine:3` */
  name: string
  digest: Digest
  /** Manifests and blobs of the platforms that were asked for */
  manifests: number
  blobs: number
  /** Bytes of these blobs */
  size: number
  /** Bytes that were not here before */
  fetched: number
  sources: CameFrom
}

export interface ImagePrefetchComponents {
  manifests: Pick<MirroredManifests, 'read'>
  /** Bounds the blobs that are fetched at a time, also by other images */
  slots: Slots
}

export interface ImagePrefetchInit {
  platforms: readonly Platform[] | 'all'
  /** A larger image is refused, as the cache would not keep it; bytes */
  maxBytes: number
  /** Gets the blobs of the image, with their bytes */
  seen?: Map<Digest, number> | undefined
}

/** Fetches one image: its manifests, and every blob that is not here, as a whole */
export class ImagePrefetch {
  readonly image: NamedImage
  readonly #components: ImagePrefetchComponents
  readonly #init: ImagePrefetchInit
  readonly #manifests = new Set<Digest>()
  readonly #blobs = new Map<Digest, Descriptor>()
  /** Those that are on their way, with what had come of each before */
  readonly #fetches = new Map<BlobFetch, CameFrom>()
  readonly #came: CameFrom = {}
  /** Bytes of blobs that are whole */
  #whole = 0

  constructor(components: ImagePrefetchComponents, image: NamedImage, init: ImagePrefetchInit) {
    this.#components = components
    this.image = image
    this.#init = init
  }

  /** Bytes of all blobs that are known */
  get size(): number {
    return sum(Array.from(this.#blobs.values(), ({ size }) => size))
  }

  /** Bytes of them that are here */
  get here(): number {
    return this.#whole + sum(Array.from(this.#fetches.keys(), ({ progress }) => progress.here))
  }

  get came(): CameFrom {
    const came = { ...this.#came }
    for (const [fetch, before] of this.#fetches) {
      addTo(came, since(before, fetch))
    }
    return came
  }

  /**
   * Can be called once
   *
   * @throws OciError where the image is not to be had, is too large, or there is no room; the reason of the signal
   */
  async run(signal: AbortSignal): Promise<PrefetchedImage> {
    const { name, reference, repository } = this.image
    using _reading = this.#components.manifests.read(repository.name)
    const digest = await this.#walk(reference, 0, signal)
    const { maxBytes, seen } = this.#init
    this.#blobs.forEach(({ size }, digest) => seen?.set(digest, size))
    if (this.size > maxBytes) {
      const reason = `it has ${this.size} bytes, and cache.maxBytes has room for ${maxBytes}`
      throw new OciError('BLOB_TOO_LARGE', { message: 'the image would be evicted again', detail: { reason } })
    }
    await forEach(this.#blobs.values(), blobsAtOnce, signal, async (blob, signal) => {
      using _slot = await this.#components.slots.take({ signal })
      await this.#fetch(blob, signal)
    })
    return {
      name,
      digest,
      manifests: this.#manifests.size,
      blobs: this.#blobs.size,
      size: this.size,
      fetched: sum(Object.values(this.#came)),
      sources: this.#came,
    }
  }

  /** Gets a manifest, and those of an index that are wanted */
  async #walk(reference: Reference, depth: number, signal: AbortSignal): Promise<Digest> {
    const { repository } = this.image
    const manifest = await repository.manifest(reference, { fresh: true, signal })
    if (this.#manifests.has(manifest.digest)) {
      return manifest.digest
    }
    this.#manifests.add(manifest.digest)
    if (depth > maxDepth || this.#manifests.size > maxManifests) {
      const reason = `it has more than ${maxManifests} manifests, or ${maxDepth} indexes above one another`
      throw new OciError('MANIFEST_INVALID', { detail: { reason } })
    }
    const { blobs, manifests } = parseStoredManifest(await manifest.read({ signal }), manifest.mediaType)
    for (const blob of blobs) {
      this.#blobs.set(blob.digest, blob)
    }
    for (const { digest } of this.#wanted(manifests)) {
      await this.#walk({ digest }, depth + 1, signal)
    }
    return manifest.digest
  }

  /** As clients do: a manifest without a platform is for everybody, and so is the only one of an index */
  #wanted(manifests: readonly Descriptor[]): readonly Descriptor[] {
    const { platforms } = this.#init
    if (platforms === 'all' || manifests.length < 2) {
      return manifests
    }
    const wanted = manifests.filter(
      manifest =>
        (manifest as { platform?: unknown }).platform === undefined ||
        platforms.some(platform => matchesPlatform(platformOf(manifest), platform)),
    )
    if (wanted.length === 0) {
      const there = manifests.map(platformOf).filter(platform => platform !== undefined)
      const reason = `it has ${there.map(formatPlatform).join(', ') || 'no platforms'}`
      throw new OciError('MANIFEST_UNKNOWN', {
        message: `the image has nothing for ${platforms.map(formatPlatform).join(' or ')}`,
        detail: { reason },
      })
    }
    return wanted
  }

  async #fetch(blob: Descriptor, signal: AbortSignal): Promise<void> {
    const fetch = await this.image.repository.fetchMissing(blob, { signal })
    if (fetch !== undefined) {
      using _hold = fetch.hold()
      this.#fetches.set(fetch, fetch.progress.came)
      try {
        await raceSignal(fetch.whole, signal)
      } finally {
        addTo(this.#came, since(this.#fetches.get(fetch)!, fetch))
        this.#fetches.delete(fetch)
      }
    }
    this.#whole += blob.size
  }
}

export function addTo(sums: CameFrom, more: CameFrom): void {
  for (const [kind, bytes] of Object.entries(more) as Array<[SourceKind, number]>) {
    sums[kind] = (sums[kind] ?? 0) + bytes
  }
}

export function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0)
}

/** Bytes that have come of a blob; none where it began anew, as what had come was not right */
function since(before: CameFrom, { progress }: BlobFetch): CameFrom {
  const kinds = Object.entries(progress.came) as Array<[SourceKind, number]>
  return Object.fromEntries(kinds.map(([kind, bytes]) => [kind, Math.max(0, bytes - (before[kind] ?? 0))]))
}
