import assert from 'node:assert/strict'
import { Agent } from 'node:http'
import { after, before, describe, it } from 'node:test'
import fc from 'fast-check'
import { SignJWT, generateKeyPair } from 'jose'
import type { Administration } from '../../src/upkeep/administration.ts'
import { basic } from '../fixtures/access.ts'
import { assertError, authorized, json, TestApp, type Reply } from '../fixtures/app.ts'
import { sha256 } from '../fixtures/images.ts'
import { descriptorOf, imageManifest, ociManifest } from '../fixtures/manifests.ts'

const rules = `
groups:
  writers: [writer]
rules:
  - { who: [anonymous], repositories: ['public/**'], actions: [pull] }
  - { who: ['user:reader', 'group:writers', 'user:deleter'], repositories: ['team/**'], actions: [pull] }
  - { who: ['group:writers'], repositories: ['team/**'], actions: [push, tag] }
  - { who: ['user:deleter'], repositories: ['team/**'], actions: [delete] }
  - { who: ['user:adding'], repositories: ['team/**'], actions: [pull, push] }
  - { who: ['user:deleter'], repositories: ['team/**'], actions: [delete], tags: ['kept*'], effect: deny }
  - { who: ['user:cleaner'], repositories: ['team/**'], actions: [delete], tags: ['ci-*'] }
  - { who: ['user:boss'], repositories: ['**'], actions: [pull, push, tag, delete, admin] }
`
const users = Object.fromEntries(
  ['reader', 'writer', 'deleter', 'cleaner', 'adding', 'boss', 'other'].map(user => [user, `${user}-pw`]),
)
const layer = Buffer.from('a layer')

function manifestOf(text: string): Buffer {
  return imageManifest({ layers: [descriptorOf(layer)], annotations: { text } })
}

/** Who asks, by the headers of a request */
const subjects: Record<string, () => Promise<Record<string, string>> | Record<string, string>> = {
  anonymous: () => ({}),
  reader: () => basic('reader', 'reader-pw'),
  writer: () => basic('writer', 'writer-pw'),
  deleter: () => basic('deleter', 'deleter-pw'),
  boss: () => basic('boss', 'boss-pw'),
  other: () => basic('other', 'other-pw'),
  'wrong password': () => basic('reader', 'writer-pw'),
  'unknown user': () => basic('nobody', 'x'),
  'token for another repository': () => bearer('writer', 'repository:team/else:pull,push'),
  'token to pull': () => bearer('writer', 'repository:team/app:pull'),
  'forged token, alg none': async () => ({
    Authorization: `Bearer ${[{ alg: 'none' }, { sub: 'boss', iss: 'ipdr', aud: 'ipdr', exp: 9e9, access: [] }, '']
      .map(part => (part === '' ? '' : Buffer.from(JSON.stringify(part)).toString('base64url')))
      .join('.')}`,
  }),
  'token signed by another key': async () => ({ Authorization: `Bearer ${await foreignToken()}` }),
  'refresh token as access token': async () => ({
    Authorization: `Bearer ${await app.access.tokens.issueRefresh('boss', 'x')}`,
  }),
  'another scheme': () => ({ Authorization: 'Digest username="boss"' }),
}

/** The status of each, in the order of {@link subjects}; 2 stands for what the route answers with when it is allowed */
const table: [method: string, path: string, statuses: string][] = [
  ['GET', '/v2/', '401 2 2 2 2 2 401 401 2 2 401 401 401 401'],
  ['GET', '/v2/public/app/manifests/v1', '2 2 2 2 2 2 401 401 401 401 401 401 401 401'],
  ['GET', '/v2/team/app/manifests/v1', '401 2 2 2 2 403 401 401 401 2 401 401 401 401'],
  ['GET', '/v2/team/app/manifests/none', '401 2 2 2 2 403 401 401 401 2 401 401 401 401'],
  ['GET', `/v2/team/app/blobs/${sha256(layer)}`, '401 2 2 2 2 403 401 401 401 2 401 401 401 401'],
  ['HEAD', `/v2/team/app/blobs/${sha256(layer)}`, '401 2 2 2 2 403 401 401 401 2 401 401 401 401'],
  ['GET', '/v2/team/app/tags/list', '401 2 2 2 2 403 401 401 401 2 401 401 401 401'],
  ['GET', `/v2/team/app/referrers/${sha256(layer)}`, '401 2 2 2 2 403 401 401 401 2 401 401 401 401'],
  ['GET', '/dig?q=team/app:v1', '401 2 2 2 2 403 401 401 401 2 401 401 401 401'],
  ['POST', '/v2/team/app/blobs/uploads/', '401 403 2 403 2 403 401 401 401 401 401 401 401 401'],
  ['PATCH', '/v2/team/app/blobs/uploads/none', '401 403 2 403 2 403 401 401 401 401 401 401 401 401'],
  ['PUT', '/v2/team/app/blobs/uploads/none?digest=sha256:0', '401 403 2 403 2 403 401 401 401 401 401 401 401 401'],
  ['GET', '/v2/team/app/blobs/uploads/none', '401 403 2 403 2 403 401 401 401 401 401 401 401 401'],
  ['DELETE', '/v2/team/app/blobs/uploads/none', '401 403 2 403 2 403 401 401 401 401 401 401 401 401'],
  ['PUT', '/v2/team/app/manifests/v9', '401 403 2 403 2 403 401 401 401 401 401 401 401 401'],
  ['DELETE', '/v2/team/app/manifests/none', '401 403 403 2 2 403 401 401 403 403 401 401 401 401'],
  ['DELETE', `/v2/team/app/blobs/sha256:${'0'.repeat(64)}`, '401 403 403 2 2 403 401 401 403 403 401 401 401 401'],
  ['GET', '/v2/%74eam/app/manifests/v1', '401 2 2 2 2 403 401 401 401 2 401 401 401 401'],
]

