/**
 * An image as a tar archive: an OCI image layout, which for an image of one platform is also what every Docker Engine
 * loads:
 *
 * ```
 * blobs/<algorithm>/<hex>    every config, layer and manifest
 * oci-layout, index.json     the image and its tag
 * manifest.json              paths of config and layers, for docker load; not for an index
 * ```
 */
import type { Writable } from 'node:stream'
import type { Digest } from '../../oci/digest.ts'
import type { Descriptor } from '../../oci/manifest/descriptor.ts'
import { DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST } from '../../oci/manifest/media-types.ts'
import type { ImageTarget, TargetManifest } from '../images/image-target.ts'
import { refName } from '../../oci/manifest/annotations.ts'
import { blobPath, layoutFile } from './layout-paths.ts'
import { TarWriter } from './tar-writer.ts'

export interface ArchiveTargetInit {
  /** `host/repository`, the name that the image gets in the Docker Engine. @default none */
  repository?: string | undefined
  tag: string
}

export class ArchiveTarget implements ImageTarget {
  readonly #tar: TarWriter
  readonly #init: ArchiveTargetInit
  readonly #written = new Set<Digest>()
  /** The file that is written last: blobs come several at a time, and an archive takes one after the other */
  #last: Promise<unknown> = Promise.resolve()

  constructor(out: Writable, init: ArchiveTargetInit) {
    this.#tar = new TarWriter(out)
    this.#init = init
  }

  readonly hasBlob: ImageTarget['hasBlob'] = async ({ digest }) => this.#written.has(digest)

  readonly putBlob: ImageTarget['putBlob'] = async ({ digest, size }, bytes) => {
    await this.#inTurn(async () => {
      await this.#tar.file(blobPath(digest), size, bytes())
    })
    this.#written.add(digest)
  }

  async putManifest(target: TargetManifest): Promise<void> {
    const { bytes, digest, top } = target
    await this.#inTurn(async () => {
      await this.#tar.file(blobPath(digest), bytes.byteLength, [bytes])
    })
    if (top) {
      await this.#finish(target)
    }
  }

  async #finish(target: TargetManifest): Promise<void> {
    await this.#text('oci-layout', layoutFile)
    await this.#text(
      'index.json',
      JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests: [this.#descriptor(target)] }),
    )
    if ([OCI_MANIFEST, DOCKER_MANIFEST].includes(target.manifest.mediaType)) {
      const { repository, tag } = this.#init
      // parseManifest puts the config first
      const [config, ...layers] = target.manifest.blobs
      const RepoTags = repository === undefined ? null : [`${repository}:${tag}`]
      await this.#text(
        'manifest.json',
        JSON.stringify([
          { Config: blobPath(config!.digest), RepoTags, Layers: layers.map(({ digest }) => blobPath(digest)) },
        ]),
      )
    }
    await this.#tar.end()
  }

  #descriptor({ bytes, digest, manifest }: TargetManifest): Descriptor {
    const { repository, tag } = this.#init
    return {
      mediaType: manifest.mediaType,
      digest,
      size: bytes.byteLength,
      annotations: {
        [refName]: tag,
        ...(repository === undefined ? {} : { 'io.containerd.image.name': `${repository}:${tag}` }),
      },
    }
  }

  async #text(name: string, text: string): Promise<void> {
    const bytes = Buffer.from(text)
    await this.#tar.file(name, bytes.byteLength, [bytes])
  }

  async #inTurn(work: () => Promise<void>): Promise<void> {
    const turn = this.#last.then(work)
    this.#last = turn.catch(() => {})
    await turn
  }
}
