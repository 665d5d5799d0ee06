/** How people log in by a browser, at a real provider of OpenID Connect */
import assert from 'node:assert/strict'
import { rm, writeFile } from 'node:fs/promises'
import { after, afterEach, before, describe, it } from 'node:test'
import type { AuditRecord } from '../../src/access/audit-log.ts'
import { basic, bearer } from '../fixtures/access.ts'
import { TestApp } from '../fixtures/app.ts'
import { audience } from '../fixtures/issuer.ts'
import { startLogInTest, type LogInTest } from '../fixtures/log-in.ts'
import { LoginProvider, registryClient, workloadClient } from '../fixtures/login-provider.ts'
import { Visitor, type Page } from '../fixtures/visitor.ts'

const repositories = ['team/app', 'sales/app']
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

/** Which repositories somebody can pull from */
async function readable(visitor: Visitor, headers: Record<string, string> = {}): Promise<string[]> {
  const pages = await Promise.all(
    repositories.map(async name => await visitor.send('GET', `${test.url}/v2/${name}/manifests/v1`, { headers })),
  )
  return repositories.filter((_, i) => pages[i]?.status === 200)
}

async function me(visitor: Visitor): Promise<Record<string, unknown>> {
  return JSON.parse((await visitor.send('GET', `${test.url}/auth/me`)).text) as Record<string, unknown>
}

