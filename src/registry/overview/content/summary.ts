import { LRUCache } from 'lru-cache'
import type { Index, ManifestRecord } from '../../../index/index.ts'
import type { Digest } from '../../../oci/digest.ts'
import { kindOfMediaType, type ManifestKind } from '../../../oci/manifest/manifest-media-type.ts'
import { parseStoredManifest } from '../../../oci/manifest/manifest.ts'
import { formatPlatform, platformOf } from '../../../oci/manifest/platform.ts'
import type { StoredRepository } from '../../repository.ts'

/** Blobs and manifests that are looked at for one line of a list; what has more shows no size */
const maxParts = 500
/** Bytes of an index that is read for its platforms */
const maxIndexBytes = 512 * 1024
const maxPlatforms = 32
const maxKnown = 10_000

/** What a list says of an image */
export interface Summary {
  digest: Digest
  /** CID of the image root */
  cid: string
  kind: ManifestKind | 'other'
  /** Bytes of all that it names and that is here, each blob counted once; undefined where it is too much to count */
  size: number | undefined
  /** Those that an index names, such as `linux/amd64` */
  platforms: string[]
}

export interface SummariesComponents {
  index: Pick<Index, 'blob' | 'manifest'>
  local: (name: string) => StoredRepository
}

/** Says of images what a list shows, by a few look-ups for each */
export class Summaries {
  readonly #components: SummariesComponents
  /** By the digest of the index, which never changes */
  readonly #platforms = new LRUCache<Digest, string[]>({ max: maxKnown })

  constructor(components: SummariesComponents) {
    this.#components = components
  }

  /** Undefined where there is no such manifest (any more) */
  async of(repository: string, digest: Digest, signal: AbortSignal): Promise<Summary | undefined> {
    const record = await this.#components.index.manifest(repository, digest)
    if (record === undefined) {
      return undefined
    }
    return {
      digest,
      cid: record.root,
      kind: kindOfMediaType(record.mediaType) ?? 'other',
      size: await this.size(repository, record),
      platforms: await this.#platformsOf(repository, digest, record, signal).catch(() => []),
    }
  }

  /** As {@link Summary.size} */
  async size(repository: string, record: ManifestRecord): Promise<number | undefined> {
    const { index } = this.#components
    const blobs = new Set(record.blobs)
    let size = record.size
    for (const digest of record.manifests.length > maxParts ? [] : record.manifests) {
      const child = await index.manifest(repository, digest)
      size += child?.size ?? 0
      child?.blobs.forEach(blob => blobs.add(blob))
      if (blobs.size > maxParts) {
        return undefined
      }
    }
    if (blobs.size > maxParts || record.manifests.length > maxParts) {
      return undefined
    }
    for (const digest of blobs) {
      size += (await index.blob(digest))?.size ?? 0
    }
    return size
  }

  async #platformsOf(
    repository: string,
    digest: Digest,
    { mediaType, size }: ManifestRecord,
    signal: AbortSignal,
  ): Promise<string[]> {
    const known = this.#platforms.get(digest)
    if (known !== undefined || kindOfMediaType(mediaType) !== 'index' || size > maxIndexBytes) {
      return known ?? []
    }
    signal.throwIfAborted()
    const { read } = await this.#components.local(repository).manifest({ digest })
    const { manifests } = parseStoredManifest(await read({ signal }), mediaType)
    const names = manifests.flatMap(descriptor => platformOf(descriptor) ?? []).map(formatPlatform)
    const platforms = [...new Set(names)].slice(0, maxPlatforms).map(name => name.slice(0, 100))
    this.#platforms.set(digest, platforms)
    return platforms
  }
}
