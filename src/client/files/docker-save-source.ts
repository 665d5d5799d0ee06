/**
 * What `docker save` wrote before Docker Engine 25: a config, the layers as uncompressed tar archives, and no manifest.
 *
 * The manifest is made here, the same one that Docker Engine 25 makes. Layers stay uncompressed: so their digests are
 * those in the config, and an image has the same manifest on whatever machine it was saved. Compressing them would give
 * other digests with each version of zlib.
 */
import { isDigest, type Digest } from '../../oci/digest.ts'
import { OCI_MANIFEST } from '../../oci/manifest/media-types.ts'
import type { Descriptor } from '../../oci/manifest/descriptor.ts'
import { ClientError, listNames } from '../../remote/errors.ts'
import { readJson, type ImageFiles } from './image-files.ts'
import type { AbortOptions } from '../../remote/abort-options.ts'
import type { ImageSource } from '../images/image-source.ts'
import { digestOf } from '../images/verify-digest.ts'

const configType = 'application/vnd.oci.image.config.v1+json'
const layerType = 'application/vnd.oci.image.layer.v1.tar'

interface SavedImage {
  Config: string
  RepoTags: string[]
  Layers: string[]
}

/**
 * @param tag which image. @default the only one, or `latest` if there are several
 * @throws ClientError if the files are not those of `docker save`, or have no such image
 */
export async function openSavedSource(
  files: ImageFiles,
  tag: string | undefined,
  options: AbortOptions = {},
): Promise<ImageSource> {
  if ((await files.size('manifest.json')) === undefined) {
    throw new ClientError(`${files.name} is neither an OCI image layout nor the output of docker save`)
  }
  const image = choose(
    savedImages((await readJson(files, 'manifest.json', options)).value, files.name),
    tag,
    files.name,
  )
  const config = await readJson(files, image.Config, options)
  const { descriptors, paths } = await layersOf(files, image, config.value)
  const configDescriptor = { mediaType: configType, digest: digestOf(config.bytes), size: config.bytes.byteLength }
  const bytes = Buffer.from(
    JSON.stringify({ schemaVersion: 2, mediaType: OCI_MANIFEST, config: configDescriptor, layers: descriptors }),
  )
  return {
    top: { bytes, digest: digestOf(bytes), mediaType: OCI_MANIFEST },
    manifest: async () => undefined,
    blob: ({ digest }, options) => files.read(paths.get(digest) ?? image.Config, options),
    [Symbol.asyncDispose]: async () => {
      await files[Symbol.asyncDispose]()
    },
  }
}

async function layersOf(
  files: ImageFiles,
  image: SavedImage,
  config: unknown,
): Promise<{ descriptors: Descriptor[]; paths: Map<Digest, string> }> {
  const { rootfs } = (config ?? {}) as { rootfs?: { diff_ids?: unknown } | null }
  if (!Array.isArray(rootfs?.diff_ids)) {
    throw new ClientError(`${image.Config} in ${files.name} is not the config of an image`)
  }
  const digests = rootfs.diff_ids.filter(isDigest)
  if (digests.length !== image.Layers.length) {
    throw new ClientError(`${files.name} has ${image.Layers.length} layers, and the config names ${digests.length}`)
  }
  const descriptors: Descriptor[] = []
  const paths = new Map<Digest, string>()
  for (const [i, digest] of digests.entries()) {
    const path = image.Layers[i]!
    const size = await files.size(path)
    if (size === undefined) {
      throw new ClientError(`${files.name} has no ${path}`)
    }
    descriptors.push({ mediaType: layerType, digest, size })
    paths.set(digest, path)
  }
  return { descriptors, paths }
}

function savedImages(value: unknown, name: string): SavedImage[] {
  const images = Array.isArray(value) ? (value as Array<Partial<SavedImage> | null>) : []
  return images.map(image => {
    if (typeof image?.Config !== 'string' || !isTexts(image.Layers)) {
      throw new ClientError(`manifest.json in ${name} is not that of docker save`)
    }
    return { Config: image.Config, Layers: image.Layers, RepoTags: isTexts(image.RepoTags) ? image.RepoTags : [] }
  })
}

function choose(images: readonly SavedImage[], tag: string | undefined, name: string): SavedImage {
  const named = (wanted: string): SavedImage | undefined =>
    images.find(({ RepoTags }) => RepoTags.some(repoTag => repoTag.endsWith(`:${wanted}`)))
  const found = tag === undefined ? (images.length === 1 ? images[0] : named('latest')) : named(tag)
  if (found === undefined) {
    const names = images.flatMap(({ RepoTags }) => RepoTags)
    throw new ClientError(`${name} has no image ${tag ?? 'latest'}; it has: ${listNames(names)}`)
  }
  return found
}

function isTexts(value: unknown): value is string[] {
  return Array.isArray(value) && value.every(item => typeof item === 'string')
}
