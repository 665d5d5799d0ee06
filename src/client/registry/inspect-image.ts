import { parseRoot, repositoryOf } from '../../oci/cid.ts'
import type { Digest } from '../../oci/digest.ts'
import { parseImageName } from '../../oci/image-name.ts'
import { isManifestType } from '../../oci/media-types.ts'
import type { Descriptor } from '../../oci/descriptor.ts'
import { parseManifest, type Manifest } from '../../oci/manifest.ts'
import type { Reference } from '../../oci/reference.ts'
import { ClientError, ResponseError } from '../errors.ts'
import { forEach } from '../../scheduling/for-each.ts'
import type { AbortOptions } from '../abort-options.ts'
import type { RegistryClient } from './registry-client.ts'
import { formatPlatform, platformOf } from '../images/select-platform.ts'
import { digestOf, verifyBytes } from '../images/verify-digest.ts'

/** Tags that are asked about at a time */
const concurrency = 8
/** Indexes below indexes, as where an image is copied */
const maxDepth = 8
/** Of one image, below all its indexes */
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
  /** As in `linux/amd64`, where an index says so */
  platform?: string | undefined
  config?: InspectedBlob | undefined
  layers: InspectedBlob[]
  /** Of an index, those that are there */
  manifests: InspectedManifest[]
  /** Of an index, those that it names and are not there */
  missing: Digest[]
  /** Bytes of all manifests and blobs, each counted once */
  size: number
}

interface InspectOptions extends AbortOptions {
  blobs?: boolean
}

/** One walk down from a manifest */
interface Walk extends InspectOptions {
  /** What was found, by digest: an image may be named more than once */
  seen: Map<Digest, Inspected>
  depth: number
}

/** A manifest, and the size of everything below it by digest */
interface Inspected {
  manifest: InspectedManifest
  sizes: Map<Digest, number>
}

export interface ListedTag {
  name: string
  tag: string
  digest: Digest
  cid: string | undefined
  size: number
}

/** The repository and reference that a text names: an image of the registry, or one in IPFS */
export function parseTarget(text: string): {
  host: string | undefined
  repository: string
  reference: Reference
  explicit: boolean
} {
  const root = parseRoot(text)
  return root === undefined
    ? parseImageName(text)
    : { host: undefined, repository: repositoryOf(root), reference: { tag: 'latest' }, explicit: true }
}

/**
 * What there is of an image, down to its layers
 *
 * @param options.blobs whether to ask for the CIDs of config and layers
 */
export async function inspect(
  client: RegistryClient,
  repository: string,
  reference: Reference,
  options: InspectOptions = {},
): Promise<InspectedManifest> {
  return (await inspectTree(client, repository, reference, { ...options, seen: new Map(), depth: 0 })).manifest
}

/** The tags of a repository, or of all */
export async function listTags(
  client: RegistryClient,
  repository: string | undefined,
  options: AbortOptions = {},
): Promise<ListedTag[]> {
  const names = repository === undefined ? await Array.fromAsync(client.repositories(options)) : [repository]
  const tags: Array<{ name: string; tag: string }> = []
  for (const name of names) {
    for await (const tag of client.tags(name, options)) {
      tags.push({ name, tag })
    }
  }
  const listed = new Map<{ name: string; tag: string }, ListedTag>()
  await forEach(tags, concurrency, options.signal, async (entry, signal) => {
    const { cid, digest, size } = await inspect(client, entry.name, { tag: entry.tag }, { signal })
    listed.set(entry, { ...entry, digest, cid, size })
  })
  return tags.map(entry => listed.get(entry)!)
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
  if (options.depth > maxDepth || options.seen.size >= maxManifests) {
    throw new ClientError(
      `${client.host} has an image of ${options.depth > maxDepth ? `more than ${maxDepth} indexes below each other` : `more than ${maxManifests} manifests`}`,
    )
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
  const { bytes, mediaType, root } = await client.manifest(repository, reference.digest ?? reference.tag, options)
  if (reference.digest !== undefined) {
    verifyBytes(bytes, reference.digest)
  }
  const manifest = parseManifest(bytes, mediaType)
  const digest = reference.digest ?? digestOf(bytes)
  const [blobs, { children, missing }] = [
    await blobsOf(client, repository, manifest, options),
    await childrenOf(client, repository, manifest, options),
  ]
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
    },
    sizes,
  }
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
