import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Administration } from '../../src/upkeep/administration.ts'
import { basic, bearer } from '../fixtures/access.ts'
import { makeKey } from '../fixtures/api-keys.ts'
import { assertError, json, TestApp, type Reply } from '../fixtures/app.ts'
import { imageManifest, ociManifest } from '../fixtures/manifests.ts'

const rules = `
rules:
  - { who: [anonymous], repositories: ['public/**'], actions: [pull] }
  - { who: [authenticated], repositories: ['**'], actions: [pull, push, tag, delete, admin] }
  - { who: ['key:ci'], repositories: ['team/secret'], actions: [pull], effect: deny }
`
const users = { alice: 'of alice' }
const ci = makeKey('ci', ['team/**:pull,push'], { owner: 'alice' })
const all = makeKey('all', ['**:pull,push,tag,delete,admin'])
const old = makeKey('old', ['**:pull'], { expires: new Date(Date.now() - 1000).toISOString() })
const keys = [ci.key, all.key, old.key]

let app: TestApp
before(async () => {
  const administration = { peers: () => [] } as unknown as Administration
  app = await TestApp.start({ access: {}, administration })
  for (const repository of ['public/app', 'team/app', 'team/secret', 'other/app']) {
    await app.pushEmptyConfig(repository)
    await app.pushManifest(repository, 'v1', manifestOf('one'))
  }
})
after(async () => {
  await app[Symbol.asyncDispose]()
})

function reset(): void {
  app.access.change({ rules, users, keys })
}

describe('an API key', () => {
  before(reset)

  for (const [way, headers] of [
    ['a password', basic('ci', ci.secret)],
    ['a bearer token', bearer(ci.secret)],
  ] as const) {
    it(`as ${way} may do what its scopes say, and nothing else`, async () => {
      assert.equal((await app.get('/v2/', headers)).status, 200)
      assert.equal((await app.get('/v2/team/app/manifests/v1', headers)).status, 200)
      assert.equal((await put('team/app', 'v2', 'one', headers)).status, 201)
      assert.equal((await put('team/app', 'v2', 'two', headers)).status, 403, 'moving a tag is another action')
      assert.equal((await app.request('DELETE', '/v2/team/app/manifests/v1', { headers })).status, 403)
      assert.equal((await app.get('/v2/other/app/manifests/v1', headers)).status, 403)
      assert.equal((await app.get('/v2/public/app/manifests/v1', headers)).status, 403)
      assert.equal((await app.get('/v2/team/secret/manifests/v1', headers)).status, 403, 'a rule that denies counts')
      assert.equal((await app.get('/ipdr/v1/peers', headers)).status, 403)
      assert.deepEqual(json(await app.get('/v2/_catalog', headers)), { repositories: ['team/app'] })
    })
  }

  it('says in a refusal that a scope is missing', async () => {
    const reply = await app.get('/v2/other/app/manifests/v1', basic('ci', ci.secret))
    assert.deepEqual(assertError(reply, 'DENIED'), { reason: 'no scope allows key:ci to pull from other/app:v1' })
  })

  it('may administer and pull by CID where its scope is everything', async () => {
    for (const headers of [basic('all', all.secret), bearer(all.secret)]) {
      assert.equal((await app.get('/ipdr/v1/peers', headers)).status, 200)
      const { headers: found } = await app.get('/v2/other/app/manifests/v1', headers)
      assert.equal((await app.get(`/v2/${found['x-ipfs-cid']}/manifests/latest`, headers)).status, 200)
    }
  })

  it('is wrong with another name, when it has expired, and where there is none', async () => {
    const stranger = makeKey('x', ['**:pull'])
    for (const [user, secret] of [
      ['alice', ci.secret],
      ['all', ci.secret],
      ['ci', stranger.secret],
      ['old', old.secret],
      ['ci', ci.key.hash],
      ['ci', `ipdr_${ci.key.hash}`],
    ] as const) {
      assertError(await app.get('/v2/team/app/manifests/v1', basic(user, secret)), 'UNAUTHORIZED')
    }
    for (const secret of [stranger.secret, old.secret, ci.key.hash, `${ci.secret}x`, ci.secret.slice(0, -1)]) {
      assertError(await app.get('/v2/', bearer(secret)), 'UNAUTHORIZED')
    }
  })

  it('stays valid when its owner is gone', async () => {
    app.access.change({ rules, users: {}, keys })
    assert.equal((await app.get('/v2/team/app/manifests/v1', basic('ci', ci.secret))).status, 200)
    reset()
  })
})

