import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { parseAccessFile } from '../../../../src/access/files/access-file.ts'
import { ApiKeys, formatKeys, parseKeys, parseKeyScope } from '../../../../src/access/files/api-keys.ts'
import { makeKey } from '../../../fixtures/api-keys.ts'

describe('the scope of a key', () => {
  it('is a pattern of repositories and actions', () => {
    assert.deepEqual(parseKeyScope('team/**:pull,push'), { repositories: 'team/**', actions: ['pull', 'push'] })
    assert.deepEqual(parseKeyScope('host:5000/a:pull'), { repositories: 'host:5000/a', actions: ['pull'] })
  })

  it('is refused where it is anything else', () => {
    for (const text of ['', 'team', 'team:', ':pull', 'team:fly', 'team:pull,', 'a b:pull', 'team:pull push']) {
      assert.throws(() => parseKeyScope(text), RangeError, text)
    }
  })
})

describe('a file of API keys', () => {
  const { key, secret } = makeKey('ci', ['team/**:pull'], { owner: 'alice', expires: '2099-01-01T00:00:00.000Z' })

  it('holds keys, and no secret', () => {
    const text = formatKeys([key])
    assert.ok(!text.includes(secret))
    assert.deepEqual(parseKeys('api-keys.json', text), [key])
    assert.deepEqual(parseKeys('api-keys.json', formatKeys([])), [])
  })

  it('is refused where it is anything else', () => {
    const cases: [string, RegExp][] = [
      ['', /api-keys\.json, line 1, column 1: is no JSON/],
      ['{}', /keys: /],
      [formatKeys([key, key]), /two keys have the same name/],
      [formatKeys([{ ...key, name: 'a:b' }]), /keys\.0\.name: must be the name of a key/],
      [formatKeys([{ ...key, hash: secret }]), /keys\.0\.hash: must be a SHA-256/],
      [formatKeys([{ ...key, scopes: [] }]), /keys\.0\.scopes: must not be empty/],
      [formatKeys([{ ...key, scopes: ['a:fly'] }]), /keys\.0\.scopes\.0: must be a scope/],
      [formatKeys([{ ...key, expires: 'tomorrow' }]), /keys\.0\.expires: must be a time/],
    ]
    for (const [text, message] of cases) {
      assert.throws(() => parseKeys('api-keys.json', text), { name: 'AccessFileError', message }, text)
    }
  })

  it('finds a key by its secret alone, until it expires', () => {
    assert.equal(new ApiKeys([key]).find(secret), key)
    assert.equal(new ApiKeys([key]).find(key.hash), undefined)
    assert.equal(new ApiKeys([{ ...key, expires: new Date().toISOString() }]).find(secret), undefined)
  })
})

describe('a rule', () => {
  it('can deny something to a key, and allow it nothing', () => {
    const rule = (effect: string): string =>
      `rules: [{ who: [anonymous, 'key:ci'], repositories: ['a'], actions: [pull], effect: ${effect} }]`
    parseAccessFile('access.yml', rule('deny'))
    assert.throws(() => parseAccessFile('access.yml', rule('allow')), {
      message: /rules\.0\.who\.1: a key may do what/,
    })
  })
})
