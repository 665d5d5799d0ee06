import { algorithmOf, hexOf, type Digest } from '../../../oci/digest.ts'
import { isObject } from '../../../oci/manifest/manifest-fields.ts'
import { isSignedBy } from './public-key.ts'
import { jsonObject, type Question, type Verdict } from './signature-format.ts'

const statementType = /^https:\/\/in-toto\.io\/Statement\/v(0\.1|1)$/
const signaturePredicate = 'https://sigstore.dev/cosign/sign/v1'

/**
 * Verifies a bundle of cosign 3 by keys: a statement that names the digest of the image, in a signed envelope. What the
 * bundle has of a transparency log or of timestamps is not looked at, as nothing is asked of others here.
 *
 * @see https://docs.sigstore.dev/about/bundle/
 * @see https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md
 */
export async function verifyBundle(bytes: Uint8Array, { digest, keys }: Question): Promise<Verdict> {
  const envelope = await envelopeIn(bytes)
  if ('reason' in envelope) {
    return envelope
  }
  const { payload, payloadType, signature } = envelope
  for (const key of keys) {
    if (await isSignedBy(key, authenticated(payloadType, payload), signature)) {
      return payloadType === 'application/vnd.in-toto+json'
        ? verdictOf(payload, digest, key.name)
        : { reason: 'what was signed is no in-toto statement' }
    }
  }
  return { reason: 'it is by none of the keys of the configuration' }
}

interface Envelope {
  payload: Buffer
  payloadType: string
  signature: Buffer
}

async function envelopeIn(bytes: Uint8Array): Promise<Envelope | { reason: string }> {
  const { bundleFromJSON, isBundleWithDsseEnvelope, isBundleWithPublicKey } = await import('@sigstore/bundle')
  try {
    const bundle = bundleFromJSON(jsonObject(bytes))
    if (!isBundleWithPublicKey(bundle)) {
      return { reason: 'it was made with a certificate, and this registry verifies signatures by keys' }
    }
    if (!isBundleWithDsseEnvelope(bundle)) {
      return { reason: 'it has no statement about the image' }
    }
    const { payload, payloadType, signatures } = bundle.content.dsseEnvelope
    return { payload, payloadType, signature: signatures[0]!.sig }
  } catch {
    return { reason: 'it is no valid bundle' }
  }
}

/**
 * What is signed of an envelope
 *
 * @see https://github.com/secure-systems-lab/dsse/blob/master/protocol.md
 */
function authenticated(type: string, payload: Buffer): Buffer {
  const head = `DSSEv1 ${Buffer.byteLength(type)} ${type} ${payload.byteLength} `
  return Buffer.concat([Buffer.from(head), payload])
}

function verdictOf(payload: Uint8Array, digest: Digest, key: string): Verdict {
  const { _type: type, predicateType, subject } = jsonObject(payload) ?? {}
  if (typeof type !== 'string' || !statementType.test(type) || !Array.isArray(subject)) {
    return { reason: 'what was signed is no in-toto statement' }
  }
  const hex = hexOf(digest)
  const isMeant = subject.some(
    (item: unknown) => isObject(item) && isObject(item['digest']) && item['digest'][algorithmOf(digest)] === hex,
  )
  return isMeant ? { key, counts: predicateType === signaturePredicate } : { reason: 'it was made for another image' }
}
