import type { ContentReader } from '../../ipfs/content-store.ts'
import type { Reference } from '../../oci/reference.ts'
import { findBlob, readManifest } from '../../registry/image/read-image.ts'
import { ClientError } from '../errors.ts'
import type { AbortOptions } from '../abort-options.ts'
import type { ImageSource } from '../images/image-source.ts'

/**
 * An image in IPFS, in any of the layouts that IPDR programs and OCI tools have
 *
 * @param root CID of its image root
 * @param close ends what the reader is part of
 * @throws ClientError where there is no image
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
      throw new ClientError(`/ipfs/${root} is no image`)
    }
    return {
      top: { bytes: top.bytes, digest: top.digest, mediaType: top.manifest.mediaType },
      manifest: async ({ digest }, options) => (await readManifest(reader, root, { digest }, options))?.bytes,
      blob: async function* ({ digest }, options) {
        const found = await findBlob(reader, root, digest, options)
        if (found === undefined) {
          throw new ClientError(`/ipfs/${root} has not the blob ${digest}`)
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
