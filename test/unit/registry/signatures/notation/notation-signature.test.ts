import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { KeyUsageFlags } from '@peculiar/asn1-x509'
import { parseIdentity } from '../../../../../src/registry/signatures/formats/authority.ts'
import { verifyNotation } from '../../../../../src/registry/signatures/notation/notation-signature.ts'
import type { Verdict } from '../../../../../src/registry/signatures/formats/signature-format.ts'
import {
  authorityOf,
  issue,
  issueAuthority,
  type CertificateInit,
  type Issued,
} from '../../../../fixtures/code-signing.ts'
import { sha256 } from '../../../../fixtures/images.ts'
import { encode, ociIndex, ociManifest } from '../../../../fixtures/manifests.ts'
import { envelopeTypes, notationEnvelope, type EnvelopeInit } from '../../../../fixtures/notation.ts'

const hour = 3_600_000
const image = Buffer.from('an image')
const subject = { digest: sha256(image), size: image.byteLength, mediaType: ociManifest }
const root = issueAuthority({ name: 'root', kind: 'p384' })
const middle = issueAuthority({ name: 'middle', issuer: root, pathLength: 0 })
const release = issue({ name: 'release', issuer: middle })
const signedWith = 'corp (CN=release, O=Example)'

interface Case extends EnvelopeInit {
  signer?: Issued
  trusted?: Issued
  identities?: string[]
  /** Milliseconds from now */
  later?: number
}

async function verdictOf(given: Case = {}): Promise<Verdict> {
  const { identities = [], later = 0, signer = release, trusted = root, format = 'jws', ...init } = given
  const bytes = notationEnvelope(signer, { digest: subject.digest, size: subject.size }, { format, ...init })
  const trust = { authorities: [authorityOf(trusted)], identities: identities.map(parseIdentity) }
  return await verifyNotation(envelopeTypes[format], bytes, { subject, trust, now: Date.now() + later })
}

async function reasonOf(given: Case): Promise<string> {
  const verdict = await verdictOf(given)
  assert.ok('reason' in verdict, JSON.stringify(verdict))
  return verdict.reason
}

async function signerOf(given: Case = {}): Promise<string> {
  const verdict = await verdictOf(given)
  assert.ok('key' in verdict && verdict.counts, JSON.stringify(verdict))
  return verdict.key
}

/** A signer of its own, as an authority of its own makes it */
function signer(init: Partial<CertificateInit> = {}): Issued {
  return issue({ name: 'release', issuer: middle, ...init })
}

