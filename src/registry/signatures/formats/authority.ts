import { Certificate } from './certificate.ts'

/** Certificates that are trusted to say who signs, by the name that people know them by */
export interface Authority {
  name: string
  certificates: readonly Certificate[]
}

/** What the subject of a signing certificate must have, such as `{ O: 'Example', CN: 'release' }` */
export type Identity = Readonly<Record<string, string>>

/** Whose signatures of Notation count */
export interface Trust {
  authorities: readonly Authority[]
  /** Any one of them is enough; none: whoever has a certificate of an authority may sign */
  identities: readonly Identity[]
}

const maxCertificates = 16
/** Characters that are shown */
const maxSubjectLength = 200
const pem = /-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----/g

/**
 * Reads certificates in PEM: of authorities, or such as sign themselves
 *
 * @throws Error whose message says what is wrong, and shows nothing of the text
 */
export function parseAuthority(name: string, text: string): Authority {
  if (text.includes('PRIVATE KEY')) {
    throw new Error('holds a private key, which belongs to whoever signs: give the certificate alone')
  }
  const found = text.match(pem) ?? []
  if (found.length === 0 || found.length > maxCertificates) {
    throw new Error(`must hold 1 to ${maxCertificates} certificates in PEM, from BEGIN to END CERTIFICATE`)
  }
  return { name, certificates: found.map(parseTrusted) }
}

function parseTrusted(text: string): Certificate {
  let certificate: Certificate
  let isTrusted: boolean
  try {
    certificate = new Certificate(text)
    isTrusted = certificate.mayCertify(0) || certificate.isSelfSigned()
  } catch (err) {
    throw new Error('holds no valid certificate', { cause: err })
  }
  if (!isTrusted) {
    throw new Error('must hold certificates of authorities, or such as sign themselves')
  }
  if (!certificate.hasGoodKey()) {
    throw new Error('must hold certificates of ECDSA P-256, P-384 or P-521, or of RSA of 2048 to 8192 bits')
  }
  return certificate
}

/** @param text such as `CN=release, O=Example` */
export function parseIdentity(text: string): Identity {
  const fields = text.split(',').map(field => field.trim())
  return Object.fromEntries(
    fields.map(field => [field.slice(0, field.indexOf('=')), field.slice(field.indexOf('=') + 1)]),
  )
}

/** Whether the subject of a certificate is one that may sign */
export function isAccepted({ x509 }: Certificate, identities: readonly Identity[]): boolean {
  const subject = subjectOf(x509)
  return (
    identities.length === 0 ||
    identities.some(identity => Object.entries(identity).every(([type, value]) => subject.get(type) === value))
  )
}

/** Such as `CN=release, O=Example`, for people */
export function describeSubject({ x509 }: Certificate): string {
  return [...subjectOf(x509)]
    .map(([type, value]) => `${type}=${value}`)
    .reverse()
    .join(', ')
    .slice(0, maxSubjectLength)
}

/** What occurs more than once, such as units of units, is one text of all */
function subjectOf(x509: Certificate['x509']): Map<string, string> {
  const subject = x509.toLegacyObject().subject as unknown as Record<string, string | string[]>
  return new Map(Object.entries(subject).map(([type, value]) => [type, [value].flat().join('+')]))
}
