import type { ContentReader } from '../../ipfs/content-store.ts'
import type { Reference } from '../../oci/reference.ts'
import { findBlob, readManifest } from '../../registry/image/read-image.ts'
import { ClientError } from '../../remote/errors.ts'
import type { AbortOptions } from '../../remote/abort-options.ts'
import type { ImageSource } from '../images/image-source.ts'

/**
 * An image in IPFS, in any layout that IPDR programs and OCI tools write
 *
 * @param root CID of the image root
 * @param close stops what the reader belongs to, once the source is closed or if there is no image
 * @throws ClientError if there is no image
 */
export async function openContentSource(
  reader: ContentReader,
  root: string,
  options: AbortOptions = {},
  close: () => Promise<void> = async () => {},
): Promise<ImageSource> {
  try {
    const latest: Reference = { tag: 'latest' }
    const top = await readManifest(reader, root, latest, options)
    if (top === undefined) {
      throw new ClientError(`/ipfs/${root} is not an image`)
    }
    return {
      top: { bytes: top.bytes, digest: top.digest, mediaType: top.manifest.mediaType },
      manifest: async ({ digest }, options) => (await readManifest(reader, root, { digest }, options))?.bytes,
      blob: async function* ({ digest }, options) {
        const found = await findBlob(reader, root, digest, options)
        if (found === undefined) {
          throw new ClientError(`/ipfs/${root} does not have the blob ${digest}`)
        }
        yield* reader.read(found.cid, options)
      },
      [Symbol.asyncDispose]: close,
    }
  } catch (err) {
    await close()
    throw err
  }
}
