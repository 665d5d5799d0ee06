import { isObject } from '../../../oci/manifest/manifest-fields.ts'
import { jsonObject, type Subject, type Verdict } from '../formats/signature-format.ts'
import type { Trust } from '../formats/authority.ts'
import { verifyChain } from './chain.ts'
import { readCoseEnvelope } from './cose-envelope.ts'
import { header, type Envelope } from './envelope.ts'
import { readJwsEnvelope } from './jws-envelope.ts'

const payloadType = 'application/vnd.cncf.notary.payload.v1+json'
const scheme = 'notary.x509'
/** Which a reader must know by the specification, and this one does */
const known = new Set<unknown>([header.scheme, header.expiry, 'alg', 'cty', header.signingTime])

const readers: ReadonlyMap<string, (bytes: Uint8Array) => Envelope | undefined> = new Map([
  ['application/jose+json', readJwsEnvelope],
  ['application/cose', readCoseEnvelope],
])

export function isNotationEnvelope(mediaType: string): boolean {
  return readers.has(mediaType)
}

export interface NotationQuestion {
  subject: Subject
  trust: Trust
  /** Milliseconds since 1970 */
  now: number
}

/**
 * Verifies a signature of Notation by the certificates of the configuration. Nobody is asked for anything: neither
 * whether a certificate was revoked, nor what time it was by a timestamp.
 *
 * @see https://github.com/notaryproject/specifications/blob/main/specs/signature-specification.md
 */
export async function verifyNotation(
  mediaType: string,
  bytes: Uint8Array,
  { now, subject, trust }: NotationQuestion,
): Promise<Verdict> {
  const envelope = readers.get(mediaType)?.(bytes)
  if (envelope === undefined) {
    return { reason: 'it is no valid envelope of Notation' }
  }
  const problem = headerProblemOf(envelope)
  if (problem !== undefined) {
    return { reason: problem }
  }
  const { algorithm, expires = Number.POSITIVE_INFINITY, signed } = envelope
  const chain = verifyChain(envelope.chain, { trust, now, signed: signed! })
  if ('reason' in chain) {
    return chain
  }
  if (algorithm !== chain.algorithm || !(await envelope.isSignedBy(chain.key, chain.algorithm))) {
    return { reason: 'it was not made with the key of its certificate' }
  }
  if (expires <= now) {
    return { reason: 'it has expired' }
  }
  const reason = payloadProblemOf(envelope.payload, subject)
  return reason === undefined
    ? { key: chain.signer, counts: true, until: Math.min(chain.until, expires - 1) }
    : { reason }
}

function headerProblemOf({ contentType, critical, expires, headers, ...envelope }: Envelope): string | undefined {
  if (envelope.scheme !== scheme) {
    return `its signing scheme is not ${scheme}`
  }
  if (contentType !== payloadType) {
    return 'what was signed is not about an image'
  }
  if (!critical.every(name => known.has(name) && headers.includes(name))) {
    return 'it has a critical header that this registry does not know'
  }
  const isCritical = (name: string): boolean => critical.includes(name)
  if (!isCritical(header.scheme) || (expires !== undefined && !isCritical(header.expiry))) {
    return 'a header is not critical that must be'
  }
  // what is no time is NaN, which no comparison finds right
  if (!((envelope.signed ?? Number.NaN) < (expires ?? Number.POSITIVE_INFINITY))) {
    return 'its times are no times, or it expires before it was signed'
  }
  return undefined
}

function payloadProblemOf(payload: Uint8Array, { digest, mediaType, size }: Subject): string | undefined {
  const artifact: unknown = jsonObject(payload)?.['targetArtifact']
  if (!isObject(artifact)) {
    return 'what was signed is not about an image'
  }
  const isMeant = artifact['digest'] === digest && artifact['size'] === size && artifact['mediaType'] === mediaType
  return isMeant ? undefined : 'it was made for another image'
}
