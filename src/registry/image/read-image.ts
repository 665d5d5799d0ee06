/**
 * Finds manifests and blobs below an image root, whichever program made it:
 *
 * ```
 * manifests/latest, manifests/<tag>    this registry and older IPDR programs
 * manifests/latest-v2                  IPDR up to 0.1.6: the only manifest that it wrote
 * manifests/<digest>                   this registry and older IPDR programs
 * manifests/<algorithm>/<hex>          a fork of IPDR
 * index.json                           any OCI image layout: a tag is the annotation
 *                                      `org.opencontainers.image.ref.name`
 * blobs/<digest>                       this registry and older IPDR programs
 * blobs/<digest>/<hex>.json            IPDR up to 0.1.6: the config of an image
 * blobs/<algorithm>/<hex>              any OCI image layout
 * ```
 *
 * @see https://github.com/opencontainers/image-spec/blob/main/image-layout.md
 */
import { originOf, withOrigin } from '../../ipfs/blocks/block-origins.ts'
import type { ContentReader, Found, StoreOptions } from '../../ipfs/content-store.ts'
import { refName } from '../../oci/manifest/annotations.ts'
import { algorithmOf, digestOf, hexOf, requireDigest, type Digest } from '../../oci/digest.ts'
import { OciError } from '../../oci/errors.ts'
import type { Descriptor } from '../../oci/manifest/descriptor.ts'
import { parseManifest, type Manifest } from '../../oci/manifest/manifest.ts'
import { OCI_INDEX } from '../../oci/manifest/media-types.ts'
import type { Reference } from '../../oci/reference.ts'

/** Bytes that a manifest or an index.json may have at most, as in docker and containerd */
export const maxManifestBytes = 4 * 1024 * 1024

/** A manifest below an image root. Where it was asked for by digest, its bytes match the digest. */
export interface LayoutManifest {
  digest: Digest
  bytes: Uint8Array
  manifest: Manifest
  found: Found
}

/**
 * Finds the file of a manifest. The tag `latest` stands for the root's own manifest, whatever tag it was pushed with;
 * any other tag must be there by name. This does not check that the bytes match the digest: {@link readManifest} does.
 *
 * @returns undefined where there is none
 * @throws as {@link ContentReader.read}
 */
export async function findManifest(
  reader: ContentReader,
  root: string,
  reference: Reference,
  options: StoreOptions = {},
): Promise<Found | undefined> {
  return reference.digest === undefined
    ? await findByTag(reader, root, reference.tag, options)
    : await findByDigest(reader, root, reference.digest, options)
}

/**
 * Finds the file of a config or layer. The caller has to check that the bytes match the digest.
 *
 * @returns undefined where there is none
 * @throws as {@link ContentReader.read}
 */
export async function findBlob(
  reader: ContentReader,
  root: string,
  digest: Digest,
  options: StoreOptions = {},
): Promise<Found | undefined> {
  const found = await reader.find(root, ['blobs', digest], options)
  return found?.type === 'directory'
    ? await findFile(reader, found.cid, [[`${hexOf(digest)}.json`]], options)
    : (found ?? (await findFile(reader, root, [['blobs', algorithmOf(digest), hexOf(digest)]], options)))
}

/**
 * Finds and reads a manifest
 *
 * @param reference.mediaType what the manifest is, unless it names its own media type
 * @returns undefined where there is none
 * @throws OciError MANIFEST_INVALID where the file is not a manifest, DIGEST_INVALID where it has another digest;
 *   what {@link ContentReader.read} throws
 */
export async function readManifest(
  reader: ContentReader,
  root: string,
  reference: Reference & { mediaType?: string | undefined },
  options: StoreOptions = {},
): Promise<LayoutManifest | undefined> {
  const found = await findManifest(reader, root, reference, options)
  if (found === undefined) {
    return undefined
  }
  const bytes = await readSmall(reader, found, options)
  const digest = requireDigest(bytes, reference.digest)
  return { digest, bytes, manifest: parseManifest(bytes, reference.mediaType?.toLowerCase()), found }
}

