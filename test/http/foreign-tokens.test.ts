import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { SignJWT, UnsecuredJWT } from 'jose'
import { basic, bearer } from '../fixtures/access.ts'
import { assertError, json, TestApp } from '../fixtures/app.ts'
import { audience, makeKey, TestIssuer } from '../fixtures/issuer.ts'
import { imageManifest } from '../fixtures/manifests.ts'
import { until } from '../fixtures/until.ts'

const rulesFor = (url: string, more = ''): string => `
groups:
  friends: ['github:repo:octo/app']
issuers:
  github:
    issuer: ${url}
    audience: [other.test, ${audience}]
    require: { owner: octo }
    groups:
      deployers: { ref: 'refs/heads/*', environment: [prod, staging, 'two words'] }
    ${more}
  offline: { issuer: 'https://nobody.invalid', audience: x }
rules:
  - { who: [authenticated], repositories: ['**'], actions: [pull, push, tag] }
  - { who: ['user:github:repo:octo/app'], repositories: ['octo/app'], actions: [pull, push] }
  - { who: ['group:github:deployers'], repositories: ['prod/app'], actions: [pull] }
  - { who: ['group:friends'], repositories: ['friends/app'], actions: [pull] }
  - { who: ['issuer:github'], repositories: ['every/app'], actions: [pull] }
`
const repositories = ['octo/app', 'prod/app', 'friends/app', 'every/app', 'team/app']
const claims = { owner: 'octo' }

let app: TestApp
let issuer: TestIssuer
before(async () => {
  issuer = await TestIssuer.start()
  app = await TestApp.start({ access: {} })
  for (const repository of repositories) {
    await app.pushEmptyConfig(repository)
    assert.equal((await app.pushManifest(repository, 'v1', imageManifest({ layers: [] }))).status, 201)
  }
  reset()
})
after(async () => {
  await app[Symbol.asyncDispose]()
  await issuer[Symbol.asyncDispose]()
})

function reset(rules = rulesFor(issuer.url)): void {
  app.access.change({ rules, users: { alice: 'of alice' } })
}

/** Which repositories somebody can pull from */
async function readable(headers: Record<string, string>): Promise<string[]> {
  const statuses = await Promise.all(repositories.map(async name => (await app.get(pathOf(name), headers)).status))
  return repositories.filter((_, i) => statuses[i] === 200)
}

function pathOf(repository: string): string {
  return `/v2/${repository}/manifests/v1`
}

