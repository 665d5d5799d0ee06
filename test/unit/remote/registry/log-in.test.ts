import assert from 'node:assert/strict'
import type { ServerResponse } from 'node:http'
import { describe, it } from 'node:test'
import { logIn, logInHost } from '../../../../src/remote/registry/log-in.ts'
import { fakeServer, type FakeServer, type SeenRequest } from '../../../fixtures/fake-server.ts'

const alice = { username: 'alice', password: 'a:b' }
const basic = `Basic ${Buffer.from('alice:a:b').toString('base64')}`

/** Answers 401 with a challenge to whoever does not show the right thing */
function wants(authorization: string, challenge: (host: string) => string): Parameters<typeof fakeServer>[0] {
  return ({ headers }, res) => {
    if (headers.authorization === authorization) {
      res.end('{}')
    } else {
      res.writeHead(401, { 'WWW-Authenticate': challenge(headers.host!) }).end('{}')
    }
  }
}

/** A registry whose token server gives what it is told */
async function tokenRegistry(tokens: (request: SeenRequest, res: ServerResponse) => void): Promise<FakeServer> {
  const answer = wants('Bearer t', host => `Bearer realm="http://${host}/token",service="s"`)
  return await fakeServer((request, res) => {
    request.url.startsWith('/token') ? tokens(request, res) : void answer(request, res)
  })
}

describe('a log-in', () => {
  it('is a password where the registry takes one', async () => {
    await using server = await fakeServer(wants(basic, () => 'Basic realm="x"'))
    assert.deepEqual(await logIn({ host: server.host, ...alice }), {
      host: server.host,
      credentials: { ...alice, identityToken: undefined },
      checked: true,
    })
  })

  it('is a refresh token where the registry gives one, and no password then', async () => {
    await using server = await tokenRegistry((_, res) => res.end('{"token":"t","refresh_token":"r"}'))
    const { credentials } = await logIn({ host: server.host, ...alice })
    assert.deepEqual(credentials, { username: 'alice', password: '', identityToken: 'r' })
    const { headers, url } = server.requests.find(({ url }) => url.startsWith('/token'))!
    assert.deepEqual(Object.fromEntries(new URL(url, server.url).searchParams), {
      service: 's',
      account: 'alice',
      client_id: 'ipdr',
      offline_token: 'true',
    })
    assert.equal(headers.authorization, basic)
  })

  it('is the password where there are tokens, but none to keep', async () => {
    await using server = await tokenRegistry((_, res) => res.end('{"access_token":"t"}'))
    const { credentials } = await logIn({ host: server.host, ...alice })
    assert.deepEqual(credentials, { ...alice, identityToken: undefined })
  })

  it('is not compared where nobody is asked', async () => {
    await using server = await fakeServer((_, res) => res.end('{}'))
    assert.equal((await logIn({ host: server.host, ...alice })).checked, false)
    assert.ok(server.requests.every(({ headers }) => headers.authorization === undefined))
  })

  const refused = /^127\.0\.0\.1:\d+ refuses this user name and password$/
  const table: [string, Parameters<typeof fakeServer>[0] | Parameters<typeof tokenRegistry>[0], RegExp, boolean?][] = [
    ['the password is wrong', wants('nothing', () => 'Basic realm="x"'), refused],
    ['the token server says so', (_, res) => res.writeHead(401).end('{}'), refused, true],
    ['the token is for nobody', (_, res) => res.end('{"token":"anonymous"}'), refused, true],
    ['it has to wait', (_, res) => res.writeHead(429).end('{"errors":[{"message":"wait"}]}'), /429 wait$/, true],
    ['there is no registry', (_, res) => res.writeHead(404).end(), /^log-in: 127\.0\.0\.1:\d+ answered 404$/],
    ['it offers something else', wants('nothing', () => 'Negotiate'), /offers no log-in with a password$/],
    ['the token is none', (_, res) => res.end('{"token":7}'), /gave no token for/, true],
  ]
  for (const [what, answer, message, byToken] of table) {
    it(`fails where ${what}`, async () => {
      await using server = byToken === true ? await tokenRegistry(answer) : await fakeServer(answer)
      await assert.rejects(logIn({ host: server.host, ...alice }), { message })
    })
  }

  it('goes to no other server', async () => {
    await using other = await fakeServer(wants(basic, () => 'Basic realm="x"'))
    await using server = await fakeServer((_, res) => res.writeHead(307, { Location: `${other.url}/v2/` }).end())
    await assert.rejects(logIn({ host: server.host, ...alice }), { message: /redirects to [\d.:]+: log in there$/ })
    assert.ok(other.requests.every(({ headers }) => headers.authorization === undefined))
  })

  it('ends with its signal', async () => {
    await using server = await fakeServer(() => {})
    const signal = AbortSignal.timeout(50)
    await assert.rejects(logIn({ host: server.host, ...alice }, { signal }), { name: 'TimeoutError' })
  })

  it('is kept under the host as docker calls it', () => {
    assert.deepEqual(['host:5000', 'https://host', 'http://host:80', 'docker.io', 'index.docker.io'].map(logInHost), [
      'host:5000',
      'host',
      'host',
      'registry-1.docker.io',
      'registry-1.docker.io',
    ])
  })
})
