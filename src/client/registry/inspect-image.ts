import type { Digest } from '../../oci/digest.ts'
import { isManifestType } from '../../oci/manifest/media-types.ts'
import type { Descriptor } from '../../oci/manifest/descriptor.ts'
import { parseManifest, type Manifest } from '../../oci/manifest/manifest.ts'
import { formatPlatform, platformOf } from '../../oci/manifest/platform.ts'
import type { Reference } from '../../oci/reference.ts'
import { ClientError, ResponseError } from '../../remote/errors.ts'
import { forEach } from '../../scheduling/for-each.ts'
import type { AbortOptions } from '../../remote/abort-options.ts'
import { maxIndexDepth } from '../images/image-source.ts'
import type { Fetching } from '../../remote/registry/distribution-api.ts'
import type { RegistryClient } from '../../remote/registry/registry-client.ts'
import { digestOf, verifyBytes } from '../images/verify-digest.ts'

/** Blobs whose CIDs are asked for at a time */
const concurrency = 8
/** Manifests of one image, below all its indexes */
const maxManifests = 10_000

export interface InspectedBlob {
  mediaType: string
  digest: Digest
  /** Bytes */
  size: number
  cid: string | undefined
}

export interface InspectedManifest {
  digest: Digest
  mediaType: string
  /** Of the image root */
  cid: string | undefined
  /** Such as `linux/amd64`, if the index above says so */
  platform?: string | undefined
  config?: InspectedBlob | undefined
  layers: InspectedBlob[]
  /** For an index: the manifests that it names and the registry has */
  manifests: InspectedManifest[]
  /** For an index: the manifests that it names and the registry does not have */
  missing: Digest[]
  /** Bytes of all manifests and blobs, each counted once */
  size: number
  /** Undefined where a mirror fetches nothing of it */
  fetching: Fetching | undefined
}

interface InspectOptions extends AbortOptions {
  /** Whether to ask for the CIDs of config and layers. @default false */
  blobs?: boolean
}

/** One walk from the top manifest downwards */
interface Walk extends InspectOptions {
  /** What was found so far, by digest: indexes may name a manifest more than once */
  seen: Map<Digest, Inspected>
  /** Indexes above */
  depth: number
}

/** A manifest, and the size of everything below it by digest */
interface Inspected {
  manifest: InspectedManifest
  sizes: Map<Digest, number>
}

/**
 * Describes an image of a registry, down to its layers
 *
 * @throws ClientError, OciError
 */
export async function inspectImage(
  client: RegistryClient,
  repository: string,
  reference: Reference,
  options: InspectOptions = {},
): Promise<InspectedManifest> {
  return (await inspectTree(client, repository, reference, { ...options, seen: new Map(), depth: 0 })).manifest
}

async function inspectTree(
  client: RegistryClient,
  repository: string,
  reference: Reference,
  options: Walk,
): Promise<Inspected> {
  const known = reference.digest === undefined ? undefined : options.seen.get(reference.digest)
  if (known !== undefined) {
    return known
  }
  if (options.depth > maxIndexDepth) {
    throw new ClientError(`${client.host} has an image with more than ${maxIndexDepth} nested indexes`)
  }
  if (options.seen.size >= maxManifests) {
    throw new ClientError(`${client.host} has an image of more than ${maxManifests} manifests`)
  }
  const found = await inspectOne(client, repository, reference, options)
  options.seen.set(found.manifest.digest, found)
  return found
}

async function inspectOne(
  client: RegistryClient,
  repository: string,
  reference: Reference,
  options: Walk,
): Promise<Inspected> {
  const { bytes, fetching, mediaType, root } = await client.manifest(
    repository,
    reference.digest ?? reference.tag,
    options,
  )
  if (reference.digest !== undefined) {
    verifyBytes(bytes, reference.digest)
  }
  const manifest = parseManifest(bytes, mediaType)
  const digest = reference.digest ?? digestOf(bytes)
  const blobs = await blobsOf(client, repository, manifest, options)
  const { children, missing } = await childrenOf(client, repository, manifest, options)
  const sizes = new Map([
    [digest, bytes.byteLength],
    ...manifest.blobs.map(({ digest, size }) => [digest, size] as const),
    ...children.flatMap(({ sizes }) => [...sizes]),
  ])
  const size = sizes.values().reduce((total, bytes) => total + bytes, 0)
  return {
    manifest: {
      digest,
      mediaType: manifest.mediaType,
      cid: root,
      ...blobs,
      manifests: children.map(({ manifest }) => manifest),
      missing,
      size,
      fetching: sumOf([fetching, ...children.map(({ manifest }) => manifest.fetching)]),
    },
    sizes,
  }
}

function sumOf(all: ReadonlyArray<Fetching | undefined>): Fetching | undefined {
  return all.reduce(
    (sum, one) => (sum && one ? { here: sum.here + one.here, size: sum.size + one.size } : (sum ?? one)),
    undefined,
  )
}

async function blobsOf(
  client: RegistryClient,
  repository: string,
  manifest: Manifest,
  { blobs = false, signal }: InspectOptions,
): Promise<Pick<InspectedManifest, 'config' | 'layers'>> {
  const cids = new Map<Digest, string | undefined>()
  if (blobs) {
    await forEach(manifest.blobs, concurrency, signal, async ({ digest }, signal) => {
      cids.set(digest, await client.blobCid(repository, digest, { signal }))
    })
  }
  const [config, ...layers] = manifest.blobs.map(({ digest, mediaType, size }) => ({
    mediaType,
    digest,
    size,
    cid: cids.get(digest),
  }))
  return config === undefined ? { layers: [] } : { config, layers }
}

async function childrenOf(
  client: RegistryClient,
  repository: string,
  { manifests }: Manifest,
  options: Walk,
): Promise<{ children: Inspected[]; missing: Digest[] }> {
  const children: Inspected[] = []
  const missing: Digest[] = []
  for (const child of manifests.filter(({ mediaType }) => isManifestType(mediaType))) {
    try {
      const { manifest, sizes } = await inspectTree(
        client,
        repository,
        { digest: child.digest },
        { ...options, depth: options.depth + 1 },
      )
      children.push({ manifest: { ...manifest, platform: formatted(child) }, sizes })
    } catch (err) {
      if (!(err instanceof ResponseError) || err.status !== 404) {
        throw err
      }
      missing.push(child.digest)
    }
  }
  return { children, missing }
}

function formatted(child: Descriptor): string | undefined {
  const platform = platformOf(child)
  return platform === undefined ? undefined : formatPlatform(platform)
}