/**
 * Reads the manifest for which an image root was made: the one that its `index.json` names
 *
 * @throws as {@link readManifest}, and MANIFEST_INVALID where there is none
 */
export async function readTopManifest(
  reader: ContentReader,
  root: string,
  options: StoreOptions = {},
): Promise<LayoutManifest> {
  const descriptor = tagged(await layoutIndex(reader, root, options), 'latest')
  const top = descriptor && (await readManifest(reader, root, descriptor, options))
  if (top === undefined) {
    throw new OciError('MANIFEST_INVALID', { detail: { reason: 'the root leads to no manifest' } })
  }
  return top
}

async function findByTag(
  reader: ContentReader,
  root: string,
  tag: string,
  options: StoreOptions,
): Promise<Found | undefined> {
  const named = await findFile(reader, root, [['manifests', tag]], options)
  if (named !== undefined) {
    return named
  }
  const descriptor = tagged(await layoutIndex(reader, root, options), tag)
  if (descriptor !== undefined) {
    return await findByDigest(reader, root, descriptor.digest, options)
  }
  return tag === 'latest' ? await findFile(reader, root, [['manifests', 'latest-v2']], options) : undefined
}

async function findByDigest(
  reader: ContentReader,
  root: string,
  digest: Digest,
  options: StoreOptions,
): Promise<Found | undefined> {
  const [algorithm, hex] = [algorithmOf(digest), hexOf(digest)]
  const places = [
    ['manifests', digest],
    ['blobs', algorithm, hex],
    ['blobs', digest],
    ['manifests', algorithm, hex],
  ]
  return (await findFile(reader, root, places, options)) ?? (await findNameless(reader, root, digest, options))
}

/** Finds a manifest in a layout where no file name has its digest, by hashing the file */
async function findNameless(
  reader: ContentReader,
  root: string,
  digest: Digest,
  options: StoreOptions,
): Promise<Found | undefined> {
  const found = await findFile(
    reader,
    root,
    [
      ['manifests', 'latest-v2'],
      ['manifests', 'latest'],
    ],
    options,
  )
  const matches =
    found !== undefined &&
    found.size <= maxManifestBytes &&
    digestOf(algorithmOf(digest), await readSmall(reader, found, options)) === digest
  return matches ? found : undefined
}

/** @returns the first of the paths that leads to a file */
async function findFile(
  reader: ContentReader,
  root: string,
  paths: string[][],
  options: StoreOptions,
): Promise<Found | undefined> {
  for (const path of paths) {
    const found = await reader.find(root, path, options)
    if (found?.type === 'file') {
      return found
    }
  }
  return undefined
}

async function layoutIndex(reader: ContentReader, root: string, options: StoreOptions): Promise<Descriptor[]> {
  const found = await findFile(reader, root, [['index.json']], options)
  return found === undefined ? [] : parseManifest(await readSmall(reader, found, options), OCI_INDEX).manifests
}

/** Where a layout has only one image, `latest` finds it, whatever its tag is */
function tagged(manifests: Descriptor[], tag: string): Descriptor | undefined {
  const named = manifests.find(
    ({ annotations }) => annotations?.[refName] === tag || annotations?.[refName]?.endsWith(`:${tag}`),
  )
  return named ?? (tag === 'latest' && manifests.length === 1 ? manifests[0] : undefined)
}

/** @throws OciError MANIFEST_INVALID where the file is too large to be a manifest */
async function readSmall(reader: ContentReader, { cid, size }: Found, options: StoreOptions): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  let origin: ReturnType<typeof originOf>
  let total = 0
  for await (const chunk of reader.read(cid, options)) {
    total += chunk.byteLength
    if (Math.max(size, total) > maxManifestBytes) {
      throw new OciError('MANIFEST_INVALID', { detail: { reason: `is larger than ${maxManifestBytes} bytes` } })
    }
    // the reader may overwrite a chunk once it is asked for the next
    chunks.push(new Uint8Array(chunk))
    origin ??= originOf(chunk)
  }
  return withOrigin(Buffer.concat(chunks), origin)
}
