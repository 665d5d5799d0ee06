/** How nobody logs in by a browser, and what he is told */
import assert from 'node:assert/strict'
import { rm, writeFile } from 'node:fs/promises'
import { after, afterEach, before, describe, it } from 'node:test'
import { me, readable, startLogInTest, type LogInTest } from '../fixtures/log-in.ts'
import { LoginProvider, registryClient } from '../fixtures/login-provider.ts'
import { Visitor, type Page } from '../fixtures/visitor.ts'

let test: LogInTest
before(async () => {
  test = await startLogInTest()
})
after(async () => {
  await test[Symbol.asyncDispose]()
})
afterEach(() => {
  test.provider.intercept = undefined
  test.use()
})

/** Asserts that nobody was logged in, and that the answer is one line of text with these words */
async function assertRefused(visitor: Visitor, page: Page, status: number, message: RegExp): Promise<void> {
  assert.equal(page.status, status, page.text)
  assert.match(page.text, /^[^\n]+\n$/)
  assert.match(page.text, message)
  assert.equal(page.headers['content-type'], 'text/plain; charset=utf-8')
  assert.deepEqual(await readable(test, visitor), [])
  assert.equal((await me(test, visitor))['name'], 'anonymous')
}

describe('a person', () => {
  it('is not logged in by the code of somebody else, nor by an answer that he has not asked for', async () => {
    const { page } = await test.atCallback('alice')
    const { visitor, url } = await test.begin()
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
    assert.deepEqual(await readable(test, await test.visitor('alice')), ['team/app'])
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

  it('is who the signed ID token says, whatever the userinfo endpoint adds, and that of bounded size', async () => {
    const answer = (user: string, padding = ''): void => {
      test.provider.intercept = ({ url }, res) => {
        const claims = { sub: user, groups: ['administrators'], padding }
        url === '/me' && res.setHeader('Content-Type', 'application/json').end(JSON.stringify(claims))
        return url === '/me'
      }
    }
    answer('alice')
    assert.deepEqual(await readable(test, await test.visitor('alice')), ['team/app'])
    answer('alice', 'x'.repeat(2 ** 21))
    const large = await test.atCallback('alice')
    await assertRefused(large.visitor, await large.visitor.send('GET', large.page.url), 503, /not possible now/)
    answer('bob')
    const other = await test.atCallback('alice')
    await assertRefused(other.visitor, await other.visitor.send('GET', other.page.url), 403, /not for this log-in/)
  })
})
