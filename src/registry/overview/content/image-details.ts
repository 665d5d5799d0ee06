import type { Caller } from '../../../access/caller.ts'
import type { Index } from '../../../index/index.ts'
import type { Descriptor } from '../../../oci/manifest/descriptor.ts'
import type { Digest } from '../../../oci/digest.ts'
import { parseStoredManifest, type Manifest } from '../../../oci/manifest/manifest.ts'
import { kindOfMediaType, type ManifestKind } from '../../../oci/manifest/manifest-media-type.ts'
import { formatPlatform, platformOf } from '../../../oci/manifest/platform.ts'
import type { Reference } from '../../../oci/reference.ts'
import type { Blob, FoundManifest, StoredRepository } from '../../repository.ts'
import type { SignaturePolicy } from '../../signatures/signature-policy.ts'
import type { Catalogue } from '../catalogue/catalogue.ts'
import { readConfig, type ImageConfig } from './image-config.ts'
import { limited, pairsOf, textOf, type Limited, type Pair } from './limited.ts'
import { ownSize, type OwnSizeInit } from './own-size.ts'
import { readReferrers, type Referrer } from './referrers.ts'
import type { Summaries } from './summary.ts'

/** What is parsed at once for a page, which takes milliseconds; bytes */
const maxManifestBytes = 1024 * 1024
const maxConfigBytes = 1024 * 1024
const [maxPlatforms, maxLayers, maxTags] = [64, 200, 50]

export interface Layer {
  digest: Digest
  mediaType: string | undefined
  /** Bytes */
  size: number
  /** Name of the file that it is, where it is one */
  title: string | undefined
  isHere: boolean
}

/** A manifest that an index lists */
export interface Variant {
  digest: Digest
  /** Undefined where the index gives none, as for attestations */
  platform: string | undefined
  artifactType: string | undefined
  /** Bytes; undefined where it is not here, or has too much to count */
  size: number | undefined
  isHere: boolean
}

/** What a page shows of one manifest, each list cut where it is too long */
export interface ImageDetails {
  repository: string
  digest: Digest
  /** CID of the image root */
  cid: string
  kind: ManifestKind | 'other'
  mediaType: string
  artifactType: string | undefined
  /** Bytes of all that it names and that is here; undefined where it is too much to count */
  size: number | undefined
  /** Of these, bytes that no other image has which the caller may pull; undefined where it is too much to count */
  ownSize: number | undefined
  /** When it was pushed, or a tag was last taken from it; ISO 8601 */
  updated: string | undefined
  /** Those that point at it and that the caller may pull */
  tags: Limited<string>
  /** Why nothing of its content is shown; undefined where it is */
  unread: 'too large' | 'malformed' | undefined
  variants: Limited<Variant>
  layers: Limited<Layer>
  /** Undefined where it has none that is an image's, or that can be read */
  config: ImageConfig | undefined
  annotations: Limited<Pair>
  /** The manifest that it is about, where it is a signature or the like */
  subject: Digest | undefined
  referrers: Limited<Referrer>
}

/** What an image is made of, as far as it could be read */
export interface ImageContent extends Pick<ImageDetails, 'repository' | 'digest' | 'kind' | 'mediaType' | 'unread'> {
  /** CID of the image root */
  root: string
  /** Undefined where it is not read */
  manifest: Manifest | undefined
  /** All blobs but the config of an image */
  layers: readonly Descriptor[]
  config: ImageConfig | undefined
}

export interface ImageReaderComponents {
  catalogue: Pick<Catalogue, 'entry' | 'tagsOf'>
  index: Pick<Index, 'blob' | 'isBlobOwned' | 'isLinked' | 'manifest' | 'manifests'>
  local: (name: string) => StoredRepository
  summaries: Pick<Summaries, 'size'>
  /** @default nothing is said of signatures */
  signatures?: Pick<SignaturePolicy, 'note'> | undefined
}

export class ImageReader {
  readonly #components: ImageReaderComponents

  constructor(components: ImageReaderComponents) {
    this.#components = components
  }