let app: TestApp
before(async () => {
  app = await TestApp.start({ access: {} })
  for (const repository of ['public/app', 'team/app']) {
    await app.pushEmptyConfig(repository)
    await app.pushBlob(repository, layer)
    assert.equal((await app.pushManifest(repository, 'v1', manifestOf('one'))).status, 201)
  }
  app.access.change({ rules, users })
})
after(async () => {
  await app[Symbol.asyncDispose]()
})

describe('who may do what', () => {
  for (const [method, path, statuses] of table) {
    it(`${method} ${path}`, async () => {
      const found: string[] = []
      for (const headers of Object.values(subjects)) {
        const { status } = await app.request(method, path, { headers: await headers() })
        found.push([401, 403].includes(status) ? String(status) : '2')
      }
      assert.deepEqual(
        Object.fromEntries(Object.keys(subjects).map((name, i) => [name, found[i]])),
        Object.fromEntries(Object.keys(subjects).map((name, i) => [name, statuses.split(' ')[i]])),
      )
    })
  }

  it('tells nobody whether a repository exists that he may not pull from', async () => {
    for (const headers of [{}, basic('other', 'other-pw')]) {
      const [there, missing] = await Promise.all(
        ['team/app', 'team/none'].map(async name => await app.get(`/v2/${name}/manifests/v1`, headers)),
      )
      assert.equal(there!.status, missing!.status)
      assert.equal(String(there!.body).replaceAll('team/app', ''), String(missing!.body).replaceAll('team/none', ''))
    }
  })

  it('moves a tag only for who may', async () => {
    const adding = basic('adding', 'adding-pw')
    assert.equal((await put('team/app', 'new', manifestOf('one'), adding)).status, 201)
    assertError(await put('team/app', 'v1', manifestOf('two'), adding), 'DENIED')
    assert.equal(
      (await put('team/app', 'v1', manifestOf('one'), adding)).status,
      201,
      'the same once more moves nothing',
    )
    assert.equal((await put('team/app', 'v1', manifestOf('two'), basic('writer', 'writer-pw'))).status, 201)
    assert.equal((await put('team/app', 'v1', manifestOf('one'), basic('writer', 'writer-pw'))).status, 201)
  })

  it('deletes by digest only what no tag needs that the caller may not delete', async () => {
    const [deleter, cleaner, boss] = ['deleter', 'cleaner', 'boss'].map(name => basic(name, `${name}-pw`))
    const manifest = manifestOf('kept')
    for (const tag of ['ci-1', 'kept-1']) {
      assert.equal((await put('team/app', tag, manifest, boss!)).status, 201)
    }
    const remove = async (reference: string, headers: Record<string, string>): Promise<Reply> =>
      await app.request('DELETE', `/v2/team/app/${reference}`, { headers })
    const digest = sha256(manifest)
    for (const caller of [deleter!, cleaner!]) {
      assertError(await remove(`manifests/${digest}`, caller), 'DENIED')
    }
    assertError(await remove(`blobs/${sha256(layer)}`, cleaner!), 'DENIED')
    assertError(await remove('manifests/kept-1', cleaner!), 'DENIED')
    assert.equal((await remove('manifests/ci-1', cleaner!)).status, 202)
    assert.equal((await app.get('/v2/team/app/manifests/kept-1', boss)).status, 200)
    assert.equal((await remove('manifests/kept-1', boss!)).status, 202)
    assertError(await remove(`manifests/${digest}`, cleaner!), 'DENIED')
    assert.equal((await remove(`manifests/${digest}`, deleter!)).status, 202)
  })

  it('keeps an upload to who began it', async () => {
    const writer = basic('writer', 'writer-pw')
    const { headers } = await app.request('POST', '/v2/team/app/blobs/uploads/', { headers: writer })
    const path = String(headers.location)
    for (const method of ['GET', 'PATCH', 'DELETE']) {
      assertError(await app.request(method, path, { headers: basic('boss', 'boss-pw') }), 'BLOB_UPLOAD_UNKNOWN')
    }
    assert.equal((await app.request('GET', path, { headers: writer })).status, 204)
    assert.equal((await app.request('DELETE', path, { headers: writer })).status, 204)
  })

  it('mounts only what the caller may pull there, and tells nothing of the rest', async () => {
    const secret = Buffer.from('of the boss alone')
    const boss = basic('boss', 'boss-pw')
    const upload = await app.request('POST', `/v2/secret/app/blobs/uploads/?digest=${sha256(secret)}`, {
      headers: boss,
      body: secret,
    })
    assert.equal(upload.status, 201)
    for (const from of ['&from=secret/app', '']) {
      const mount = await app.request('POST', `/v2/team/app/blobs/uploads/?mount=${sha256(secret)}${from}`, {
        headers: basic('writer', 'writer-pw'),
      })
      assert.equal(mount.status, 202)
      const mounted = await app.request('POST', `/v2/secret/app2/blobs/uploads/?mount=${sha256(secret)}${from}`, {
        headers: boss,
      })
      assert.equal(mounted.status, 201)
    }
  })

  it('mounts from any repository, where none is named, what the caller may pull from one', async () => {
    const mount = async (headers: Record<string, string>): Promise<number> =>
      (await app.request('POST', `/v2/team/any/blobs/uploads/?mount=${sha256(layer)}`, { headers })).status
    assert.equal(await mount(await bearer('writer', 'repository:team/any:pull,push')), 202)
    assert.equal(await mount(await bearer('writer', 'repository:team/any:pull,push repository:team/app:pull')), 201)
    assert.equal(await mount(basic('writer', 'writer-pw')), 201)
  })

  it('names both repositories of a mount to who has a token for one', async () => {
    const mount = async (headers: Record<string, string>): Promise<Reply> =>
      await app.request('POST', `/v2/team/copy/blobs/uploads/?mount=${sha256(layer)}&from=team/app`, { headers })
    const reply = await mount(await bearer('writer', 'repository:team/copy:pull,push'))
    const scope = 'repository:team/copy:pull,push repository:team/app:pull'
    assert.equal(reply.status, 401)
    assert.ok(headerValues(reply, 'www-authenticate')[0]!.includes(`scope="${scope}"`))
    assert.equal((await mount(await bearer('writer', scope))).status, 201)
  })

  it('lists the repositories that the caller may pull from', async () => {
    const lists = await Promise.all(
      [{}, basic('reader', 'reader-pw'), basic('boss', 'boss-pw'), await bearer('reader', 'registry:catalog:*')].map(
        async headers => json(await app.get('/v2/_catalog?n=100', headers)),
      ),
    )
    assert.deepEqual(lists, [
      { repositories: ['public/app'] },
      { repositories: ['public/app', 'team/app'] },
      { repositories: ['public/app', 'team/app'] },
      { repositories: ['public/app', 'team/app'] },
    ])
    assert.equal((await app.get('/v2/_catalog', await bearer('reader', 'repository:team/app:pull'))).status, 401)
  })

  it('tells caches what is for one caller alone', async () => {
    const blob = (name: string): Promise<Reply> =>
      app.get(`/v2/${name}/blobs/${sha256(layer)}`, basic('boss', 'boss-pw'))
    assert.match(String((await blob('team/app')).headers['cache-control']), /^private/)
    assert.match(String((await blob('public/app')).headers['cache-control']), /^public/)
  })

  it('asks at once who a browser of tokens is', async () => {
    const { headers } = await app.get('/v2/')
    const [bearerChallenge, basicChallenge] = headerValues(await app.get('/v2/'), 'www-authenticate')
    assert.match(
      bearerChallenge!,
      new RegExp(`^Bearer realm="http://127.0.0.1:${app.port}/auth/token",service="ipdr"$`),
    )
    assert.equal(basicChallenge, 'Basic realm="ipdr"')
    assert.equal(headers['docker-distribution-api-version'], 'registry/2.0')
    const scoped = headerValues(await app.get('/v2/team/app/manifests/v1'), 'www-authenticate')[0]
    assert.match(scoped!, /scope="repository:team\/app:pull"/)
  })
})

