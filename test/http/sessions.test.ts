/** What the cookie of somebody who has logged in is good for, and what not */
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { after, afterEach, before, describe, it } from 'node:test'
import { fingerprintOf } from '../../src/access/tokens/tokens.ts'
import { TestAccess } from '../fixtures/access.ts'
import { authorized, json, type TestApp, type Reply } from '../fixtures/app.ts'
import { CertificateAuthority, readPair } from '../fixtures/certificates.ts'
import { local, startLogInTest, type LogInTest } from '../fixtures/log-in.ts'
import { temporaryDirectory } from '../fixtures/temporary.ts'
import type { Administration } from '../../src/upkeep/administration.ts'

const day = 24 * 3600 * 1000
const image = '/v2/team/app/manifests/v1'
const uploads = '/v2/team/app/blobs/uploads/'
const administration = { peers: () => [], publish: async () => ({ name: 'k51', cid: 'bafk' }) }

let test: LogInTest
let app: TestApp
let session: string
before(async () => {
  test = await startLogInTest({ administration: administration as unknown as Administration })
  app = test.app
  session = await sessionOf('alice')
})
after(async () => {
  await test[Symbol.asyncDispose]()
})
afterEach(() => {
  test.use()
})

async function sessionOf(user: string): Promise<string> {
  return (await test.visitor(user)).cookies.get('127.0.0.1')!.get('ipdr-session')!
}

function cookie(value: string, name = 'ipdr-session'): { Cookie: string } {
  return { Cookie: `${name}=${value}` }
}

async function statusOf(method: string, path: string, headers: Record<string, string>): Promise<number> {
  return (await app.request(method, path, { headers })).status
}

