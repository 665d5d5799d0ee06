import type { Descriptor } from '../../oci/manifest/descriptor.ts'
import { OciError } from '../../oci/errors.ts'
import { parseStoredManifest, type Manifest } from '../../oci/manifest/manifest.ts'
import type { Reference } from '../../oci/reference.ts'
import type { FoundManifest, RequestOptions } from '../repository.ts'
import { readSmallBlob, type SignatureSource } from './read-signature.ts'
import { isAttachedTag } from './formats/signature-format.ts'

/** Bytes that are read to find out whether something is an attachment */
const maxManifestBytes = 1024 * 1024
const maxTextBytes = 4 * 1024 * 1024
const maxTexts = 32

const imageConfig = /^application\/vnd\.(oci\.image\.config|docker\.container\.image)\./i
const imageLayer = /^application\/vnd\.(oci\.image\.layer|docker\.image\.rootfs)\./i
/** `{}`, the config of what is no image */
const emptyConfig = 'sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a'

/**
 * Whether a manifest is about an image, as signatures, attestations and SBOMs are, and nothing that a client could run:
 * anybody who may push can give any image a subject
 */
export async function isAttachment(
  source: SignatureSource,
  reference: Reference,
  { mediaType, read, size }: FoundManifest,
  options: RequestOptions,
): Promise<boolean> {
  if (size > maxManifestBytes) {
    return false
  }
  try {
    const manifest = parseStoredManifest(await read(options), mediaType)
    const isAttached = manifest.subject !== undefined || isAttachedTag(reference.tag ?? '')
    return isAttached && (await isHarmless(source, manifest, options))
  } catch (err) {
    options.signal?.throwIfAborted()
    if (err instanceof OciError && err.code === 'MANIFEST_INVALID') {
      return false
    }
    throw err
  }
}

async function isHarmless(
  source: SignatureSource,
  { blobs: [config, ...layers], kind, others }: Manifest,
  options: RequestOptions,
): Promise<boolean> {
  if (kind !== 'image' || config === undefined) {
    // an index runs nothing by itself: what it lists is pulled and asked about on its own
    return kind === 'index' || kind === 'artifact'
  }
  if (config.digest === emptyConfig) {
    return true
  }
  // layers that clients fetch from elsewhere are among the others
  if ([...layers, ...others].some(({ mediaType }) => imageLayer.test(mediaType))) {
    return false
  }
  return !imageConfig.test(config.mediaType) || (await areTexts(source, layers, options))
}

/** cosign 2 gives signatures the config of an image, and older clients run what has one, whatever its layers say */
async function areTexts(
  source: SignatureSource,
  layers: readonly Descriptor[],
  options: RequestOptions,
): Promise<boolean> {
  if (layers.length > maxTexts) {
    return false
  }
  for (const { digest } of layers) {
    const bytes = await readSmallBlob(source, digest, maxTextBytes, options)
    if (bytes === undefined || !isText(bytes)) {
      return false
    }
  }
  return true
}

/** No archive is UTF-8 without a zero byte */
function isText(bytes: Uint8Array): boolean {
  try {
    new TextDecoder('utf-8', { fatal: true }).decode(bytes)
    return !bytes.includes(0)
  } catch {
    return false
  }
}