describe('/auth/token', () => {
  it('cuts scopes to what is allowed', async () => {
    const { status, body } = await app.get(
      '/auth/token?service=ipdr&scope=repository:team/app:pull,push,delete&scope=repository:secret/app:pull&scope=nonsense',
      basic('writer', 'writer-pw'),
    )
    assert.equal(status, 200)
    const answer = JSON.parse(String(body))
    assert.equal(answer.scope, 'repository:team/app:pull,push')
    assert.equal(answer.token, answer.access_token)
    assert.ok(answer.expires_in >= 60)
    assert.equal(answer.refresh_token, undefined)
  })

  it('gives no token for another one, which may have been asked for less', async () => {
    const headers = await bearer('writer', 'repository:team/app:pull')
    assert.equal((await app.get('/auth/token?scope=repository:team/app:pull,push', headers)).status, 401)
  })

  it('gives strangers tokens for what is open to them', async () => {
    const headers = { Authorization: `Bearer ${await tokenFor({}, 'repository:public/app:pull,push')}` }
    assert.equal((await app.get('/v2/', headers)).status, 200)
    assert.equal((await app.get('/v2/public/app/manifests/v1', headers)).status, 200)
    assert.equal((await app.request('POST', '/v2/public/app/blobs/uploads/', { headers })).status, 401)
  })

  it('takes a password or a refresh token by POST', async () => {
    const first = await app.askForToken({
      grant_type: 'password',
      username: 'writer',
      password: 'writer-pw',
      access_type: 'offline',
      scope: 'repository:team/app:pull repository:team/b:push',
    })
    assert.equal(first.status, 200)
    const { refresh_token, scope } = json(first) as { refresh_token: string; scope: string }
    assert.equal(scope, 'repository:team/app:pull repository:team/b:push')
    const second = await app.askForToken({
      grant_type: 'refresh_token',
      refresh_token,
      scope: 'repository:team/app:pull',
    })
    const { access_token } = json(second) as { access_token: string }
    assert.equal((await app.get('/v2/team/app/manifests/v1', { Authorization: `Bearer ${access_token}` })).status, 200)
  })

  it('ends tokens with a changed password, and keeps them when keys are rotated', async () => {
    const headers = await bearer('reader', 'repository:team/app:pull')
    const path = '/v2/team/app/manifests/v1'
    await app.access.keys.rotate(Date.now() + 40 * 24 * 3600 * 1000)
    assert.equal((await app.get(path, headers)).status, 200)
    app.access.change({ rules, users: { ...users, reader: 'another' } })
    assert.equal((await app.get(path, headers)).status, 401)
    app.access.change({ rules, users })
  })

  it('answers what it does not understand with 400 or 401, never more', async () => {
    for (const [fields, status] of [
      [{}, 400],
      [{ grant_type: 'password', username: 'writer' }, 400],
      [{ grant_type: 'client_credentials' }, 400],
      [{ grant_type: 'refresh_token', refresh_token: 'x.y.z' }, 401],
      [{ grant_type: 'password', username: 'writer', password: 'x' }, 401],
    ] as const) {
      assert.equal((await app.askForToken(fields)).status, status)
    }
    assert.equal((await app.request('DELETE', '/auth/token')).status, 405)
  })

  it('does not exist without rules', async () => {
    app.access.change({})
    try {
      assertError(await app.get('/auth/token'), 'NOT_FOUND')
      assert.equal((await app.get('/v2/', basic('x', 'y'))).status, 200, 'a log-in that is not needed does no harm')
    } finally {
      app.access.change({ rules, users })
    }
  })
})