/** Asserts that nobody was logged in, and that the answer is one line of text with these words */
async function assertRefused(visitor: Visitor, page: Page, status: number, message: RegExp): Promise<void> {
  assert.equal(page.status, status, page.text)
  assert.match(page.text, /^[^\n]+\n$/)
  assert.match(page.text, message)
  assert.equal(page.headers['content-type'], 'text/plain; charset=utf-8')
  assert.deepEqual(await readable(visitor), [])
  assert.equal((await me(visitor))['name'], 'anonymous')
}

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
      assert.deepEqual(await readable(visitor), expected)
      const { expires, ...rest } = await me(visitor)
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
      assert.notEqual(asked[name], new URL((await begin()).url).searchParams.get(name))
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

  async function begin(): Promise<{ visitor: Visitor; url: string }> {
    const visitor = new Visitor()
    const { headers } = await visitor.send('GET', `${test.url}/auth/login?issuer=corp`)
    return { visitor, url: String(headers['location']) }
  }

  it('is not logged in by the code of somebody else, nor by an answer that he has not asked for', async () => {
    const { page } = await test.atCallback('alice')
    const { visitor, url } = await begin()
    const stolen = new URL(page.url)
    await assertRefused(visitor, await visitor.send('GET', stolen.href), 400, /has not begun this log-in/)
    // with the state of his own browser: it is PKCE that tells
    stolen.searchParams.set('state', new URL(url).searchParams.get('state')!)
    await assertRefused(visitor, await visitor.send('GET', stolen.href), 400, /used already, or took too long/)
    const stranger = new Visitor()
    await assertRefused(stranger, await stranger.send('GET', page.url), 400, /has not begun this log-in/)
  })

  it('is not logged in with a state that is wrong, missing or there twice', async () => {
    const { visitor, page } = await test.atCallback('alice')
    for (const change of [
      (query: URLSearchParams) => query.set('state', `${query.get('state')}x`),
      (query: URLSearchParams) => query.delete('state'),
      (query: URLSearchParams) => query.append('state', query.get('state')!),
    ]) {
      const url = new URL(page.url)
      change(url.searchParams)
      await assertRefused(visitor, await visitor.send('GET', url.href), 400, /has not begun this log-in/)
    }
    const other = new URL(page.url)
    other.searchParams.set('iss', 'https://another-provider.example')
    await assertRefused(
      visitor,
      await visitor.send('GET', other.href),
      403,
      /the answer of corp is not for this log-in/,
    )
    assert.equal((await visitor.send('GET', page.url)).status, 302)
  })

  it('is not logged in twice by one code', async () => {
    const { visitor, page } = await test.atCallback('alice')
    const again = new Visitor()
    again.cookies.set('127.0.0.1', new Map(visitor.cookies.get('127.0.0.1')))
    assert.equal((await visitor.send('GET', page.url)).status, 302)
    await assertRefused(again, await again.send('GET', page.url), 400, /used already/)
  })

  for (const [what, change, message] of [
    ['PKCE', /&code_challenge(_method)?=[^&]*/g, /did not log you in: invalid_request/],
    ['the nonce', /&nonce=[^&]*/, /the answer of corp is not for this log-in/],
  ] as const) {
    it(`is not logged in where the provider was asked without ${what}`, async () => {
      const { visitor, page } = await test.atCallback('alice', url => url.replaceAll(new RegExp(change, 'g'), ''))
      await assertRefused(visitor, await visitor.send('GET', page.url), 403, message)
    })
  }

  it('is told that he cancelled, or is nobody here', async () => {
    const cancelled = await test.atCallback('cancel')
    await assertRefused(
      cancelled.visitor,
      await cancelled.visitor.send('GET', cancelled.page.url),
      403,
      /corp did not log you in: access_denied/,
    )
    for (const [more, user, message] of [
      ['userClaim: email', 'alice', /its claim email can't be the name of a user/],
      ['require: { department: engineering }', 'bob', /its claim department is not what is required here/],
      ['', 'crowd', /corp tells of 199 groups, more than a cookie has room for/],
    ] as const) {
      test.use({ more })
      const { visitor, page } = await test.atCallback(user)
      await assertRefused(visitor, await visitor.send('GET', page.url), 403, message)
    }
    test.use({ more: 'require: { department: engineering }' })
    assert.deepEqual(await readable(await test.visitor('alice')), ['team/app'])
  })

  it('is not logged in by an ID token that is signed by a key which counts for nothing', async () => {
    await using other = await LoginProvider.start({ people: {}, redirectUris: [] })
    test.use({ more: `jwks: ${other.url}/jwks` })
    const { visitor, page } = await test.atCallback('alice')
    await assertRefused(visitor, await visitor.send('GET', page.url), 403, /signature is wrong/)
  })

  it('is told that the provider is not there, does not answer, or does not know this registry', async () => {
    const unreachable = new Visitor()
    test.use({ issuers: `  gone: { issuer: 'http://127.0.0.1:1', login: { clientId: x } }` })
    const page = await unreachable.open(`${test.url}/auth/login?issuer=gone`)
    await assertRefused(unreachable, page, 503, /a log-in at gone is not possible now/)
    assert.equal(page.headers['retry-after'], '10')
    for (const intercept of [
      (res: { destroy: () => void }) => res.destroy(),
      (res: { writeHead: (status: number) => { end: () => void } }) => res.writeHead(500).end(),
      (res: { end: (text: string) => void }) => res.end('x'.repeat(2 ** 21)),
    ]) {
      const { visitor, page: callback } = await test.atCallback('alice')
      test.provider.intercept = (req, res) => {
        const isToken = req.url === '/token'
        isToken && intercept(res as never)
        return isToken
      }
      await assertRefused(visitor, await visitor.send('GET', callback.url), 503, /a log-in at corp is not possible now/)
      test.provider.intercept = undefined
    }
    await writeFile(test.secretFile, 'another secret')
    const { visitor, page: callback } = await test.atCallback('alice')
    await assertRefused(visitor, await visitor.send('GET', callback.url), 503, /not possible now/)
    assert.match(JSON.stringify(test.app.stores.logged), /nobody can log in at a provider.*corp/)
    await rm(test.secretFile)
    await assertRefused(visitor, await visitor.open(`${test.url}/auth/login?issuer=corp`), 503, /not possible now/)
    await writeFile(test.secretFile, registryClient.secret)
    assert.equal((await visitor.open(`${test.url}/auth/login?issuer=corp`)).status, 200)
  })

  it('comes to a page of this host alone', async () => {
    const visitor = new Visitor()
    for (const to of [
      'https://evil.example',
      '//evil.example',
      '/\\evil.example',
      '\\\\evil.example',
      '/\t/evil.example',
      '/.//evil.example',
      '/x/..//evil.example',
      'javascript:alert(1)',
      'v2/',
      '',
      `/${'x'.repeat(1000)}`,
    ]) {
      const page = await visitor.open(`${test.url}/auth/login?to=${encodeURIComponent(to)}`)
      assert.equal(page.status, 400, to)
      assert.match(page.text, /to must be a path of this registry/)
    }
    assert.deepEqual(visitor.seen, [])
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

  it('waits after too many log-ins that failed', async () => {
    await using other = await startLogInTest()
    const { visitor, page } = await other.atCallback('alice')
    other.provider.intercept = (_req, res) => {
      res.writeHead(400, { 'Content-Type': 'application/json' }).end('{"error":"invalid_grant"}')
      return true
    }
    for (let i = 0; i < 200; i++) {
      assert.equal((await visitor.send('GET', page.url)).status, 400)
    }
    other.provider.intercept = undefined
    const refused = await visitor.send('GET', page.url)
    assert.equal(refused.status, 429)
    assert.match(String(refused.headers['retry-after']), /^[1-6]?\d$/)
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