describe('tokens for an API key', () => {
  before(reset)
  const scope = 'repository:team/app:pull,push,delete repository:other/app:pull'
  const path = '/v2/team/app/manifests/v1'

  it('are for what its scopes allow, however they are asked for', async () => {
    const replies = [
      await app.get(`/auth/token?scope=${encodeURIComponent(scope)}`, basic('ci', ci.secret)),
      await app.get(`/auth/token?scope=${encodeURIComponent(scope)}`, bearer(ci.secret)),
      await app.askForToken({ grant_type: 'password', username: 'ci', password: ci.secret, scope }),
    ]
    for (const reply of replies) {
      assert.equal(reply.status, 200)
      const { scope: granted, token } = json(reply) as { scope: string; token: string }
      assert.equal(granted, 'repository:team/app:pull,push')
      const headers = bearer(token)
      assert.equal((await app.get(path, headers)).status, 200)
      assert.equal((await app.get('/v2/other/app/manifests/v1', headers)).status, 403)
    }
  })

  it('end with the key, and so do refresh tokens', async () => {
    const first = await app.askForToken({
      grant_type: 'password',
      username: 'ci',
      password: ci.secret,
      access_type: 'offline',
      scope,
    })
    const { refresh_token } = json(first) as { refresh_token: string }
    const refresh = async (): Promise<Reply> =>
      await app.askForToken({ grant_type: 'refresh_token', refresh_token, scope })
    const second = await refresh()
    assert.equal(second.status, 200)
    const { access_token } = json(second) as { access_token: string }
    const headers = bearer(access_token)
    assert.equal((await app.get(path, headers)).status, 200)
    const replaced = makeKey('ci', ci.key.scopes)
    const expired = { ...ci.key, expires: new Date(Date.now() - 1).toISOString() }
    for (const others of [[all.key], [replaced.key], [expired]]) {
      app.access.change({ rules, users, keys: others })
      assertError(await app.get(path, headers), 'UNAUTHORIZED')
      assertError(await app.get(path, basic('ci', ci.secret)), 'UNAUTHORIZED')
      assertError(await app.get(path, bearer(ci.secret)), 'UNAUTHORIZED')
      assert.equal((await refresh()).status, 401)
    }
    reset()
    assert.equal((await app.get(path, headers)).status, 200)
  })

  it('end when the key expires, also where they were shown before', async () => {
    const expires = Date.now() + 4000
    const brief = makeKey('brief', ci.key.scopes, { expires: new Date(expires).toISOString() })
    app.access.change({ rules, users, keys: [...keys, brief.key] })
    const reply = await app.get(`/auth/token?scope=${encodeURIComponent(scope)}`, basic('brief', brief.secret))
    const { token, expires_in: lifetime } = json(reply) as { token: string; expires_in: number }
    assert.ok(lifetime > 10, 'the token itself is valid for longer')
    const headers = bearer(token)
    for (let i = 0; i < 2; i++) {
      assert.equal((await app.get(path, headers)).status, 200)
    }
    await sleep(expires - Date.now() + 10)
    assertError(await app.get(path, headers), 'UNAUTHORIZED')
  })
})

function manifestOf(text: string): Buffer {
  return imageManifest({ layers: [], annotations: { text } })
}

async function put(repository: string, tag: string, text: string, headers: Record<string, string>): Promise<Reply> {
  return await app.request('PUT', `/v2/${repository}/manifests/${tag}`, {
    headers: { ...headers, 'Content-Type': ociManifest },
    body: manifestOf(text),
  })
}