describe('wrong passwords', () => {
  it('for a user make an address wait after twenty of them', async () => {
    await using other = await TestApp.start({ access: { rules, users } })
    const statuses = []
    for (let i = 0; i < 22; i++) {
      statuses.push((await other.get('/v2/', basic('reader', 'guess'))).status)
    }
    assert.deepEqual(statuses, [...Array<number>(20).fill(401), 429, 429])
    const reply = await other.get('/v2/', basic('reader', 'reader-pw'))
    assertError(reply, 'TOOMANYREQUESTS')
    assert.ok(Number(reply.headers['retry-after']) > 0)
    assert.equal((await other.get('/v2/', basic('writer', 'writer-pw'))).status, 200, 'other users do not wait')
    assert.equal((await other.get('/v2/public/app/tags/list')).status, 404, 'who shows nothing does not wait')
  })

  it('for any users make an address wait after two hundred of them', async () => {
    await using other = await TestApp.start({ access: { rules, users } })
    for (let i = 0; i < 200; i++) {
      assert.equal((await other.get('/v2/', basic(`nobody-${i % 20}`, 'guess'))).status, 401)
    }
    assertError(await other.get('/v2/', basic('reader', 'reader-pw')), 'TOOMANYREQUESTS')
  })
})

describe('administration', () => {
  it('is for the token, and for users whom the rules let administer', async () => {
    const administration = { peers: () => [] } as unknown as Administration
    await using other = await TestApp.start({ access: { rules, users }, administration })
    const status = async (headers: Record<string, string>): Promise<number> =>
      (await other.get('/ipdr/v1/peers', headers)).status
    assert.deepEqual(
      await Promise.all(
        [{}, authorized, basic('boss', 'boss-pw'), basic('writer', 'writer-pw'), basic('boss', 'x')].map(status),
      ),
      [401, 200, 200, 403, 401],
    )
    other.access.change({})
    assert.equal(await status(basic('boss', 'boss-pw')), 401, 'without rules only the token counts')
  })
})

