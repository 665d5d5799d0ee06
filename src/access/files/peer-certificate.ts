/**
 * Certificates by which appliances of one operator know each other: JSON Web Signatures that say which groups a peer is
 * in, signed with the key of the operator. docs/decisions/012-peer-certificates.md has the whole of it.
 */
import { randomUUID } from 'node:crypto'
import type { JWK } from 'jose'

/** Longest certificate that is sent or read */
export const maxCertificateBytes = 4096
export const publicKeyPattern = /^ed25519:[A-Za-z0-9_-]{43}$/
const algorithm = 'EdDSA'
const type = 'ipdr-peer+jwt'
const audience = 'ipdr-peer'
const prefix = 'ed25519:'

/** What a certificate says */
export interface PeerCertificate {
  id: string
  peer: string
  groups: readonly string[]
  /** Milliseconds since 1970 */
  expires: number
  /** By which it is signed, as `access.yml` names it */
  publicKey: string
}

/** @returns the private key as it is stored */
export async function newOperatorKey(): Promise<string> {
  const { exportJWK, generateKeyPair } = await import('jose')
  const { privateKey } = await generateKeyPair(algorithm, { crv: 'Ed25519', extractable: true })
  return `${JSON.stringify(await exportJWK(privateKey))}\n`
}

/** @throws Error if the text is no key of an operator; the message has nothing of it */
export function publicKeyOf(operatorKey: string): string {
  const { crv, d, x } = parseOperatorKey(operatorKey)
  const publicKey = `${prefix}${String(x)}`
  if (crv !== 'Ed25519' || typeof d !== 'string' || !publicKeyPattern.test(publicKey)) {
    throw new Error('it holds no key of an operator')
  }
  return publicKey
}

/**
 * @param init.lifetime seconds
 * @throws Error if the text is no key of an operator, or the certificate would be too long
 */
export async function signCertificate(
  operatorKey: string,
  { groups, lifetime, peer }: { peer: string; groups: readonly string[]; lifetime: number },
): Promise<string> {
  const { SignJWT, importJWK } = await import('jose')
  const kid = publicKeyOf(operatorKey)
  const text = await new SignJWT({ groups })
    .setProtectedHeader({ alg: algorithm, typ: type, kid })
    .setSubject(peer)
    .setAudience(audience)
    .setIssuedAt()
    .setExpirationTime(`${lifetime}s`)
    .setJti(randomUUID())
    .sign(await importJWK(parseOperatorKey(operatorKey), algorithm))
  if (text.length > maxCertificateBytes) {
    throw new Error(`with so many groups it would be longer than ${maxCertificateBytes} bytes`)
  }
  return text
}

/**
 * @param peer that shows it
 * @param trusts whether a key counts
 * @throws Error where it is not for this peer, not signed by such a key, or has expired
 */
export async function verifyCertificate(
  text: string,
  peer: string,
  trusts: (publicKey: string) => boolean,
): Promise<PeerCertificate> {
  const { importJWK, jwtVerify } = await import('jose')
  const claimed = await readCertificate(text)
  // before a signature is verified, which takes longest
  if (claimed.peer !== peer || !trusts(claimed.publicKey)) {
    throw new Error('it is for another peer, or signed by a key that does not count here')
  }
  const key = await importJWK({ kty: 'OKP', crv: 'Ed25519', x: claimed.publicKey.slice(prefix.length) }, algorithm)
  await jwtVerify(text, key, {
    algorithms: [algorithm],
    typ: type,
    audience,
    subject: peer,
    requiredClaims: ['exp', 'iat', 'jti'],
  })
  return claimed
}

/**
 * What a certificate claims; nothing of it is verified
 *
 * @throws Error where it is none
 */
export async function readCertificate(text: string): Promise<PeerCertificate> {
  const { decodeJwt, decodeProtectedHeader } = await import('jose')
  if (text.length > maxCertificateBytes) {
    throw new Error(`it is longer than ${maxCertificateBytes} bytes`)
  }
  const { kid } = decodeProtectedHeader(text)
  const { exp, groups, jti, sub } = decodeJwt(text)
  if (
    typeof kid !== 'string' ||
    !publicKeyPattern.test(kid) ||
    typeof sub !== 'string' ||
    typeof jti !== 'string' ||
    typeof exp !== 'number' ||
    !Array.isArray(groups) ||
    !groups.every(group => typeof group === 'string')
  ) {
    throw new Error('it is no certificate of a peer')
  }
  return { id: jti, peer: sub, groups, expires: exp * 1000, publicKey: kid }
}

function parseOperatorKey(text: string): JWK {
  try {
    const key = JSON.parse(text) as JWK | null
    if (typeof key === 'object' && key !== null) {
      return key
    }
  } catch {
    // what is no JSON is no key
  }
  throw new Error('it holds no key of an operator')
}
