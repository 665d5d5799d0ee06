/**
 * Images in general: what a source is (image-source.ts), what a target is (image-target.ts), and the copy from one to
 * the other, which is this file. Beside it, select-platform.ts narrows a source down to one platform, and
 * verify-digest.ts compares bytes with their digests. Knows no particular source or target: these are in files/, ipfs/,
 * registry/ and engine/.
 */
import type { Digest } from '../../oci/digest.ts'
import type { Descriptor } from '../../oci/manifest/descriptor.ts'
import { parseManifest, type Manifest } from '../../oci/manifest/manifest.ts'
import { ClientError } from '../../remote/errors.ts'
import { forEach } from '../../scheduling/for-each.ts'
import type { AbortOptions } from '../../remote/abort-options.ts'
import { maxIndexDepth, type ImageSource, type SourceManifest } from './image-source.ts'
import type { ImageTarget } from './image-target.ts'
import { verified, verifyBytes } from './verify-digest.ts'

/** Blobs that are copied at a time */
const concurrency = 4

export interface CopyProgress {
  /** Called with the bytes of the blobs that a manifest names, before they are copied */
  found?: (bytes: number) => void
  /** Called for each blob before it is copied; `exists` means that the target has it already */
  blob?: (descriptor: Descriptor, exists: boolean) => void
  /** Called for each chunk of a blob, with its number of bytes */
  bytes?: (count: number) => void
}

export interface CopyOptions extends AbortOptions {
  progress?: CopyProgress
}

/**
 * Copies an image with every platform, byte for byte, and checks all bytes against their digests. Whatever a manifest
 * names is copied before it, so the target never has an image with something missing.
 *
 * @returns the manifests that an index names and the source does not have
 */
export async function copyImage(
  source: ImageSource,
  target: ImageTarget,
  options: CopyOptions = {},
): Promise<{ missing: Descriptor[] }> {
  verifyBytes(source.top.bytes, source.top.digest)
  const copy = new Copy(source, target, options)
  await copy.manifest(source.top, 0)
  return { missing: copy.missing }
}

class Copy {
  readonly #source: ImageSource
  readonly #target: ImageTarget
  readonly #options: CopyOptions
  readonly #done = new Set<Digest>()
  readonly missing: Descriptor[] = []

  constructor(source: ImageSource, target: ImageTarget, options: CopyOptions) {
    this.#source = source
    this.#target = target
    this.#options = options
  }

  async manifest({ bytes, digest, mediaType }: SourceManifest, depth: number): Promise<void> {
    if (depth > maxIndexDepth) {
      throw new ClientError(`${digest} lies below more than ${maxIndexDepth} indexes`)
    }
    const manifest = parseManifest(bytes, mediaType?.toLowerCase())
    await this.#children(manifest, depth)
    const blobs = manifest.blobs.filter(({ digest }) => this.#once(digest))
    this.#options.progress?.found?.(blobs.reduce((sum, { size }) => sum + size, 0))
    await forEach(blobs, concurrency, this.#options.signal, async (blob, signal) => {
      await this.#blob(blob, signal)
    })
    await this.#target.putManifest({ digest, bytes, manifest, top: depth === 0 }, this.#options)
  }

  async #children({ manifests }: Manifest, depth: number): Promise<void> {
    for (const child of manifests.filter(({ digest }) => this.#once(digest))) {
      const bytes = await this.#source.manifest(child, this.#options)
      if (bytes === undefined) {
        this.missing.push(child)
        continue
      }
      verifyBytes(bytes, child.digest)
      await this.manifest({ digest: child.digest, bytes, mediaType: child.mediaType }, depth + 1)
    }
  }

  async #blob(descriptor: Descriptor, signal: AbortSignal | undefined): Promise<void> {
    const { bytes, blob } = this.#options.progress ?? {}
    const exists = await this.#target.hasBlob(descriptor, { signal })
    blob?.(descriptor, exists)
    if (!exists) {
      await this.#target.putBlob(
        descriptor,
        () => counted(verified(this.#source.blob(descriptor, { signal }), descriptor), bytes),
        { signal },
      )
    }
  }

  /** True the first time only */
  #once(digest: Digest): boolean {
    return !this.#done.has(digest) && this.#done.add(digest) !== undefined
  }
}

async function* counted(
  bytes: AsyncIterable<Uint8Array>,
  count: ((bytes: number) => void) | undefined,
): AsyncGenerator<Uint8Array> {
  for await (const chunk of bytes) {
    count?.(chunk.byteLength)
    yield chunk
  }
}