describe('a session', () => {
  it('is a log-in among other cookies, and counts for nothing where anything of it is wrong', async () => {
    assert.equal(await statusOf('GET', image, { Cookie: `a=b; ipdr-session=${session};c="d"` }), 200)
    const { tokens } = app.access
    const fingerprint = JSON.parse(Buffer.from(session.split('.')[1]!, 'base64url').toString()).pwd as string
    const alice = { subject: 'corp:alice', groups: ['corp:developers'], fingerprint }
    const elsewhere = new TestAccess({ log: app.stores.log })
    await elsewhere.start({})
    const [head, payload = '', signature] = session.split('.')
    const forged = Buffer.from(payload, 'base64url').toString().replace('alice', 'bob')
    assert.equal(await statusOf('GET', image, cookie(await tokens.issueSession(alice))), 200)
    const scopes = [{ type: 'repository' as const, name: 'team/app', actions: ['pull'] as const }]
    const ticket = { issuer: 'corp', state: 'x', nonce: 'x', verifier: 'x', redirectUri: 'x', to: '/' }
    const values: Record<string, string> = {
      'no value': '',
      'a blank in it': `${session.slice(0, -20)} ${session.slice(-20)}`,
      'a changed signature': `${session.slice(0, -2)}${session.endsWith('AA') ? 'BB' : 'AA'}`,
      'a changed name': [head, Buffer.from(forged).toString('base64url'), signature].join('.'),
      'without a signature': [Buffer.from('{"alg":"none"}').toString('base64url'), payload, ''].join('.'),
      'of another server': await elsewhere.tokens.issueSession(alice),
      expired: await tokens.issueSession(alice, -10),
      'an access token': await tokens.issue({ ...alice, scopes }),
      'a refresh token': await tokens.issueRefresh(alice.subject, fingerprint),
      'the ticket of a log-in': await tokens.issueTicket(ticket),
      'for another state of the issuer': await tokens.issueSession({ ...alice, fingerprint: fingerprintOf('x') }),
      'of an issuer that is not there': await tokens.issueSession({ ...alice, subject: 'other:alice' }),
      'of a user of ours': await tokens.issueSession({ subject: 'local', fingerprint: undefined }),
      'an API key': 'ipdr_4vYt2mGm0sJq9WfXbD1kQz7hNn8cE5uRr3aLpTgVxyo',
    }
    for (const [what, value] of Object.entries(values)) {
      assert.equal(await statusOf('GET', image, cookie(value)), 401, what)
      const reply = await app.get('/auth/me', cookie(value))
      assert.deepEqual([reply.status, (json(reply) as { name: string }).name], [200, 'anonymous'], what)
    }
    assert.equal(await statusOf('GET', image, { Cookie: `ipdr-session=${session}; ipdr-session=x` }), 401)
    assert.equal(await statusOf('GET', image, { Authorization: `Bearer ${session}` }), 401)
    assert.equal(await statusOf('GET', image, { Authorization: `Bearer ${values['the ticket of a log-in']!}` }), 401)
  })

  it('lives on when the keys of tokens are rotated', async () => {
    await app.access.keys.rotate(Date.now() + 40 * day)
    assert.notEqual(await keyOf(await sessionOf('alice')), await keyOf(session))
    assert.equal(await statusOf('GET', image, cookie(session)), 200)
  })

  async function keyOf(token: string): Promise<string> {
    return JSON.parse(Buffer.from(token.split('.')[0]!, 'base64url').toString()).kid as string
  }

  it('ends with its issuer, and when the file says something else of it', async () => {
    for (const more of ['userClaim: name', 'require: { name: Alice }', 'audience: x']) {
      test.use({ more })
      assert.equal(await statusOf('GET', image, cookie(session)), 401)
    }
    app.access.change({
      rules: `rules: [{ who: [authenticated], repositories: ['**'], actions: [pull] }]`,
      users: { local: 'of local' },
    })
    assert.equal(await statusOf('GET', image, cookie(session)), 401)
    test.use()
    assert.equal(await statusOf('GET', image, cookie(session)), 200)
  })

  it('is asked what it may do with each request', async () => {
    assert.equal(await statusOf('GET', '/v2/sales/app/manifests/v1', cookie(session)), 403)
    app.access.change({
      rules: `
issuers:
  corp: { issuer: ${test.provider.url}, groupsClaim: groups, login: { clientId: registry, clientSecretFile: ${test.secretFile}, scopes: [groups] } }
groups: { everybody: ['corp:alice'] }
rules: [{ who: ['group:everybody'], repositories: ['sales/**'], actions: [pull] }]`,
    })
    assert.equal(await statusOf('GET', '/v2/sales/app/manifests/v1', cookie(session)), 200)
    assert.equal(await statusOf('GET', image, cookie(session)), 403)
  })

  it('counts for writes of pages of this registry alone', async () => {
    const own = test.url
    for (const [headers, status] of [
      [{}, 401],
      [{ Origin: own }, 202],
      [{ 'Sec-Fetch-Site': 'same-origin' }, 202],
      [{ Origin: own, 'Sec-Fetch-Site': 'same-origin' }, 202],
      [{ 'Sec-Fetch-Site': 'none' }, 401],
      [{ Origin: 'https://evil.example' }, 403],
      [{ Origin: 'null' }, 403],
      [{ Origin: own.replace(/\d+$/, '1') }, 403],
      [{ Origin: own, 'Sec-Fetch-Site': 'same-site' }, 403],
      [{ 'Sec-Fetch-Site': 'cross-site', 'Sec-Fetch-Mode': 'navigate' }, 403],
    ] as const) {
      assert.equal(await statusOf('POST', uploads, { ...cookie(session), ...headers }), status, JSON.stringify(headers))
    }
  })

  it('counts for reads of such pages, and where somebody opens one', async () => {
    for (const [headers, status] of [
      [{}, 200],
      [{ 'Sec-Fetch-Site': 'same-origin', 'Sec-Fetch-Mode': 'cors' }, 200],
      [{ 'Sec-Fetch-Site': 'none', 'Sec-Fetch-Mode': 'navigate' }, 200],
      [{ 'Sec-Fetch-Site': 'cross-site', 'Sec-Fetch-Mode': 'navigate' }, 200],
      [{ 'Sec-Fetch-Site': 'cross-site', 'Sec-Fetch-Mode': 'no-cors' }, 401],
      [{ 'Sec-Fetch-Site': 'same-site', 'Sec-Fetch-Mode': 'no-cors' }, 401],
      [{ 'Sec-Fetch-Site': 'same-site', 'Sec-Fetch-Mode': 'cors' }, 401],
      [{ Origin: test.url }, 200],
      [{ Origin: 'https://evil.example' }, 401],
    ] as const) {
      assert.equal(await statusOf('GET', image, { ...cookie(session), ...headers }), status, JSON.stringify(headers))
    }
  })

  it('counts for less than what stands in Authorization, and gets no token', async () => {
    const who = async (headers: Record<string, string>): Promise<unknown> => {
      const reply = await app.get('/auth/me', { ...cookie(session), ...headers })
      return reply.status === 200 ? (json(reply) as { name: string }).name : reply.status
    }
    assert.equal(await who({}), 'corp:alice')
    assert.equal(await who(local), 'local')
    assert.equal(await who({ Authorization: 'Bearer nonsense' }), 401)
    const reply = await app.get('/auth/token?scope=repository:team/app:pull', cookie(session))
    assert.equal((json(reply) as { scope: string }).scope, '')
  })

  it('administers where a rule lets its owner, and pages of this registry ask', async () => {
    const boss = cookie(await sessionOf('boss'))
    const own = { Origin: test.url }
    assert.equal(await statusOf('GET', '/ipdr/v1/peers', boss), 200)
    const publish = async (headers: Record<string, string>): Promise<number> => {
      const type = { 'Content-Type': 'application/json' }
      return (await app.request('POST', '/ipdr/v1/publish', { headers: { ...type, ...boss, ...headers }, body: '{}' }))
        .status
    }
    assert.equal(await publish(own), 200)
    assert.equal(await publish({}), 401)
    assert.equal(await publish({ Origin: 'https://evil.example' }), 403)
    assert.equal(await statusOf('GET', '/ipdr/v1/peers', { ...boss, 'Sec-Fetch-Site': 'same-site' }), 403)
    assert.equal(await statusOf('GET', '/ipdr/v1/peers', cookie(session)), 403)
    assert.equal(await statusOf('GET', '/ipdr/v1/peers', { ...cookie(session), ...authorized }), 200)
  })

  it('is taken from the browser of who logs out', async () => {
    const visitor = await test.visitor('alice')
    const logout = async (headers: Record<string, string>): Promise<number> =>
      (await visitor.send('POST', `${test.url}/auth/logout`, { headers })).status
    assert.equal(await logout({ Origin: 'https://evil.example' }), 403)
    assert.equal((await visitor.send('GET', `${test.url}/auth/logout`)).status, 405)
    assert.equal((await visitor.send('GET', `${test.url}${image}`)).status, 200)
    assert.equal(await logout({ Origin: test.url }), 204)
    assert.equal((await visitor.send('GET', `${test.url}${image}`)).status, 401)
    assert.match(visitor.seen.at(-1)!, /^ipdr-session=; Path=\/; Expires=Thu, 01 Jan 1970/)
  })
})

