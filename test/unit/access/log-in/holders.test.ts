import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { parseAccessFile } from '../../../../src/access/files/access-file.ts'
import { ApiKeys } from '../../../../src/access/files/api-keys.ts'
import { holderOf, identityOf } from '../../../../src/access/log-in/holders.ts'
import { parsePasswords } from '../../../../src/access/files/htpasswd.ts'
import { htpasswd } from '../../../fixtures/access.ts'
import { makeKey } from '../../../fixtures/api-keys.ts'

const state = {
  ...parseAccessFile(
    'access.yml',
    `groups: { all: [alice, 'cert:node', 'ci:robot'] }
issuers: { ci: { issuer: 'https://ci.test', audience: here } }
rules: []`,
  ),
  passwords: parsePasswords('htpasswd', htpasswd({ alice: 'of alice' })),
  keys: new ApiKeys([makeKey('robot', ['team/**:pull']).key]),
}

describe('who has a name', () => {
  it('is a user, a key, a user of an issuer or whoever has a certificate', () => {
    const known = ['alice', 'key:robot', 'ci:robot', 'cert:node'].map(name =>
      identityOf(state, name, { groups: ['x'] }),
    )
    assert.deepEqual(
      known.map(identity => [identity?.kind, identity?.name, identity?.issuer, identity?.groups]),
      [
        ['user', 'alice', undefined, ['all']],
        ['key', 'key:robot', undefined, []],
        ['user', 'ci:robot', 'ci', ['x', 'all']],
        ['certificate', 'cert:node', undefined, ['all']],
      ],
    )
    for (const name of ['', 'bob', 'robot', 'key:alice', 'key:', 'other:robot']) {
      assert.equal(identityOf(state, name), undefined, name)
    }
  })

  it('holds a token only while he shows the certificate that it was issued for', () => {
    const holder = (subject: string, certificate?: string): string | undefined =>
      holderOf(state, { subject, fingerprint: undefined }, { address: undefined, certificate })?.name
    assert.equal(holder('cert:node', 'node'), 'cert:node')
    assert.deepEqual(
      [holder('cert:node'), holder('cert:node', 'other'), holder('cert:undefined')],
      Array(3).fill(undefined),
    )
  })
})
