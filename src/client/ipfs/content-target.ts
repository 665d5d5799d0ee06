import type { Content, ContentStore } from '../../ipfs/content-store.ts'
import type { Digest } from '../../oci/digest.ts'
import { addImageRoot, type ImageRootComponents } from '../../registry/image/image-root.ts'
import { manifestRecord } from '../../registry/manifest-record.ts'
import type { ImageTarget, TargetManifest } from '../images/image-target.ts'

type Index = ImageRootComponents['index']
type ManifestRecord = NonNullable<Awaited<ReturnType<Index['manifest']>>>

/**
 * Writes an image into a content store as an image root, the same one (by its CID) that an appliance makes of the image
 */
export class ContentTarget implements ImageTarget {
  readonly #content: ContentStore
  readonly #blobs = new Map<Digest, Content>()
  readonly #manifests = new Map<Digest, ManifestRecord>()
  readonly #index: Index = {
    blob: async digest => this.#blobs.get(digest),
    isLinked: async (_repository, digest) => this.#blobs.has(digest),
    manifest: async (_repository, digest) => this.#manifests.get(digest),
  }
  /** CID of the image root, once the image is complete */
  root: string | undefined

  constructor(content: ContentStore) {
    this.#content = content
  }

  async hasBlob(): Promise<boolean> {
    return false
  }

  readonly putBlob: ImageTarget['putBlob'] = async ({ digest }, bytes) => {
    const writer = this.#content.writer()
    for await (const chunk of bytes()) {
      await writer.write(chunk)
    }
    this.#blobs.set(digest, await writer.close())
  }

  async putManifest({ bytes, digest, manifest, top }: TargetManifest): Promise<void> {
    const record = manifestRecord(manifest, await this.#content.add(bytes))
    this.#manifests.set(digest, { ...record, root: '' })
    if (top) {
      this.root = await addImageRoot({ content: this.#content, index: this.#index }, '', { digest, ...record })
      await this.#content.sync()
    }
  }
}
