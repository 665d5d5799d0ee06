import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { decodeProtectedHeader } from 'jose'
import { IssuerKeys, type IssuerKeysInit } from '../../../../src/access/issuers/issuer-keys.ts'
import type { Issuer } from '../../../../src/access/issuers/issuer.ts'
import { TestIssuer } from '../../../fixtures/issuer.ts'
import { recordingLog } from '../../../fixtures/recording-log.ts'
import { temporaryDirectory } from '../../../fixtures/temporary.ts'
import { until } from '../../../fixtures/until.ts'

const minute = 60_000

interface Keys {
  keys: IssuerKeys
  log: ReturnType<typeof recordingLog>
  clock: { now: number }
  stop: AbortController
}

function keysOf(issuer: TestIssuer, more: Partial<Issuer> = {}, init: Partial<IssuerKeysInit> = {}): Keys {
  const log = recordingLog()
  const clock = { now: 1_000_000_000 }
  const stop = new AbortController()
  const keys = new IssuerKeys(
    { log },
    { name: 'test', issuer: issuer.url, ...more },
    { directory: '/nowhere', signal: stop.signal, now: () => clock.now, ...init },
  )
  return { keys, log, clock, stop }
}

async function find({ keys }: Keys, token: string): Promise<unknown> {
  const [, payload = '', signature = ''] = token.split('.')
  return await keys.find(decodeProtectedHeader(token) as never, { payload, signature })
}

describe('the keys of an issuer', () => {
  it('are found by discovery, once for many tokens', async () => {
    await using issuer = await TestIssuer.start()
    const test = keysOf(issuer)
    const token = await issuer.token()
    await Promise.all(Array.from({ length: 20 }, async () => await find(test, token)))
    assert.deepEqual(issuer.requests, ['/.well-known/openid-configuration', '/jwks'])
  })

  it('are read again for a key that is not known, but not again and again', async () => {
    await using issuer = await TestIssuer.start()
    const test = keysOf(issuer, { jwks: `${issuer.url}/jwks` })
    await find(test, await issuer.token())
    await issuer.rotate()
    const token = await issuer.token()
    for (let i = 0; i < 20; i++) {
      await assert.rejects(find(test, token), { code: 'ERR_JWKS_NO_MATCHING_KEY' })
    }
    assert.equal(issuer.requests.length, 1)
    test.clock.now += minute
    await find(test, token)
    for (let i = 0; i < 20; i++) {
      await assert.rejects(find(test, await issuer.token({}, { kid: `x${i}` })), { code: 'ERR_JWKS_NO_MATCHING_KEY' })
    }
    assert.equal(issuer.requests.length, 2)
  })

  it('are used for a day when the issuer can not be reached, and nobody waits for it', async () => {
    await using issuer = await TestIssuer.start()
    const test = keysOf(issuer)
    const token = await issuer.token()
    await find(test, token)
    // never answers
    issuer.answer = () => {}
    test.clock.now += 23 * 60 * minute
    const started = performance.now()
    await find(test, token)
    assert.ok(performance.now() - started < 1000)
    issuer.answer = res => res.writeHead(500).end()
    test.stop.abort()
    await until('a complaint', () => test.log.lines.find(({ message }) => message.includes("can't be read")))
    test.clock.now += 2 * 60 * minute
    await assert.rejects(find(test, token), { name: 'KeysUnavailableError' })
  })

  it('are refused where they are too many, too large, of another issuer or elsewhere', async () => {
    await using issuer = await TestIssuer.start()
    const key = issuer.jwks.keys[0]!
    for (const [jwks, text, reason] of [
      ['/jwks', JSON.stringify({ keys: Array(200).fill(key) }), /no JSON Web Key Set of 1 to 100 keys/],
      ['/jwks', JSON.stringify({ keys: [] }), /no JSON Web Key Set/],
      ['/jwks', ' '.repeat(1024 * 1024 + 1), /more than 1048576 bytes/],
      ['/jwks', 'nonsense', /JSON/],
      [undefined, JSON.stringify({ issuer: 'https://other.test', jwks_uri: issuer.url }), /for another issuer/],
      [undefined, JSON.stringify({ issuer: issuer.url, jwks_uri: 'file:///etc/passwd' }), /no usable jwks_uri/],
    ] as const) {
      const test = keysOf(issuer, jwks === undefined ? {} : { jwks: `${issuer.url}${jwks}` })
      issuer.answer = res => res.end(text)
      await assert.rejects(find(test, await issuer.token()), { name: 'KeysUnavailableError' })
      assert.match(String(test.log.lines[0]?.fields['reason']), reason)
    }
    const redirected = keysOf(issuer, { jwks: `${issuer.url}/jwks` })
    issuer.answer = res => res.writeHead(302, { Location: `${issuer.url}/other` }).end()
    await assert.rejects(find(redirected, await issuer.token()), { name: 'KeysUnavailableError' })
    assert.ok(!issuer.requests.includes('/other'))
  })

  it('that can not be had are not asked for by each token', async () => {
    await using issuer = await TestIssuer.start()
    issuer.answer = res => res.writeHead(500).end()
    const test = keysOf(issuer)
    const token = await issuer.token()
    for (let i = 0; i < 20; i++) {
      await assert.rejects(find(test, token), { name: 'KeysUnavailableError' })
    }
    assert.equal(issuer.requests.length, 1)
    issuer.answer = undefined
    test.clock.now += minute
    await find(test, token)
  })

  it('are read from a file, and again when it changes', async () => {
    await using directory = await temporaryDirectory('jwks')
    await using issuer = await TestIssuer.start()
    const file = join(directory.path, 'keys.json')
    await writeFile(file, JSON.stringify(issuer.jwks))
    const test = keysOf(issuer, { jwks: 'keys.json' }, { directory: directory.path })
    const old = await issuer.token()
    await find(test, old)
    await issuer.rotate()
    await writeFile(file, JSON.stringify(issuer.jwks))
    test.clock.now += 2000
    await find(test, await issuer.token())
    await assert.rejects(find(test, old))
    assert.equal(issuer.requests.length, 0)
  })
})