describe('whatever stands in Authorization', () => {
  it('gives no 500 and opens nothing', async () => {
    const valid = await tokenFor(basic('writer', 'writer-pw'), 'repository:team/app:pull')
    const header = fc.oneof(
      fc.string({ maxLength: 100 }),
      fc.string({ maxLength: 60 }).map(text => `Bearer ${text}`),
      fc.string({ maxLength: 60 }).map(text => `Basic ${text}`),
      fc.string({ maxLength: 60 }).map(text => `Basic ${Buffer.from(text).toString('base64')}`),
      fc
        .tuple(fc.nat(valid.length - 1), fc.constantFrom(...'Aa1-_.='))
        .map(([at, letter]) => `Bearer ${valid.slice(0, at)}${letter}${valid.slice(at + 1)}`),
      fc.nat(valid.length).map(length => `Bearer ${valid.slice(0, length)}`),
    )
    const agent = new Agent({ keepAlive: true })
    try {
      await fc.assert(
        fc.asyncProperty(header, async text => {
          const authorization = text.replace(/[^\x20-\x7e\x80-\xff]/g, '?').trim()
          const { status } = await app.request('GET', '/v2/team/app/manifests/v1', {
            agent,
            headers: { authorization },
          })
          const expected = isSameToken(authorization, valid) ? [200] : [401, 429]
          assert.ok(expected.includes(status), `${status} for ${authorization}`)
        }),
        { numRuns: Number(process.env['FUZZ_RUNS'] ?? 1000) },
      )
    } finally {
      agent.destroy()
    }
  })
})

/** By its bytes: the last letter of a signature has bits that stand for nothing */
function isSameToken(authorization: string, token: string): boolean {
  const [given, own] = [authorization.replace(/^Bearer /, ''), token].map(text => {
    const [, signed, signature] = /^(.*)\.([\w-]*)$/.exec(text) ?? []
    return `${signed} ${signature?.length} ${Buffer.from(signature ?? '', 'base64url').toString('hex')}`
  })
  return authorization.startsWith('Bearer ') && given === own
}

async function put(repository: string, tag: string, body: Buffer, headers: Record<string, string>): Promise<Reply> {
  return await app.request('PUT', `/v2/${repository}/manifests/${tag}`, {
    headers: { ...headers, 'Content-Type': ociManifest },
    body,
  })
}

async function tokenFor(headers: Record<string, string>, scope: string): Promise<string> {
  const reply = await app.get(`/auth/token?service=ipdr&scope=${encodeURIComponent(scope)}`, headers)
  assert.equal(reply.status, 200)
  return (json(reply) as { token: string }).token
}

async function bearer(user: string, scope: string): Promise<{ Authorization: string }> {
  return { Authorization: `Bearer ${await tokenFor(basic(user, `${user}-pw`), scope)}` }
}

async function foreignToken(): Promise<string> {
  const { privateKey } = await generateKeyPair('EdDSA')
  return await new SignJWT({ access: [{ type: 'repository', name: 'team/app', actions: ['pull'] }] })
    .setProtectedHeader({ alg: 'EdDSA', kid: 'x' })
    .setSubject('boss')
    .setIssuer('ipdr')
    .setAudience('ipdr')
    .setExpirationTime('5m')
    .sign(privateKey)
}

function headerValues({ rawHeaders }: Reply, name: string): string[] {
  return rawHeaders.filter((_, i) => i % 2 === 1 && rawHeaders[i - 1]!.toLowerCase() === name)
}