for (const format of ['jws', 'cose'] as const) {
  describe(`a signature of Notation, ${format}`, () => {
    it('is verified by a chain to an authority, and by any certificate of the chain', async () => {
      assert.equal(await signerOf({ format }), signedWith)
      assert.equal(await signerOf({ format, trusted: middle }), signedWith)
    })

    it('is verified by a certificate that signs itself', async () => {
      const own = issue({ name: 'release' })
      assert.equal(await signerOf({ format, signer: own, trusted: own }), signedWith)
    })

    for (const kind of ['p384', 'p521', 'rsa2048'] as const) {
      it(`is verified by a key of ${kind}`, async () => {
        assert.equal(await signerOf({ format, signer: signer({ kind }) }), signedWith)
      })
    }

    it('is valid until it expires, or a certificate of its chain does', async () => {
      const headers = { 'io.cncf.notary.expiry': new Date(Date.now() + hour / 2) }
      const verdict = await verdictOf({ format, headers })
      assert.ok(Math.abs(verdict.until! - headers['io.cncf.notary.expiry'].getTime()) <= 1000)
      assert.equal(await reasonOf({ format, headers, later: hour / 2 }), 'it has expired')
      assert.ok((await verdictOf({ format })).until! <= Date.now() + hour)
      assert.equal(await reasonOf({ format, later: 2 * hour }), 'a certificate of it has expired')
    })

    const refused: Array<[string, Case | (() => Case), RegExp]> = [
      [
        'of a changed payload',
        { tamper: ({ payload }) => ({ payload: Buffer.concat([payload, Buffer.from(' ')]) }) },
        /not made with the key/,
      ],
      [
        'of a changed signature',
        { tamper: ({ signature }) => ({ signature: Buffer.from(signature.map((b, i) => (i === 5 ? b ^ 1 : b))) }) },
        /not made with the key/,
      ],
      [
        'without a signature',
        { tamper: () => ({ signature: Buffer.alloc(0) }) },
        /no valid envelope|not made with the key/,
      ],
      ['of another key than the certificate', { signer: { ...release, key: signer().key } }, /not made with the key/],
      [
        'of another image',
        { artifact: { ...subject, digest: sha256(Buffer.from('other')) } },
        /made for another image/,
      ],
      ['of another size', { artifact: { ...subject, size: 1 } }, /made for another image/],
      ['of another media type', { artifact: { ...subject, mediaType: ociIndex } }, /made for another image/],
      ['of no descriptor', { payload: encode({ targetArtifact: 'x' }) }, /not about an image/],
      ['of no JSON', { payload: Buffer.from([255]) }, /not about an image/],
      ['of another type', { headers: { cty: 'text/plain' } }, /not about an image/],
      ['of another algorithm than that of the key', { algorithm: 'ES384' }, /not made with the key/],
      ['without an algorithm', { headers: { alg: format === 'jws' ? 'none' : undefined } }, /not made with the key/],
      [
        'of another signing scheme',
        { headers: { 'io.cncf.notary.signingScheme': 'notary.x509.signingAuthority' } },
        /signing scheme is not/,
      ],
      ['without a signing scheme', { headers: { 'io.cncf.notary.signingScheme': undefined } }, /signing scheme is not/],
      [
        'with an unknown critical header',
        { headers: { crit: ['io.cncf.notary.signingScheme', 'x.plugin'], 'x.plugin': 'y' } },
        /critical header/,
      ],
      [
        'with a critical header that is not there',
        { headers: { crit: ['io.cncf.notary.signingScheme', 'io.cncf.notary.expiry'] } },
        /critical header/,
      ],
      ['without critical headers', { headers: { crit: undefined } }, /not critical that must be/],
      [
        'whose expiry is not critical',
        { headers: { crit: ['io.cncf.notary.signingScheme'], 'io.cncf.notary.expiry': new Date(Date.now() + hour) } },
        /not critical that must be/,
      ],
      ['without a time', { headers: { 'io.cncf.notary.signingTime': undefined } }, /no times/],
      ['whose time is none', { headers: { 'io.cncf.notary.signingTime': 'yesterday' } }, /no times/],
      [
        'that expires before it was signed',
        { headers: { 'io.cncf.notary.expiry': new Date(Date.now() - hour) } },
        /expires before/,
      ],
      [
        'of a time before the certificate',
        { headers: { 'io.cncf.notary.signingTime': new Date(Date.now() - 5 * hour) } },
        /certificates were not valid/,
      ],
      ['without a chain', { chain: [] }, /no chain|no valid envelope/],
      ['whose chain is too long', { chain: Array.from({ length: 11 }, () => root.der) }, /no chain/],
      ['whose chain is no certificates', { chain: [Buffer.from('x')] }, /malformed/],
      [
        'of an unknown authority',
        { trusted: issueAuthority({ name: 'root', kind: 'p384' }) },
        /of none of the authorities/,
      ],
      ['whose chain ends before the root', { trusted: middle, chain: release.chain.slice(0, 2) }, /no chain/],
      ['whose chain is in another order', { chain: [release.der, root.der, middle.der] }, /no chain/],
      ['with the root twice', { chain: [...release.chain, root.der] }, /no chain/],
      [
        'by who names an authority that did not certify him',
        () => ({
          signer: {
            ...signer(),
            chain: [
              issue({ name: 'release', issuer: issueAuthority({ name: 'middle', issuer: root }) }).der,
              middle.der,
              root.der,
            ],
          },
        }),
        /no chain/,
      ],
      ['by an expired certificate', () => ({ signer: signer({ begins: -3 * hour, ends: -hour }) }), /has expired/],
      [
        'by a certificate of later',
        () => ({
          signer: signer({ begins: hour / 2, ends: hour }),
          headers: { 'io.cncf.notary.signingTime': new Date(Date.now() + 0.75 * hour) },
        }),
        /not valid yet/,
      ],
      [
        'by a certificate of servers',
        () => ({ signer: signer({ purposes: ['1.3.6.1.5.5.7.3.1'] }) }),
        /not for signing code/,
      ],
      [
        'by a certificate of servers and code',
        () => ({ signer: signer({ purposes: ['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.3'] }) }),
        /not for signing code/,
      ],
      [
        'by a certificate for anything',
        () => ({ signer: signer({ purposes: ['2.5.29.37.0', '1.3.6.1.5.5.7.3.3'] }) }),
        /not for signing code/,
      ],
      [
        'by a certificate that may encrypt',
        () => ({ signer: signer({ usage: KeyUsageFlags.digitalSignature | KeyUsageFlags.keyEncipherment }) }),
        /not for signing code/,
      ],
      [
        'by a certificate whose usage is no must',
        () => ({ signer: signer({ isUsageCritical: false }) }),
        /not for signing code/,
      ],
      ['by an authority itself', { signer: middle, trusted: middle }, /not for signing code/],
      [
        'by a certificate of no authority',
        () => ({ signer: signer({ issuer: issueAuthority({ name: 'x', issuer: root, isAuthority: false }) }) }),
        /may not certify/,
      ],
      [
        'by a certificate below an authority that may have none below',
        () => ({ signer: signer({ issuer: issueAuthority({ name: 'low', issuer: middle }) }) }),
        /may not certify/,
      ],
      [
        'by an authority that may not certify',
        () => ({
          signer: signer({ issuer: issueAuthority({ name: 'x', issuer: root, usage: KeyUsageFlags.cRLSign }) }),
        }),
        /may not certify/,
      ],
      ['by a chain of SHA-1', () => ({ signer: signer({ hash: 'sha1' }) }), /with a good key/],
      ['by a short key', () => ({ signer: signer({ kind: 'rsa1024' }) }), /none that Notation signs with/],
      [
        'by a key of Ed25519',
        () => ({ signer: signer({ kind: 'ed25519' }), algorithm: 'EdDSA' }),
        /none that Notation signs with/,
      ],
      [
        'by a chain with a short key',
        () => ({ signer: signer({ issuer: issueAuthority({ name: 'x', issuer: root, kind: 'rsa1024' }) }) }),
        /with a good key/,
      ],
      [
        'by somebody else of the authority',
        { identities: ['CN=other', 'CN=release, O=Other'] },
        /none of the identities/,
      ],
    ]
    for (const [what, given, reason] of refused) {
      it(`does not count ${what}`, async () => {
        assert.match(await reasonOf({ format, ...(typeof given === 'function' ? given() : given) }), reason)
      })
    }

    it('counts by one of the identities', async () => {
      assert.equal(await signerOf({ format, identities: ['CN=other', 'O=Example,CN=release'] }), signedWith)
    })

    it('is none where the bytes are cut, or are of the other format', async () => {
      const bytes = notationEnvelope(release, subject, { format })
      const question = { subject, trust: { authorities: [authorityOf(root)], identities: [] }, now: Date.now() }
      const other = format === 'jws' ? 'cose' : 'jws'
      for (const [type, part] of [
        [format, bytes.subarray(0, -1)],
        [format, Buffer.alloc(0)],
        [other, bytes],
      ] as const) {
        const verdict = await verifyNotation(envelopeTypes[type], part, question)
        assert.deepEqual(verdict, { reason: 'it is no valid envelope of Notation' })
      }
    })
  })
}
