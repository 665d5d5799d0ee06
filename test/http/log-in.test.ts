/** How people log in by a browser, at a real provider of OpenID Connect */
import assert from 'node:assert/strict'
import { after, afterEach, before, describe, it } from 'node:test'
import type { AuditRecord } from '../../src/access/audit/audit-log.ts'
import { basic, bearer } from '../fixtures/access.ts'
import { TestApp } from '../fixtures/app.ts'
import { audience } from '../fixtures/issuer.ts'
import { me, readable, startLogInTest, type LogInTest } from '../fixtures/log-in.ts'
import { registryClient, workloadClient } from '../fixtures/login-provider.ts'
import { Visitor } from '../fixtures/visitor.ts'

const records: AuditRecord[] = []
let test: LogInTest
before(async () => {
  test = await startLogInTest({ auditLog: { write: record => void records.push(record) } })
})
after(async () => {
  await test[Symbol.asyncDispose]()
})
afterEach(() => {
  test.provider.intercept = undefined
  test.use()
})

describe('a person', () => {
  it('logs in at a provider, and groups by claims decide what there is to see', async () => {
    for (const [user, groups, expected] of [
      ['alice', ['corp:developers'], ['team/app']],
      ['bob', ['corp:sales'], ['sales/app']],
      ['carol', [], []],
    ] as const) {
      const visitor = new Visitor()
      const form = await visitor.open(`${test.url}/auth/login?issuer=corp&to=/v2/_catalog?n=5`)
      const page = await visitor.logIn(form, user)
      assert.equal(page.url, `${test.url}/v2/_catalog?n=5`)
      assert.deepEqual(JSON.parse(page.text), { repositories: expected })
      assert.deepEqual(await readable(test, visitor), expected)
      const { expires, ...rest } = await me(test, visitor)
      assert.deepEqual(rest, { name: `corp:${user}`, kind: 'user', groups, issuers: ['corp'] })
      const hours = (Date.parse(String(expires)) - Date.now()) / 3_600_000
      assert.ok(hours > 7.9 && hours <= 8)
      assert.deepEqual(
        [...visitor.cookies.get('127.0.0.1')!.keys()].filter(name => name.startsWith('ipdr')),
        ['ipdr-session'],
      )
    }
  })

  it('needs not name the issuer where there is one, and then sees who he is', async () => {
    const visitor = new Visitor()
    const page = await visitor.logIn(await visitor.open(`${test.url}/auth/login`), 'alice')
    assert.equal(page.url, `${test.url}/auth/me`)
    test.use({ issuers: `  next: { issuer: 'https://next.invalid', login: { clientId: x } }` })
    const several = await visitor.open(`${test.url}/auth/login`)
    assert.equal(several.status, 400)
    assert.match(several.text, /issuer must be one of corp, next/)
    const wrong = await visitor.open(`${test.url}/auth/login?issuer=other`)
    assert.equal(wrong.status, 404)
  })

  it('is asked for by a code with PKCE, a state and a nonce', async () => {
    const visitor = new Visitor()
    const { status, headers } = await visitor.send('GET', `${test.url}/auth/login?issuer=corp`)
    const { origin, searchParams } = new URL(String(headers['location']))
    const asked = Object.fromEntries(searchParams)
    assert.deepEqual([status, origin], [302, test.provider.url])
    for (const name of ['state', 'nonce', 'code_challenge']) {
      assert.match(asked[name]!, /^[\w-]{43}$/)
      assert.notEqual(asked[name], new URL((await test.begin()).url).searchParams.get(name))
      delete asked[name]
    }
    assert.deepEqual(asked, {
      client_id: registryClient.id,
      code_challenge_method: 'S256',
      redirect_uri: `${test.url}/auth/callback`,
      response_type: 'code',
      scope: 'openid groups',
    })
    assert.match(
      visitor.seen.join(),
      /^ipdr-log-in=[\w.-]+; Max-Age=600; Path=\/; Expires=[^;]+; HttpOnly; SameSite=Lax$/,
    )
  })

  it('is known by claims that the provider tells at its userinfo endpoint alone', async () => {
    await using other = await startLogInTest({}, { inIdToken: false })
    const visitor = await other.visitor('alice')
    const { text } = await visitor.send('GET', `${other.url}/auth/me`)
    assert.deepEqual((JSON.parse(text) as { groups: unknown }).groups, ['corp:developers'])
    assert.ok(other.provider.requests.includes('GET /me'))
  })

  it('is recorded, and so is who fails, without the code', async () => {
    records.length = 0
    const { visitor, page } = await test.atCallback('alice')
    await visitor.send('GET', page.url.replace('state=', 'state=x'))
    await visitor.send('GET', page.url)
    await visitor.send('POST', `${test.url}/auth/logout`, { headers: { Origin: test.url } })
    await visitor.send('POST', `${test.url}/auth/logout`, { headers: { Origin: test.url } })
    assert.deepEqual(
      records.map(({ action, outcome, who, path, status }) => [action, outcome, who, path, status]),
      [
        ['log-in', 'failed', undefined, '/auth/callback', 400],
        ['log-in', 'allowed', 'corp:alice', '/auth/callback', 302],
        ['log-out', 'allowed', 'corp:alice', '/auth/logout', 204],
      ],
    )
    const code = new URL(page.url).searchParams.get('code')!
    assert.doesNotMatch(JSON.stringify([records, test.app.stores.logged]), new RegExp(code))
  })
})

describe('a workload', () => {
  it('shows an access token of the same provider as a password and as a bearer token', async () => {
    test.use({ more: `audience: 'https://${audience}'`, issuers: '' })
    const token = await test.provider.workloadToken()
    const visitor = new Visitor()
    for (const headers of [bearer(token), basic('x', token)]) {
      const { status, text } = await visitor.send('GET', `${test.url}/auth/me`, { headers })
      assert.equal(status, 200)
      assert.equal((JSON.parse(text) as { name: string }).name, `corp:${workloadClient.id}`)
    }
    const elsewhere = await test.provider.workloadToken('https://elsewhere.example')
    assert.equal((await visitor.send('GET', `${test.url}/auth/me`, { headers: bearer(elsewhere) })).status, 401)
    test.use()
    assert.equal((await visitor.send('GET', `${test.url}/auth/me`, { headers: bearer(token) })).status, 401)
  })
})

describe('a registry without log-ins', () => {
  it('has none', async () => {
    await using app = await TestApp.start()
    for (const path of ['/auth/login', '/auth/callback?state=x&code=y', '/auth/login?issuer=corp']) {
      const { status, body } = await app.get(path)
      assert.equal(status, 404, String(body))
    }
    assert.deepEqual(JSON.parse(String((await app.get('/auth/me')).body)), {
      name: 'anonymous',
      kind: 'anonymous',
      groups: [],
      issuers: [],
    })
  })
})
