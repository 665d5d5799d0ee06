import { isObject, isString } from '../../../oci/manifest/manifest-fields.ts'
import { isSignedBy } from './public-key.ts'
import { jsonObject, type Question, type Verdict } from './signature-format.ts'

const maxSignatureLength = 4096

/**
 * Verifies a signature of cosign 2: a small text that names the digest of the image, signed by a key
 *
 * @param signature in Base64, from the annotation of the layer
 * @see https://github.com/sigstore/cosign/blob/main/specs/SIGNATURE_SPEC.md
 */
export async function verifySimpleSigning(
  payload: Uint8Array,
  signature: unknown,
  { digest, keys }: Question,
): Promise<Verdict> {
  if (!isString(signature) || signature.length > maxSignatureLength) {
    return { reason: 'it has no signature' }
  }
  const bytes = Buffer.from(signature, 'base64')
  for (const key of keys) {
    if (await isSignedBy(key, payload, bytes)) {
      return verdictOf(payload, digest, key.name)
    }
  }
  return { reason: 'it is by none of the keys of the configuration' }
}

function verdictOf(payload: Uint8Array, digest: string, key: string): Verdict {
  const critical = objectIn(jsonObject(payload), 'critical')
  const signed = objectIn(critical, 'image')['docker-manifest-digest']
  if (critical['type'] !== 'cosign container image signature' || !isString(signed)) {
    return { reason: 'what was signed is not about an image' }
  }
  if (signed !== digest) {
    return { reason: 'it was made for another image' }
  }
  const name = objectIn(critical, 'identity')['docker-reference']
  return { key, counts: true, repository: isString(name) && name !== '' ? name : undefined }
}

function objectIn(value: Record<string, unknown> | undefined, name: string): Record<string, unknown> {
  const found = value?.[name]
  return isObject(found) ? (found as Record<string, unknown>) : {}
}
