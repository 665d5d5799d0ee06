import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { SignJWT, UnsecuredJWT, importJWK, type JWK } from 'jose'
import { parseAccessFile, type AccessRules } from '../../../../src/access/files/access-file.ts'
import { peerIdentity } from '../../../../src/access/rules/identity.ts'
import {
  newOperatorKey,
  publicKeyOf,
  readCertificate,
  signCertificate,
  verifyCertificate,
} from '../../../../src/access/files/peer-certificate.ts'
import { PeerTrust } from '../../../../src/access/files/peer-trust.ts'
import { parsePasswords } from '../../../../src/access/files/htpasswd.ts'
import { ApiKeys } from '../../../../src/access/files/api-keys.ts'
import type { AccessState } from '../../../../src/access/files/access-files.ts'
import { recordingLog } from '../../../fixtures/recording-log.ts'

const peer = '12D3KooWAKXBgFofa5KWnjAZ9AYoTGtR4VtXsXPJYBhNZhpZxJ9t'
const other = '12D3KooWGRUVh4ypEb6qqDzKYxg1ZqFkYbaCQXr7fB8T5V9Zzzzz'
const hour = 3600

const operator = await newOperatorKey()
const stranger = await newOperatorKey()

async function certificate(
  init: { key?: string; peer?: string; groups?: string[]; lifetime?: number } = {},
): Promise<string> {
  const { groups = ['appliances'], key = operator, lifetime = hour } = init
  return await signCertificate(key, { peer: init.peer ?? peer, groups, lifetime })
}

describe('a certificate of a peer', () => {
  it('says which groups the peer is in, and until when', async () => {
    const text = await certificate({ groups: ['a', 'b'] })
    const found = await verifyCertificate(text, peer, key => key === publicKeyOf(operator))
    const { expires, groups, id, peer: subject } = found
    assert.deepEqual({ groups, subject }, { groups: ['a', 'b'], subject: peer })
    assert.match(id, /^[0-9a-f-]{36}$/)
    assert.ok(Math.abs(expires - Date.now() - hour * 1000) < 5000)
    assert.deepEqual(await readCertificate(text), found)
  })

  it('counts for nothing where anything of it is wrong', async () => {
    const key = await importJWK(JSON.parse(operator) as JWK, 'EdDSA')
    const kid = publicKeyOf(operator)
    const good = ({ typ = 'ipdr-peer+jwt', aud = 'ipdr-peer', jti = true } = {}): SignJWT => {
      const jwt = new SignJWT({ groups: ['a'], ...(jti ? { jti: '1' } : {}) })
        .setProtectedHeader({ alg: 'EdDSA', typ, kid })
        .setSubject(peer)
        .setAudience(aud)
      return jwt.setIssuedAt().setExpirationTime('1h')
    }
    const trusts = (publicKey: string): boolean => publicKey === kid
    await verifyCertificate(await good().sign(key), peer, trusts)
    const [header, , signature] = (await certificate()).split('.')
    const forged = Buffer.from(
      JSON.stringify({ sub: peer, groups: ['root'], aud: 'ipdr-peer', iat: 1, exp: 9e9, jti: '1' }),
    )
    const table: Record<string, string> = {
      'for another peer': await certificate({ peer: other }),
      'by another key': await certificate({ key: stranger }),
      'by another key that says it is this one': await good().sign(
        await importJWK(JSON.parse(stranger) as JWK, 'EdDSA'),
      ),
      expired: await certificate({ lifetime: -1 }),
      unsigned: new UnsecuredJWT({ groups: ['a'] }).setSubject(peer).setAudience('ipdr-peer').setJti('1').encode(),
      'with other claims under the signature': `${header}.${forged.toString('base64url')}.${signature}`,
      'of another type, such as a token of a user': await good({ typ: 'JWT' }).sign(key),
      'for another audience': await good({ aud: 'ipdr' }).sign(key),
      'without an id': await good({ jti: false }).sign(key),
      'too long': `${await certificate()}${'a'.repeat(4096)}`,
      'no text of that kind': 'certificate',
      empty: '',
    }
    for (const [what, text] of Object.entries(table)) {
      await assert.rejects(verifyCertificate(text, peer, trusts), Error, what)
    }
  })

  it('is signed by the key of an operator, which no message quotes', async () => {
    for (const text of ['secret', '{}', 'null', '{"crv":"Ed25519","d":7,"x":"secret"}']) {
      await assert.rejects(certificate({ key: text }), { message: 'it holds no key of an operator' })
    }
    await assert.rejects(certificate({ groups: Array.from({ length: 500 }, (_, i) => `group-${i}`) }), {
      message: /longer than 4096 bytes/,
    })
  })
})

