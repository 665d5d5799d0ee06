import type { Descriptor } from '../../oci/manifest/descriptor.ts'
import { OciError } from '../../oci/errors.ts'
import { parseStoredManifest, type Manifest } from '../../oci/manifest/manifest.ts'
import type { Digest } from '../../oci/digest.ts'
import type { FoundManifest, Repository, RequestOptions } from '../repository.ts'
import { bundleType, notationType, simpleSigningType, type Question, type Verdict } from './formats/signature-format.ts'
import { verifyBundle } from './formats/sigstore-bundle.ts'
import { verifySimpleSigning } from './formats/simple-signing.ts'

/** What is read of signatures, which anybody who may push can make as large as he likes; bytes */
const maxManifestBytes = 512 * 1024
const maxBundleBytes = 1024 * 1024
const maxPayloadBytes = 64 * 1024
/** cosign 2 adds each new signature to the manifest with the earlier ones, as the last */
const maxLayers = 32

/** Where signatures are read: a repository of this registry, or one that is mirrored */
export type SignatureSource = Pick<Repository, 'blob' | 'manifest' | 'name' | 'referrers'>

/**
 * Verifies what the manifest of a signature holds
 *
 * @returns the verdict, and whether it is so for ever: the bytes of what can't be read now may come back
 * @throws what the signal says, and nothing else
 */
export async function verifySignature(
  source: SignatureSource,
  signature: FoundManifest,
  question: Question,
  options: RequestOptions,
): Promise<{ verdict: Verdict; isFinal: boolean }> {
  if (signature.size > maxManifestBytes) {
    return { verdict: { reason: 'it is too large to be verified' }, isFinal: true }
  }
  try {
    const manifest = await parsed(signature, options)
    return { verdict: await verdictOf(source, manifest, question, options), isFinal: true }
  } catch (err) {
    options.signal?.throwIfAborted()
    const isMalformed = err instanceof OciError && err.code === 'MANIFEST_INVALID'
    return { verdict: { reason: isMalformed ? 'it is malformed' : 'it can not be read now' }, isFinal: isMalformed }
  }
}

async function parsed({ mediaType, read }: FoundManifest, options: RequestOptions): Promise<Manifest> {
  return parseStoredManifest(await read(options), mediaType)
}

async function verdictOf(
  source: SignatureSource,
  { artifactType, blobs }: Manifest,
  question: Question,
  options: RequestOptions,
): Promise<Verdict> {
  if (artifactType === notationType) {
    return await ofNotation(source, blobs.slice(1), question, options)
  }
  let verdict: Verdict = { reason: 'it holds no signature that this registry knows' }
  for (const layer of blobs.slice(1).slice(-maxLayers).reverse()) {
    const found = await ofLayer(source, layer, question, options)
    verdict = found ?? verdict
    if (found !== undefined && 'key' in found) {
      return found
    }
  }
  return verdict
}

async function ofNotation(
  source: SignatureSource,
  [layer, ...others]: readonly Descriptor[],
  { digest, trust }: Question,
  options: RequestOptions,
): Promise<Verdict> {
  if (trust.authorities.length === 0) {
    return { reason: 'it is a signature of Notation, and no authority is configured whose certificates count' }
  }
  const { isNotationEnvelope, verifyNotation } = await import('./notation/notation-signature.ts')
  if (layer === undefined || others.length > 0 || !isNotationEnvelope(layer.mediaType)) {
    return { reason: 'it holds no signature that this registry knows' }
  }
  const subject = await source.manifest({ digest }, options)
  const bytes = await readSmallBlob(source, layer.digest, maxBundleBytes, options)
  return bytes === undefined
    ? { reason: 'it is too large to be verified' }
    : await verifyNotation(layer.mediaType, bytes, { subject, trust, now: Date.now() })
}

/** @returns undefined where the layer is no signature */
async function ofLayer(
  source: SignatureSource,
  { annotations, digest, mediaType }: Descriptor,
  question: Question,
  options: RequestOptions,
): Promise<Verdict | undefined> {
  if (mediaType !== bundleType && mediaType !== simpleSigningType) {
    return undefined
  }
  const isBundle = mediaType === bundleType
  const bytes = await readSmallBlob(source, digest, isBundle ? maxBundleBytes : maxPayloadBytes, options)
  if (bytes === undefined) {
    return { reason: 'it is too large to be verified' }
  }
  return isBundle
    ? await verifyBundle(bytes, question)
    : await verifySimpleSigning(bytes, annotations?.['dev.cosignproject.cosign/signature'], question)
}

/**
 * @returns undefined where the blob is larger
 * @throws OciError BLOB_UNKNOWN, UNAVAILABLE
 */
export async function readSmallBlob(
  source: Pick<SignatureSource, 'blob'>,
  digest: Digest,
  maxBytes: number,
  options: RequestOptions,
): Promise<Uint8Array | undefined> {
  const blob = await source.blob(digest, options)
  if (blob.size > maxBytes) {
    return undefined
  }
  const bytes = new Uint8Array(blob.size)
  let filled = 0
  for await (const chunk of blob.read(options)) {
    bytes.set(chunk, filled)
    filled += chunk.byteLength
  }
  return bytes
}
