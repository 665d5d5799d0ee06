import type { Digest } from '../../oci/digest.ts'
import { refName } from '../../oci/manifest/annotations.ts'
import type { Descriptor } from '../../oci/manifest/descriptor.ts'
import { parseManifest } from '../../oci/manifest/manifest.ts'
import { OCI_INDEX } from '../../oci/manifest/media-types.ts'
import { ClientError, listNames } from '../../remote/errors.ts'
import { blobPath } from './layout-paths.ts'
import { openSavedSource } from './docker-save-source.ts'
import { readJson, type ImageFiles } from './image-files.ts'
import type { AbortOptions } from '../../remote/abort-options.ts'
import type { ImageSource } from '../images/image-source.ts'

/** Where the index of a layout has the tag or name of an image */
const nameAnnotations = [refName, 'io.containerd.image.name']

/**
 * An image in files: an OCI image layout, or what `docker save` writes. Closing the source closes the files.
 *
 * @param tag which image. @default the only one, or `latest` if there are several
 * @throws ClientError if there is no such image
 */
export async function openFilesSource(
  files: ImageFiles,
  tag: string | undefined,
  options: AbortOptions = {},
): Promise<ImageSource> {
  try {
    return (await files.size('index.json')) === undefined
      ? await openSavedSource(files, tag, options)
      : await openLayout(files, tag, options)
  } catch (err) {
    await files[Symbol.asyncDispose]()
    throw err
  }
}

async function openLayout(files: ImageFiles, tag: string | undefined, options: AbortOptions): Promise<ImageSource> {
  const { manifests } = parseManifest((await readJson(files, 'index.json', options)).bytes, OCI_INDEX)
  const { digest, mediaType } = choose(manifests, tag, files.name)
  const manifest = async (digest: Digest): Promise<Buffer | undefined> => {
    return (await files.size(blobPath(digest))) === undefined
      ? undefined
      : (await readJson(files, blobPath(digest), options)).bytes
  }
  const bytes = await manifest(digest)
  if (bytes === undefined) {
    throw new ClientError(`${files.name} does not have the manifest ${digest}, which its index.json names`)
  }
  return {
    top: { bytes, digest, mediaType },
    manifest: async ({ digest }) => await manifest(digest),
    blob: (descriptor, options) => readBlob(files, descriptor, options),
    [Symbol.asyncDispose]: async () => {
      await files[Symbol.asyncDispose]()
    },
  }
}

async function* readBlob(
  files: ImageFiles,
  { digest, size }: Descriptor,
  options: AbortOptions | undefined,
): AsyncGenerator<Uint8Array> {
  const found = await files.size(blobPath(digest))
  if (found === undefined) {
    throw new ClientError(`${files.name} does not have the blob ${digest}`)
  }
  if (found !== size) {
    throw new ClientError(`${files.name} has ${found} bytes instead of ${size} of the blob ${digest}`)
  }
  yield* files.read(blobPath(digest), options)
}

function choose(manifests: readonly Descriptor[], tag: string | undefined, name: string): Descriptor {
  const named = (wanted: string): Descriptor | undefined =>
    manifests.find(({ annotations }) => {
      return nameAnnotations.some(key => annotations?.[key] === wanted || annotations?.[key]?.endsWith(`:${wanted}`))
    })
  const only = new Set(manifests.map(({ digest }) => digest)).size === 1 ? manifests[0] : undefined
  const found = tag === undefined ? (only ?? named('latest')) : named(tag)
  if (found === undefined) {
    const names = manifests.map(
      ({ annotations, digest }) => nameAnnotations.map(key => annotations?.[key]).find(Boolean) ?? digest,
    )
    throw new ClientError(`${name} has no image ${tag ?? 'latest'}; it has: ${listNames(names)}`)
  }
  return found
}
