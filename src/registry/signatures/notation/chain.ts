import type { KeyObject } from 'node:crypto'
import type { Lasting } from '../formats/signature-format.ts'
import { describeSubject, isAccepted, type Trust } from '../formats/authority.ts'
import { Certificate } from '../formats/certificate.ts'

/** What is read of a chain, which anybody may make as long as he likes */
const maxChain = 10

export interface ChainQuestion {
  trust: Trust
  /** When the signer says that he signed; milliseconds since 1970 */
  signed: number
  /** Milliseconds since 1970 */
  now: number
}

/** Who signed, with which key and algorithm, and until when the certificates are valid; or why they don't count */
export type ChainVerdict =
  | { signer: string; key: KeyObject; algorithm: string; until: number }
  | ({ reason: string } & Lasting)

/**
 * Verifies the certificates of a signature, from the one that signs to the root
 *
 * Nobody is asked whether one was revoked, and timestamps of others are not looked at: so the certificates have to be
 * valid when they are verified.
 *
 * @param bytes DER
 */
export function verifyChain(bytes: readonly Uint8Array[], { now, signed, trust }: ChainQuestion): ChainVerdict {
  if (bytes.length === 0 || bytes.length > maxChain) {
    return { reason: `it has no chain of 1 to ${maxChain} certificates` }
  }
  let chain: Certificate[]
  try {
    chain = bytes.map(der => new Certificate(der))
    const problem = problemOf(chain, trust) ?? timeProblemOf(chain, now, signed)
    if (problem !== undefined) {
      return problem
    }
  } catch {
    return { reason: 'a certificate of it is malformed' }
  }
  const [leaf] = chain
  const { authority } = trustedIn(chain, trust)!
  const { publicKey: key } = leaf!.x509
  const algorithm = algorithmOf(key)
  return algorithm === undefined
    ? { reason: 'the key of its certificate is none that Notation signs with' }
    : {
        signer: `${authority.name} (${describeSubject(leaf!)})`,
        key,
        algorithm,
        until: Math.min(...chain.map(({ notAfter }) => notAfter)),
      }
}

function problemOf(chain: readonly Certificate[], trust: Trust): { reason: string } | undefined {
  const [leaf] = chain
  const trusted = trustedIn(chain, trust)
  if (trusted === undefined) {
    return { reason: 'its certificate is of none of the authorities of the configuration' }
  }
  if (!isChain(chain, trusted.position)) {
    return { reason: 'its certificates are no chain, each signed by the next with a good key' }
  }
  if (!leaf!.maySignCode()) {
    return { reason: 'its certificate is not for signing code' }
  }
  if (!chain.slice(1).every((authority, below) => authority.mayCertify(below))) {
    return { reason: 'a certificate of its chain may not certify others' }
  }
  return isAccepted(leaf!, trust.identities)
    ? undefined
    : { reason: 'its signer is none of the identities of the configuration' }
}

function trustedIn(
  chain: readonly Certificate[],
  { authorities }: Trust,
): { authority: Trust['authorities'][number]; position: number } | undefined {
  for (const [position, certificate] of chain.entries()) {
    const authority = authorities.find(({ certificates }) => certificates.some(known => known.isSame(certificate)))
    if (authority !== undefined) {
      return { authority, position }
    }
  }
  return undefined
}

/** Goes on from the trusted one, so that what strangers made up costs one verification */
function isChain(chain: readonly Certificate[], trusted: number): boolean {
  for (let i = trusted; i > 0; i--) {
    if (!chain[i - 1]!.isIssuedBy(chain[i]!)) {
      return false
    }
  }
  for (let i = trusted; i < chain.length - 1; i++) {
    if (!chain[i]!.isIssuedBy(chain[i + 1]!)) {
      return false
    }
  }
  return chain.at(-1)!.isSelfSigned() && chain.slice(0, -1).every(certificate => !certificate.isSelfSigned())
}

function timeProblemOf(
  chain: readonly Certificate[],
  now: number,
  signed: number,
): ({ reason: string } & Lasting) | undefined {
  const [begin, end] = [Math.max(...chain.map(each => each.notBefore)), Math.min(...chain.map(each => each.notAfter))]
  if (end < now) {
    return { reason: 'a certificate of it has expired' }
  }
  if (signed < begin || signed > end) {
    return { reason: 'it was signed when its certificates were not valid' }
  }
  return begin > now ? { reason: 'a certificate of it is not valid yet', until: begin - 1 } : undefined
}

/** The one that a key is for: none is taken from the signature without this */
function algorithmOf({ asymmetricKeyDetails, asymmetricKeyType }: KeyObject): string | undefined {
  const { modulusLength, namedCurve } = asymmetricKeyDetails ?? {}
  return algorithms.get(`${asymmetricKeyType} ${asymmetricKeyType === 'rsa' ? modulusLength : namedCurve}`)
}

const algorithms = new Map([
  ['rsa 2048', 'PS256'],
  ['rsa 3072', 'PS384'],
  ['rsa 4096', 'PS512'],
  ['ec prime256v1', 'ES256'],
  ['ec secp384r1', 'ES384'],
  ['ec secp521r1', 'ES512'],
])