describe('the token of a workload', () => {
  it('is a log-in as a bearer token and as a password, whatever the user name', async () => {
    const token = await issuer.token(claims)
    for (const headers of [bearer(token), basic('x', token), basic('alice', token)]) {
      assert.equal((await app.get('/v2/', headers)).status, 200)
      assert.deepEqual(await readable(headers), ['octo/app', 'friends/app', 'every/app'])
      const upload = await app.request('POST', '/v2/octo/app/blobs/uploads/', { headers })
      assert.equal(upload.status, 202)
      assertError(await app.get(pathOf('team/app'), headers), 'DENIED')
    }
  })

  it('tells of groups by its claims', async () => {
    const groups = { ...claims, sub: 'repo:octo/other' }
    for (const [more, expected] of [
      [{ ref: 'refs/heads/main', environment: 'prod' }, ['prod/app', 'every/app']],
      [{ ref: 'refs/heads/main', environment: ['x', 'staging'] }, ['prod/app', 'every/app']],
      [{ ref: 'refs/heads/main', environment: 'two words' }, ['prod/app', 'every/app']],
      [{ ref: 'refs/tags/v1', environment: 'prod' }, ['every/app']],
      [{ ref: 'refs/heads/main' }, ['every/app']],
      [{ ref: 'refs/heads/main', environment: { prod: 1 } }, ['every/app']],
      [{ groups: ['deployers'] }, ['every/app']],
    ] as const) {
      assert.deepEqual(await readable(bearer(await issuer.token({ ...groups, ...more }))), expected)
    }
  })

  it('is exchanged at /auth/token, so that docker login works, but for no refresh token', async () => {
    const token = await issuer.token({ ...claims, ref: 'refs/heads/main', environment: 'prod' })
    const scope = repositories.map(name => `repository:${name}:pull`).join(' ')
    const query = `/auth/token?offline_token=true&scope=${encodeURIComponent(scope)}`
    const replies = [
      await app.get(query, basic('x', token)),
      await app.get(query, bearer(token)),
      await app.askForToken({ grant_type: 'password', username: 'x', password: token, access_type: 'offline', scope }),
    ]
    for (const reply of replies) {
      assert.equal(reply.status, 200)
      const answer = json(reply) as { token: string; refresh_token?: string; expires_in: number }
      assert.equal(answer.refresh_token, undefined)
      assert.deepEqual(await readable(bearer(answer.token)), ['octo/app', 'prod/app', 'friends/app', 'every/app'])
    }
    const short = json(
      await app.get(query, basic('x', await issuer.token({ ...claims, exp: Date.now() / 1000 + 100 }))),
    ) as { expires_in: number }
    assert.ok(short.expires_in <= 100 && short.expires_in >= 60)
  })

  it('that was exchanged ends when the file says something else of its issuer', async () => {
    const reply = await app.get('/auth/token?scope=repository:octo/app:pull', basic('x', await issuer.token(claims)))
    const headers = bearer((json(reply) as { token: string }).token)
    assert.equal((await app.get(pathOf('octo/app'), headers)).status, 200)
    reset(rulesFor(issuer.url).replace('owner: octo', 'owner: another'))
    assertError(await app.get(pathOf('octo/app'), headers), 'UNAUTHORIZED')
    reset()
    assert.equal((await app.get(pathOf('octo/app'), headers)).status, 200)
  })

  it('never is a user of ours', async () => {
    for (const sub of ['alice', 'admin', 'key:ci', 'anonymous']) {
      assert.deepEqual(await readable(bearer(await issuer.token({ ...claims, sub }))), ['every/app'])
    }
  })

  it('is no log-in where anything of it is wrong', async () => {
    const other = await makeKey()
    const now = Math.floor(Date.now() / 1000)
    const payload = { iss: issuer.url, aud: audience, sub: 'repo:octo/app', exp: now + 300, ...claims }
    const tokens: Record<string, string> = {
      'another owner': await issuer.token({ owner: 'evil' }),
      'no owner': await issuer.token(),
      'another audience': await issuer.token({ ...claims, aud: 'elsewhere' }),
      'no audience': await issuer.token({ ...claims, aud: undefined }),
      expired: await issuer.token({ ...claims, exp: now - 60 }),
      'without an end': await issuer.token({ ...claims, exp: undefined }),
      'not yet valid': await issuer.token({ ...claims, nbf: now + 60 }),
      'another issuer': await issuer.token({ ...claims, iss: 'https://elsewhere.test' }),
      'signed by another key': await issuer.token(claims, { key: other.privateKey }),
      'signed by a key that nobody knows': await issuer.token(claims, { key: other.privateKey, kid: other.kid }),
      'alg none': new UnsecuredJWT(payload).encode(),
      'the public key as a secret': await new SignJWT(payload)
        .setProtectedHeader({ alg: 'HS256', kid: issuer.jwks.keys[0]!.kid! })
        .sign(Buffer.from(JSON.stringify(issuer.jwks.keys[0]))),
      'a key of its own': await new SignJWT(payload)
        .setProtectedHeader({ alg: 'RS256', kid: other.kid, jwk: other.jwk })
        .sign(other.privateKey),
      'no name': await issuer.token({ ...claims, sub: undefined }),
      'a name with a blank': await issuer.token({ ...claims, sub: 'a b' }),
      'a name that is none': await issuer.token({ ...claims, sub: ['repo:octo/app'] as unknown as string }),
    }
    for (const [name, token] of Object.entries(tokens)) {
      for (const headers of [bearer(token), basic('x', token)]) {
        const reply = await app.get(pathOf('octo/app'), headers)
        assert.equal(reply.status, 401, name)
        assert.ok(reply.headers['www-authenticate'] !== undefined)
        assert.ok(!String(reply.body).includes(token.split('.')[2] || '.x'))
      }
      assert.equal((await app.get('/auth/token?scope=repository:octo/app:pull', basic('x', token))).status, 401, name)
    }
  })

  it('says what is wrong to who holds it', async () => {
    const reply = await app.get('/v2/', bearer(await issuer.token({ ...claims, aud: 'elsewhere' })))
    assert.deepEqual(assertError(reply, 'UNAUTHORIZED'), {
      reason: 'this token of the issuer github is no log-in here: its claim aud is wrong',
    })
  })

  it('needs the keys of its issuer, for which nobody else waits', async () => {
    await using slow = await TestIssuer.start()
    slow.answer = () => {}
    reset(rulesFor(issuer.url, '').replace('https://nobody.invalid', slow.url))
    const started = performance.now()
    const waiting = app.get('/v2/', bearer(await slow.token({ ...claims, aud: 'x' })))
    await until('a question for the keys', () => slow.requests.length > 0)
    for (const headers of [bearer(await issuer.token(claims)), basic('alice', 'of alice')]) {
      assert.equal((await app.get('/v2/', headers)).status, 200)
    }
    assert.ok(performance.now() - started < 3000)
    const reply = await waiting
    assertError(reply, 'UNAVAILABLE')
    assert.ok(Number(reply.headers['retry-after']) > 0)
    assert.ok(performance.now() - started < 10_000)
    reset()
  })

  it('is verified again when the file says something else of its issuer', async () => {
    const headers = bearer(await issuer.token(claims))
    assert.equal((await app.get(pathOf('octo/app'), headers)).status, 200)
    reset(rulesFor(issuer.url).replace('owner: octo', 'owner: another'))
    assert.equal((await app.get(pathOf('octo/app'), headers)).status, 401)
    reset()
    const ending = bearer(await issuer.token({ ...claims, exp: Date.now() / 1000 - 3 }))
    assert.equal((await app.get(pathOf('octo/app'), ending)).status, 200, 'clocks may differ by five seconds')
    await until('its end', async () => (await app.get(pathOf('octo/app'), ending)).status === 401)
  })
})

describe('the groups of a token', () => {
  it('are those of a claim, where the file names it', async () => {
    reset(
      `${rulesFor(issuer.url, 'groupsClaim: resource/roles')}
  - { who: ['group:github:team'], repositories: ['team/app'], actions: [pull] }\n`,
    )
    const groupsOf = async (roles: unknown): Promise<string[]> =>
      await readable(bearer(await issuer.token({ ...claims, sub: 'x', resource: { roles } })))
    assert.deepEqual(await groupsOf(['team', 1, 'a b']), ['every/app', 'team/app'])
    assert.deepEqual(await groupsOf('team'), ['every/app', 'team/app'])
    assert.deepEqual(
      await groupsOf(['deployers', 'friends']),
      ['every/app'],
      'those that the file defines are not told',
    )
    reset()
  })
})
