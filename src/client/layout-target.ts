import { createHash } from 'node:crypto'
import { mkdir, open, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { createReadStream } from 'node:fs'
import { dirname, join } from 'node:path'
import { refName } from '../oci/annotations.ts'
import { algorithmOf, hexOf, type Digest } from '../oci/digest.ts'
import { parseManifest, type Descriptor } from '../oci/manifest.ts'
import { OCI_INDEX } from '../oci/media-types.ts'
import { ClientError } from './client-error.ts'
import type { ImageTarget } from './image-target.ts'

export const layoutFile = '{"imageLayoutVersion":"1.0.0"}'

/** Where a blob lies in an OCI image layout */
export function blobPath (digest: Digest): string {
  return `blobs/${algorithmOf(digest)}/${hexOf(digest)}`
}

/** An OCI image layout in a directory */
export class LayoutTarget implements ImageTarget {
  readonly #directory: string
  readonly #tag: string

  private constructor (directory: string, tag: string) {
    this.#directory = directory
    this.#tag = tag
  }

  /**
   * @param directory one that is not there yet, is empty, or is an OCI image layout, which the image is added to
   * @param tag of the image in the layout
   * @throws ClientError where the directory holds something else
   */
  static async open (directory: string, tag: string): Promise<LayoutTarget> {
    await mkdir(directory, { recursive: true })
    const names = await readdir(directory)
    if (names.length > 0 && !names.includes('oci-layout')) {
      throw new ClientError(`${directory} is neither empty nor an OCI image layout`)
    }
    return new LayoutTarget(directory, tag)
  }

  readonly hasBlob: ImageTarget['hasBlob'] = async ({ digest, size }, options) => {
    const path = this.#path(digest)
    const stats = await stat(path).catch(() => undefined)
    if (stats?.isFile() !== true || stats.size !== size) {
      return false
    }
    const hash = createHash(algorithmOf(digest))
    for await (const chunk of createReadStream(path, { signal: options?.signal })) {
      hash.update(chunk as Uint8Array)
    }
    return hash.digest('hex') === hexOf(digest)
  }

  readonly putBlob: ImageTarget['putBlob'] = async ({ digest }, bytes) => {
    const path = this.#path(digest)
    const partial = `${path}.partial`
    await mkdir(dirname(path), { recursive: true })
    try {
      const file = await open(partial, 'w')
      try {
        for await (const chunk of bytes()) {
          await file.write(chunk)
        }
      } finally {
        await file.close()
      }
      await rename(partial, path)
    } catch (err) {
      await rm(partial, { force: true })
      throw err
    }
  }

  readonly putManifest: ImageTarget['putManifest'] = async ({ bytes, digest, manifest, top }) => {
    await mkdir(dirname(this.#path(digest)), { recursive: true })
    await writeFile(this.#path(digest), bytes)
    if (top) {
      const descriptor = { mediaType: manifest.mediaType, digest, size: bytes.byteLength, annotations: { [refName]: this.#tag } }
      const manifests = [...await this.#others(), descriptor]
      await writeFile(join(this.#directory, 'oci-layout'), layoutFile)
      await writeFile(join(this.#directory, 'index.json'), JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests }))
    }
  }

  async #others (): Promise<Descriptor[]> {
    const index = await readFile(join(this.#directory, 'index.json')).catch(() => undefined)
    return index === undefined ? [] : parseManifest(index, OCI_INDEX).manifests.filter(({ annotations }) => annotations?.[refName] !== this.#tag)
  }

  #path (digest: Digest): string {
    return join(this.#directory, blobPath(digest))
  }
}