  /** @throws OciError MANIFEST_UNKNOWN; UNAVAILABLE where its blocks are missing or damaged */
  async read(repository: string, reference: Reference, caller: Caller, signal: AbortSignal): Promise<ImageDetails> {
    const { catalogue, index, local, signatures, summaries } = this.#components
    const content = await this.content(repository, reference, signal)
    const { config, digest, kind, layers, manifest, mediaType, root, unread } = content
    const record = await index.manifest(repository, digest)
    const visible = await catalogue.tagsOf(repository, digest, caller)
    return {
      repository,
      digest,
      cid: root,
      kind,
      mediaType,
      artifactType: textOf(manifest?.artifactType),
      size: record && (await summaries.size(repository, record)),
      ownSize: record && (await this.#ownSize({ digest, record, repository }, caller, signal)),
      updated: record?.updated,
      tags: limited(visible, maxTags, tag => tag),
      unread,
      variants: await this.#variants(repository, manifest?.manifests ?? []),
      layers: await this.#layers(repository, layers),
      config,
      annotations: pairsOf(manifest?.annotations),
      subject: manifest?.subject?.digest,
      referrers: await readReferrers({ signatures }, local(repository), digest, signal),
    }
  }

  async #ownSize(
    image: Pick<OwnSizeInit, 'digest' | 'record' | 'repository'>,
    caller: Caller,
    signal: AbortSignal,
  ): Promise<number | undefined> {
    const { catalogue, index } = this.#components
    const tagged = ((await catalogue.entry(image.repository))?.tags ?? []).map(({ digest }) => digest)
    // what somebody may not pull is nothing that a size may tell of
    const counts = (repository: string): boolean => caller.may({ action: 'pull', repository })
    return await ownSize(index, { ...image, tagged, counts }, signal)
  }

  /** @throws OciError as {@link read} */
  async content(repository: string, reference: Reference, signal: AbortSignal): Promise<ImageContent> {
    const found = await this.#components.local(repository).manifest(reference)
    const { digest, mediaType, root } = found
    const { manifest, unread } = await parse(found, signal)
    const kind = kindOfMediaType(mediaType) ?? 'other'
    const blobs = manifest?.blobs ?? []
    const config = kind === 'image' ? blobs[0] : undefined
    return {
      repository,
      digest,
      root,
      kind,
      mediaType,
      manifest,
      unread,
      layers: config === undefined ? blobs : blobs.slice(1),
      config: config && (await this.#config(repository, config, signal)),
    }
  }

  async #variants(repository: string, descriptors: readonly Descriptor[]): Promise<Limited<Variant>> {
    const { index, summaries } = this.#components
    const items = await Promise.all(
      descriptors.slice(0, maxPlatforms).map(async descriptor => {
        const { artifactType, digest } = descriptor
        const record = await index.manifest(repository, digest)
        const platform = platformOf(descriptor)
        return {
          digest,
          platform: platform && textOf(formatPlatform(platform)),
          artifactType: textOf(artifactType),
          size: record && (await summaries.size(repository, record)),
          isHere: record !== undefined,
        }
      }),
    )
    return { items, total: descriptors.length }
  }

  async #layers(repository: string, descriptors: readonly Descriptor[]): Promise<Limited<Layer>> {
    const items = await Promise.all(
      descriptors.slice(0, maxLayers).map(async ({ annotations, digest, mediaType, size }) => ({
        digest,
        mediaType: textOf(mediaType),
        size,
        title: textOf(annotations?.['org.opencontainers.image.title']),
        isHere: await this.#components.index.isLinked(repository, digest),
      })),
    )
    return { items, total: descriptors.length }
  }

  /** What can't be read now is left out, as the rest of the page is worth having */
  async #config(
    repository: string,
    { digest, mediaType, size }: Descriptor,
    signal: AbortSignal,
  ): Promise<ImageConfig | undefined> {
    if (!imageConfig.test(mediaType) || size > maxConfigBytes) {
      return undefined
    }
    try {
      const blob = await this.#components.local(repository).blob(digest)
      // the descriptor may say anything
      return blob.size > maxConfigBytes ? undefined : readConfig(await readBlob(blob, signal))
    } catch {
      signal.throwIfAborted()
      return undefined
    }
  }
}

const imageConfig = /^application\/vnd\.(oci\.image\.config|docker\.container\.image)\.v1\+json$/

async function parse(
  { mediaType, read, size }: FoundManifest,
  signal: AbortSignal,
): Promise<{ manifest?: Manifest; unread: ImageDetails['unread'] }> {
  if (size > maxManifestBytes) {
    return { unread: 'too large' }
  }
  const bytes = await read({ signal })
  try {
    return { manifest: parseStoredManifest(bytes, mediaType), unread: undefined }
  } catch {
    // of a version that accepted more
    return { unread: 'malformed' }
  }
}

async function readBlob({ read, size }: Blob, signal: AbortSignal): Promise<Uint8Array> {
  const bytes = new Uint8Array(size)
  let filled = 0
  for await (const chunk of read({ signal })) {
    bytes.set(chunk, filled)
    filled += chunk.byteLength
  }
  return bytes
}