describe('somebody at a browser without a session', () => {
  it('is told where to log in, and asked for no password', async () => {
    const login = (reply: Reply): unknown =>
      (json(reply) as { errors: [{ detail?: { logIn?: unknown } }] }).errors[0].detail?.logIn
    const page = await app.get(`${image}?x=1`, { Accept: 'text/html,*/*;q=0.8' })
    assert.equal(page.status, 401)
    assert.deepEqual(login(page), [`/auth/login?issuer=corp&to=${encodeURIComponent(`${image}?x=1`)}`])
    assert.match(String(page.headers['www-authenticate']), /^Bearer realm="[^"]+"/)
    assert.doesNotMatch(String(page.headers['www-authenticate']), /Basic/)
    for (const [method, headers] of [
      ['GET', { Accept: 'application/json' }],
      ['POST', { Accept: 'text/html' }],
    ] as const) {
      const reply = await app.request(method, method === 'GET' ? image : uploads, { headers })
      assert.deepEqual([reply.status, login(reply)], [401, undefined])
      assert.match(String(reply.headers['www-authenticate']), /Basic/)
    }
  })
})

describe('behind a proxy that ends TLS', () => {
  it('cookie and redirect URI are those of TLS', async () => {
    const headers = { Host: 'registry', 'X-Forwarded-Proto': 'https' }
    const begun = await app.get('/auth/login', headers)
    assert.match(String(begun.headers['set-cookie']), /^__Host-ipdr-log-in=.*; Secure;/)
    const { searchParams } = new URL(String(begun.headers.location))
    assert.equal(searchParams.get('redirect_uri'), 'https://registry/auth/callback')
    assert.equal(await statusOf('GET', image, { ...headers, ...cookie(session, '__Host-ipdr-session') }), 200)
    assert.equal(await statusOf('GET', image, { ...headers, ...cookie(session) }), 401)
  })
})

describe('over TLS', () => {
  it('the cookie is for this host alone, and no other counts', async () => {
    await using directory = await temporaryDirectory('sessions')
    const authority = await CertificateAuthority.create(directory.path)
    const pair = await readPair(await authority.issue('server'))
    const clientCa = await readFile(authority.cert, 'utf8')
    await using secure = await startLogInTest({ server: { tls: { ...pair, clientCa } } })
    const visitor = await secure.visitor('alice')
    assert.deepEqual(
      visitor.seen
        .filter(text => text.includes('ipdr'))
        .map(text => text.replace(/=[^;]*/, '').replace(/Expires=[^;]*/, '')),
      [
        '__Host-ipdr-log-in; Max-Age=600; Path=/; ; HttpOnly; Secure; SameSite=Lax',
        '__Host-ipdr-log-in; Path=/; ; HttpOnly; Secure; SameSite=Lax',
        '__Host-ipdr-session; Path=/; HttpOnly; Secure; SameSite=Lax',
      ],
    )
    const value = visitor.cookies.get('127.0.0.1')!.get('__Host-ipdr-session')!
    assert.equal((await secure.app.get(image, cookie(value, '__Host-ipdr-session'))).status, 200)
    assert.equal((await secure.app.get(image, cookie(value))).status, 401)
    const client = await readPair(await authority.issueClient('node', '/CN=node'))
    const name = async (headers: Record<string, string>): Promise<string> =>
      (json(await secure.app.request('GET', '/auth/me', { client, headers })) as { name: string }).name
    assert.equal(await name(cookie(value, '__Host-ipdr-session')), 'corp:alice')
    assert.equal(await name(cookie('x', '__Host-ipdr-session')), 'cert:node')
  })
})
