import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { readSignatureRules } from '../../../../src/appliance/checks/signature-inputs.ts'
import { parseConfig } from '../../../../src/config/load.ts'
import { issue, issueAuthority } from '../../../fixtures/code-signing.ts'
import { signingKey } from '../../../fixtures/signatures.ts'
import { temporaryDirectory, type TemporaryDirectory } from '../../../fixtures/temporary.ts'

const { pem, private: secret } = signingKey()
const spki = { type: 'spki', format: 'pem' } as const

describe('keys of images that must be signed', () => {
  let directory: TemporaryDirectory
  before(async () => {
    directory = await temporaryDirectory('keys')
  })
  after(async () => {
    await directory[Symbol.asyncDispose]()
  })
  async function rulesWith(content: string | Buffer | undefined): ReturnType<typeof readSignatureRules> {
    const path = join(directory.path, content === undefined ? 'none.pub' : 'release.pub')
    if (content !== undefined) {
      await writeFile(path, content)
    }
    return await readSignatureRules(parseConfig({ onlySigned: [{ repositories: 'prod/**', keys: [path] }] }))
  }

  it('are read and named for their files', async () => {
    assert.equal(await readSignatureRules(parseConfig({})), undefined)
    const { rules } = (await rulesWith(pem))!
    assert.deepEqual(
      rules.map(({ keys, refuse }) => [keys[0]!.name, refuse]),
      [['release', ['pulls']]],
    )
  })

  const refused: [string, string | Buffer | undefined, RegExp][] = [
    ['there is no file', undefined, /none\.pub can't be read: /],
    ['the file is empty', '', /must hold one public key in PEM/],
    ['the file is no PEM', Buffer.alloc(100_000, 7), /must hold one public key in PEM/],
    ['the key is private', secret.export({ type: 'pkcs8', format: 'pem' }), /holds a private key, which belongs/],
    ['there are two keys', pem + pem, /must hold one public key in PEM/],
    [
      'the key is malformed',
      '-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n',
      /holds no valid public key/,
    ],
    [
      'the curve is another',
      generateKeyPairSync('ec', { namedCurve: 'P-521' }).publicKey.export(spki),
      /must hold a key of ECDSA P-256 or P-384, Ed25519, or RSA of at least 2048 bits/,
    ],
    [
      'the key is short',
      generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey.export(spki),
      /must hold a key of/,
    ],
    ['the algorithm is another', generateKeyPairSync('x25519').publicKey.export(spki), /must hold a key of/],
  ]
  for (const [what, content, message] of refused) {
    it(`are refused where ${what}, with the field`, async () => {
      await assert.rejects(rulesWith(content), (err: Error) => {
        assert.equal(err.name, 'StartError')
        assert.match(err.message, /^onlySigned\[0\]\.keys\[0\]: /)
        assert.match(err.message, message)
        assert.doesNotMatch(err.message, /-----BEGIN/)
        return true
      })
    })
  }
})

describe('authorities of images that must be signed', () => {
  let directory: TemporaryDirectory
  before(async () => {
    directory = await temporaryDirectory('authorities')
  })
  after(async () => {
    await directory[Symbol.asyncDispose]()
  })
  const root = issueAuthority({ name: 'root' })
  const leaf = issue({ name: 'release', issuer: root })
  async function rulesWith(content: string): ReturnType<typeof readSignatureRules> {
    const path = join(directory.path, 'corp.crt')
    await writeFile(path, content)
    const rule = { repositories: 'prod/**', authorities: [path], identities: ['CN=release, O=Example'] }
    return await readSignatureRules(parseConfig({ onlySigned: [rule] }))
  }

  it('are read and named for their files', async () => {
    const { keys, trust } = (await rulesWith(root.pem + issue({ name: 'own' }).pem))!.rules[0]!
    assert.deepEqual(keys, [])
    assert.deepEqual(
      trust?.authorities.map(({ certificates, name }) => [name, certificates.length]),
      [['corp', 2]],
    )
    assert.deepEqual(trust?.identities, [{ CN: 'release', O: 'Example' }])
  })

  const refused: [string, string, RegExp][] = [
    ['there is none', 'x', /must hold 1 to 16 certificates in PEM/],
    ['there are too many', root.pem.repeat(17), /must hold 1 to 16 certificates in PEM/],
    ['a key is among them', root.pem + secret.export({ type: 'pkcs8', format: 'pem' }).toString(), /private key/],
    ['one is malformed', root.pem.replace('MII', 'MIJ').replace('MIIB', 'AAAA'), /holds no valid certificate/],
    ['one is of somebody who is no authority', leaf.pem, /must hold certificates of authorities/],
    ['one has a short key', issueAuthority({ name: 'x', kind: 'rsa1024' }).pem, /must hold certificates of ECDSA/],
  ]
  for (const [what, content, message] of refused) {
    it(`are refused where ${what}, with the field`, async () => {
      await assert.rejects(rulesWith(content), (err: Error) => {
        assert.equal(err.name, 'StartError')
        assert.match(err.message, /^onlySigned\[0\]\.authorities\[0\]: /)
        assert.match(err.message, message)
        assert.doesNotMatch(err.message, /-----BEGIN/)
        return true
      })
    })
  }
})
