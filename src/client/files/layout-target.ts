import { createHash } from 'node:crypto'
import { lstat, mkdir, readdir, realpath } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { refName } from '../../oci/manifest/annotations.ts'
import { algorithmOf, hexOf, type Digest } from '../../oci/digest.ts'
import type { Descriptor } from '../../oci/manifest/descriptor.ts'
import { parseManifest } from '../../oci/manifest/manifest.ts'
import { OCI_INDEX } from '../../oci/manifest/media-types.ts'
import { ClientError } from '../../remote/errors.ts'
import { openRegular } from './confined-file.ts'
import { directoryFiles, readJson } from './image-files.ts'
import type { ImageTarget } from '../images/image-target.ts'
import { blobPath, layoutFile } from './layout-paths.ts'
import { makeBelow, writeWhole } from './atomic-file.ts'

/** Writes an image into a directory, as an OCI image layout */
export class LayoutTarget implements ImageTarget {
  readonly #directory: string
  readonly #tag: string

  private constructor(directory: string, tag: string) {
    this.#directory = directory
    this.#tag = tag
  }

  /**
   * @param directory one that does not exist yet, is empty, or is an OCI image layout, to which the image is added
   * @param tag of the image in the layout; an image that has it already loses it
   * @throws ClientError if the directory holds something else
   */
  static async open(directory: string, tag: string): Promise<LayoutTarget> {
    await mkdir(directory, { recursive: true })
    const names = await readdir(directory)
    if (names.length > 0 && !names.includes('oci-layout')) {
      throw new ClientError(`${directory} is neither empty nor an OCI image layout`)
    }
    return new LayoutTarget(await realpath(directory), tag)
  }

  readonly hasBlob: ImageTarget['hasBlob'] = async ({ digest, size }, options) => {
    const path = this.#path(digest)
    const stats = await lstat(path).catch(() => undefined)
    if (stats?.isFile() !== true || stats.size !== size) {
      return false
    }
    await using file = await openRegular(path)
    const hash = createHash(algorithmOf(digest))
    for await (const chunk of file.createReadStream({ autoClose: false, end: size, signal: options?.signal })) {
      hash.update(chunk as Uint8Array)
    }
    return hash.digest('hex') === hexOf(digest)
  }

  readonly putBlob: ImageTarget['putBlob'] = async ({ digest }, bytes) => {
    await makeBelow(this.#directory, dirname(blobPath(digest)))
    await writeWhole(this.#path(digest), bytes())
  }

  readonly putManifest: ImageTarget['putManifest'] = async ({ bytes, digest, manifest, top }) => {
    await makeBelow(this.#directory, dirname(blobPath(digest)))
    await writeWhole(this.#path(digest), [bytes])
    if (top) {
      const descriptor = {
        mediaType: manifest.mediaType,
        digest,
        size: bytes.byteLength,
        annotations: { [refName]: this.#tag },
      }
      const manifests = [...(await this.#others()), descriptor]
      await this.#write('oci-layout', layoutFile)
      await this.#write('index.json', JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests }))
    }
  }

  async #write(name: string, text: string): Promise<void> {
    await writeWhole(join(this.#directory, name), [Buffer.from(text)])
  }

  /** The images that the layout has under other tags */
  async #others(): Promise<Descriptor[]> {
    const files = directoryFiles(this.#directory)
    if ((await files.size('index.json')) === undefined) {
      return []
    }
    const { bytes } = await readJson(files, 'index.json')
    const { blobs, manifests } = parseManifest(bytes, OCI_INDEX)
    return [...blobs, ...manifests].filter(({ annotations }) => annotations?.[refName] !== this.#tag)
  }

  #path(digest: Digest): string {
    return join(this.#directory, blobPath(digest))
  }
}