/** The rules of one moment, which tests replace */
class Files {
  state: AccessState | undefined

  constructor(trust?: { keys: string[]; revoked?: string[] }) {
    this.trust(trust)
  }

  trust(trust: { keys: string[]; revoked?: string[] } | undefined): void {
    const rules = `rules: []\n${trust === undefined ? '' : `trust: ${JSON.stringify(trust)}\n`}`
    this.state = {
      ...parseAccessFile('access.yml', rules),
      passwords: parsePasswords('htpasswd', ''),
      keys: new ApiKeys([]),
    }
  }
}

describe('what a peer shows', () => {
  const keys = [publicKeyOf(operator)]

  it('counts while the key is trusted, and only until it expires', async t => {
    const files = new Files({ keys })
    const trust = new PeerTrust({ files, log: recordingLog() })
    assert.equal(trust.groupsOf(peer), undefined)
    trust.show(peer, await certificate())
    assert.deepEqual(await trust.groupsOf(peer), ['appliances'])
    // no look-up waits once it is verified
    assert.deepEqual(trust.groupsOf(peer), ['appliances'])
    assert.equal(trust.groupsOf(other), undefined)

    files.trust(undefined)
    assert.equal(trust.groupsOf(peer), undefined)
    files.trust({ keys: [publicKeyOf(stranger)] })
    assert.equal(trust.groupsOf(peer), undefined)
    files.trust({ keys })
    assert.deepEqual(trust.groupsOf(peer), ['appliances'])
    t.mock.timers.enable({ apis: ['Date'], now: Date.now() + (hour + 1) * 1000 })
    assert.equal(trust.groupsOf(peer), undefined)
  })

  it('is revoked by the peer id or by the id of the certificate', async () => {
    const files = new Files({ keys })
    const trust = new PeerTrust({ files, log: recordingLog() })
    const text = await certificate()
    trust.show(peer, text)
    await trust.groupsOf(peer)
    for (const revoked of [peer, (await readCertificate(text)).id]) {
      files.trust({ keys, revoked: [revoked] })
      assert.equal(trust.groupsOf(peer), undefined)
      files.trust({ keys, revoked: ['another'] })
      assert.deepEqual(trust.groupsOf(peer), ['appliances'])
    }
  })

  it('is verified once the key is trusted, and once for each state of the rules', async () => {
    const files = new Files()
    const log = recordingLog()
    const trust = new PeerTrust({ files, log })
    trust.show(peer, await certificate())
    assert.equal(trust.groupsOf(peer), undefined)
    files.trust({ keys: [publicKeyOf(stranger)] })
    assert.ok(trust.groupsOf(peer) instanceof Promise)
    assert.equal(await trust.groupsOf(peer), undefined)
    for (let i = 0; i < 3; i++) {
      assert.equal(trust.groupsOf(peer), undefined)
    }
    assert.equal(log.lines.length, 1)
    files.trust({ keys })
    assert.deepEqual(await trust.groupsOf(peer), ['appliances'])
  })

  it('replaces what it showed before, and is forgotten with it', async () => {
    const trust = new PeerTrust({ files: new Files({ keys }), log: recordingLog() })
    trust.show(peer, await certificate())
    trust.show(peer, 'rubbish')
    assert.equal(await trust.groupsOf(peer), undefined)
    trust.show(peer, await certificate({ groups: ['b'] }))
    assert.deepEqual(await trust.groupsOf(peer), ['b'])
    trust.forget(peer)
    assert.equal(trust.groupsOf(peer), undefined)
  })
})

describe('rules', () => {
  it('know trusted peers, and those of a group', () => {
    const { rules }: AccessRules = parseAccessFile(
      'access.yml',
      `
trust: { keys: ['${publicKeyOf(operator)}'] }
rules:
  - { who: [trusted], repositories: ['shared/**'], actions: [pull] }
  - { who: ['group:appliances'], repositories: ['team/**'], actions: [pull] }
`,
    )
    const may = (groups: string[] | undefined): boolean[] =>
      ['shared/a', 'team/a'].map(
        repository => rules.decide(peerIdentity(peer, false, groups), { action: 'pull', repository }).allowed,
      )
    assert.deepEqual(
      [may(undefined), may([]), may(['appliances'])],
      [
        [false, false],
        [true, false],
        [true, true],
      ],
    )
  })

  it('are refused with keys that are none', () => {
    for (const trust of [
      '[]',
      '{}',
      '{ keys: [] }',
      '{ keys: [a] }',
      `{ keys: ['${publicKeyOf(operator)}'], revoked: 1 }`,
    ]) {
      assert.throws(
        () => parseAccessFile('access.yml', `rules: []\ntrust: ${trust}`),
        { name: 'AccessFileError' },
        trust,
      )
    }
  })
})
