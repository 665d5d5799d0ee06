import { X509Certificate } from 'node:crypto'
import { AsnConvert } from '@peculiar/asn1-schema'
import {
  BasicConstraints,
  Certificate as CertificateFields,
  id_ce_basicConstraints,
  id_ce_keyUsage,
  KeyUsage,
  KeyUsageFlags,
  type Extension,
} from '@peculiar/asn1-x509'

/** With which a certificate may be signed; SHA-1 is forged at will */
const goodSignatures = /^(sha(256|384|512)WithRSAEncryption|ecdsa-with-SHA(256|384|512))$/
const goodCurves = new Set(['prime256v1', 'secp384r1', 'secp521r1'])
const [minRsaBits, maxRsaBits] = [2048, 8192]

const codeSigning = '1.3.6.1.5.5.7.3.3'
/** Server, client, e-mail, timestamps, answers about revocation, and anything */
const otherPurposes = new Set([...[1, 2, 4, 8, 9].map(last => `1.3.6.1.5.5.7.3.${last}`), '2.5.29.37.0'])

/**
 * A certificate, and what the Notary Project signature specification asks of it. Other extensions are not looked at, as
 * the specification wants it.
 *
 * @see https://github.com/notaryproject/specifications/blob/main/specs/signature-specification.md, its requirements
 */
export class Certificate {
  readonly x509: X509Certificate
  readonly #fields: CertificateFields

  /** @throws Error where the bytes, DER or PEM, are no certificate */
  constructor(bytes: Uint8Array | string) {
    this.x509 = new X509Certificate(bytes)
    this.#fields = AsnConvert.parse(this.x509.raw, CertificateFields)
  }

  /** Milliseconds since 1970 */
  get notBefore(): number {
    return this.x509.validFromDate.getTime()
  }

  /** Milliseconds since 1970 */
  get notAfter(): number {
    return this.x509.validToDate.getTime()
  }

  isSame(other: Certificate): boolean {
    return this.x509.raw.equals(other.x509.raw)
  }

  isSelfSigned(): boolean {
    return this.isIssuedBy(this)
  }

  /** Whether the names fit and the signature is the issuer's; verifies it on this thread, with a key of bounded size */
  isIssuedBy(issuer: Certificate): boolean {
    const { issuer: name } = this.#fields.tbsCertificate
    return (
      nameBytes(name).equals(nameBytes(issuer.#fields.tbsCertificate.subject)) &&
      issuer.hasGoodKey() &&
      goodSignatures.test(this.x509.signatureAlgorithm ?? '') &&
      this.x509.verify(issuer.x509.publicKey)
    )
  }

  hasGoodKey(): boolean {
    const { asymmetricKeyDetails, asymmetricKeyType } = this.x509.publicKey
    const { modulusLength = 0, namedCurve = '' } = asymmetricKeyDetails ?? {}
    return (
      (asymmetricKeyType === 'rsa' && modulusLength >= minRsaBits && modulusLength <= maxRsaBits) ||
      (asymmetricKeyType === 'ec' && goodCurves.has(namedCurve))
    )
  }

  /**
   * Whether it may certify others
   *
   * @param below how many authorities are between it and the certificate that signs
   */
  mayCertify(below: number): boolean {
    const found = this.#extension(id_ce_basicConstraints)
    if (found?.critical !== true) {
      return false
    }
    const { cA: isAuthority, pathLenConstraint } = AsnConvert.parse(found.extnValue.buffer, BasicConstraints)
    const isDeepEnough = pathLenConstraint === undefined || pathLenConstraint >= below
    return isAuthority && isDeepEnough && (this.#keyUsage() & KeyUsageFlags.keyCertSign) !== 0
  }

  /** Whether it may sign images, and nothing that somebody could take for something else */
  maySignCode(): boolean {
    const constraints = this.#extension(id_ce_basicConstraints)
    const purposes = this.x509.keyUsage as readonly string[] | undefined
    const fits = purposes === undefined || purposes.includes(codeSigning)
    return (
      (constraints === undefined || !AsnConvert.parse(constraints.extnValue.buffer, BasicConstraints).cA) &&
      (this.#keyUsage() & ~KeyUsageFlags.nonRepudiation) === KeyUsageFlags.digitalSignature &&
      fits &&
      purposes?.some(purpose => otherPurposes.has(purpose)) !== true
    )
  }

  /** Flags; 0 where it does not say, or says it without emphasis */
  #keyUsage(): number {
    const found = this.#extension(id_ce_keyUsage)
    return found?.critical === true ? AsnConvert.parse(found.extnValue.buffer, KeyUsage).toNumber() : 0
  }

  /** @throws Error where there are two of them, as readers would disagree about which counts */
  #extension(id: string): Extension | undefined {
    const found = this.#fields.tbsCertificate.extensions?.filter(({ extnID }) => extnID === id) ?? []
    if (found.length > 1) {
      throw new Error('a certificate has the same extension twice')
    }
    return found[0]
  }
}

function nameBytes(name: CertificateFields['tbsCertificate']['issuer']): Buffer {
  return Buffer.from(AsnConvert.serialize(name))
}
