/** Whatever a client shows: the answer is never an error of the server, and nothing opens for it that should not */
import assert from 'node:assert/strict'
import { Agent } from 'node:http'
import { after, before, describe, it } from 'node:test'
import fc from 'fast-check'
import { basic, bearer } from '../fixtures/access.ts'
import { makeKey } from '../fixtures/api-keys.ts'
import { json, TestApp } from '../fixtures/app.ts'
import { audience, TestIssuer } from '../fixtures/issuer.ts'
import { imageManifest } from '../fixtures/manifests.ts'

/** Ten thousand of the first four kinds */
const runs = { mangled: 4000, crafted: 2000, claims: 1000, requests: 3000, cookies: 2000, logIns: 1000 }
const scale = Number(process.env['FUZZ_SCALE'] ?? 1)

const path = '/v2/team/app/manifests/v1'
const key = makeKey('ci', ['team/**:pull'])
const rulesFor = (issuer: string): string => `
issuers:
  ci: { issuer: ${issuer}, audience: ${audience}, require: { owner: us }, login: { clientId: registry } }
rules:
  - { who: [anonymous], repositories: ['public/**'], actions: [pull] }
  - { who: ['user:alice', 'user:ci:robot'], repositories: ['team/**'], actions: [pull] }
`

let app: TestApp
let issuer: TestIssuer
let valid: string[]
let session: string
/** Each with an address of its own, so that failed log-ins do not make all the others wait */
const agents = Array.from({ length: 60 }, (_, i) => new Agent({ keepAlive: true, localAddress: `127.0.1.${i + 1}` }))
let asked = 0

before(async () => {
  issuer = await TestIssuer.start()
  app = await TestApp.start({ access: {} })
  for (const repository of ['team/app', 'public/app']) {
    await app.pushEmptyConfig(repository)
    assert.equal((await app.pushManifest(repository, 'v1', imageManifest({ layers: [] }))).status, 201)
  }
  app.access.change({ rules: rulesFor(issuer.url), users: { alice: 'of alice' }, keys: [key.key] })
  const token = json(await app.get('/auth/token?scope=repository:team/app:pull', basic('alice', 'of alice'))) as {
    token: string
  }
  const foreign = await issuer.token({ sub: 'robot', owner: 'us' })
  valid = [
    basic('alice', 'of alice'),
    basic('ci', key.secret),
    bearer(key.secret),
    bearer(token.token),
    bearer(foreign),
  ]
    .map(({ Authorization }) => Authorization)
    .concat(basic('x', foreign).Authorization)
  session = await app.access.session('ci:robot')
})
after(async () => {
  agents.forEach(agent => {
    agent.destroy()
  })
  await app[Symbol.asyncDispose]()
  await issuer[Symbol.asyncDispose]()
})

async function ask(
  target: string,
  {
    method = 'GET',
    authorization,
    cookie,
    body,
  }: { method?: string; authorization?: string; cookie?: string; body?: string } = {},
): Promise<{ status: number; body: string }> {
  const agent = agents[asked++ % agents.length]!
  const headers = Object.fromEntries(
    Object.entries({ authorization, cookie }).flatMap(([name, value]) =>
      value === undefined ? [] : [[name, value.replace(/[^\t\x20-\x7e\x80-\xff]/g, '?')]],
    ),
  )
  const reply = await app.request(method, target, { agent, headers, ...(body === undefined ? {} : { body }) })
  return { status: reply.status, body: String(reply.body) }
}

/** What a header shows: two that show the same are written differently, as base64 has bits that stand for nothing */
function meaningOf(authorization: string): string {
  const [, scheme = '', value = ''] = /^([A-Za-z]+) +(\S+)[ \t]*$/.exec(authorization.trim()) ?? []
  const jwtOf = (text: string): string => {
    const [, signed, signature] = /^(.*)\.([\w-]*)$/s.exec(text) ?? []
    return signed === undefined
      ? text
      : `${signed} ${signature!.length} ${Buffer.from(signature!, 'base64url').toString('hex')}`
  }
  if (scheme.toLowerCase() !== 'basic') {
    return `${scheme.toLowerCase()} ${jwtOf(value)}`
  }
  const [, user = '', password = ''] = /^([^:]*):(.*)$/s.exec(Buffer.from(value, 'base64').toString('utf8')) ?? []
  return password.split('.').length === 3 ? `basic ${jwtOf(password)}` : `basic ${user} ${password}`
}

const anyText = fc.oneof(fc.string({ maxLength: 60 }), fc.string({ unit: 'binary', maxLength: 30 }))
const scheme = fc.constantFrom('Bearer', 'Basic', 'bearer', 'BASIC', 'Digest', 'Negotiate', '', 'Bearer Basic')
const gap = fc.constantFrom(' ', '  ', '\t', '', ' , ')

/** A valid header, but for one change; it may mean the same nevertheless */
const mangled = fc
  .tuple(fc.nat(), fc.nat(), fc.nat(4), fc.oneof(fc.constantFrom(...'Aa1-_.=+/ :,"'), anyText), scheme)
  .map(([which, place, kind, text, otherScheme]) => {
    const header = valid[which % valid.length]!
    const at = place % header.length
    const value = header.replace(/^\S+ /, '')
    switch (kind) {
      case 0:
        return `${header.slice(0, at)}${text}${header.slice(at + 1)}`
      case 1:
        return `${header.slice(0, at)}${text}${header.slice(at)}`
      case 2:
        return header.slice(0, at)
      case 3:
        return `${otherScheme} ${value}`
      default:
        return `${header.slice(0, at)}${header.slice(at, at + 5)}${header.slice(at)}`
    }
  })
const free = fc.oneof(
  anyText,
  fc.tuple(scheme, gap, anyText).map(parts => parts.join('')),
  fc.tuple(scheme, anyText, anyText).map(([name, user, password]) => {
    return `${name} ${Buffer.from(`${user}:${password}`).toString('base64')}`
  }),
)

const anyJson = fc.oneof(fc.jsonValue({ maxDepth: 2 }), fc.constantFrom<unknown>('', null, -1, 1e300, [], {}))
/** The parts of a token that nobody signed */
const crafted = fc
  .tuple(
    fc.record(
      {
        alg: fc.oneof(fc.constantFrom<unknown>('none', 'HS256', 'RS256', 'EdDSA', 'ES256', 'dir'), anyJson),
        kid: fc.oneof(fc.constantFrom<unknown>('known', 'ours', '../../etc/passwd'), anyJson),
        crit: anyJson,
        jku: fc.webUrl(),
        b64: fc.boolean(),
        typ: anyJson,
      },
      { requiredKeys: ['alg'] },
    ),
    fc.record(
      {
        iss: fc.oneof(fc.constantFrom<unknown>('ipdr', 'test'), anyJson),
        sub: fc.oneof(fc.constantFrom<unknown>('alice', 'key:ci', 'ci:robot', 'robot', 'anonymous'), anyJson),
        aud: fc.oneof(fc.constantFrom<unknown>('ipdr', audience), anyJson),
        exp: fc.oneof(fc.constantFrom<unknown>(9e9), anyJson),
        access: anyJson,
        pwd: anyJson,
        groups: anyJson,
        owner: fc.constant('us'),
      },
      { requiredKeys: ['iss'] },
    ),
    fc.oneof(fc.constantFrom('', 'AAAA'), fc.base64String({ maxLength: 400 })),
    fc.boolean(),
  )
  .map(([header, payload, signature, isBasic]) => {
    const kid = header.kid === 'known' ? issuer.jwks.keys[0]!.kid : header.kid
    const iss = payload.iss === 'test' ? issuer.url : payload.iss
    const token = [
      { ...header, kid },
      { ...payload, iss },
    ]
      .map(part => Buffer.from(JSON.stringify(part)).toString('base64url'))
      .concat(Buffer.from(signature, 'base64').toString('base64url'))
      .join('.')
    return isBasic ? basic('alice', token).Authorization : bearer(token).Authorization
  })

describe('whatever stands in Authorization', () => {
  it('opens nothing where it is not valid, and is no error of the server', async () => {
    const meanings = new Set(valid.map(meaningOf))
    for (const header of valid) {
      assert.equal((await ask(path, { authorization: header })).status, 200)
    }
    await fc.assert(
      fc.asyncProperty(fc.oneof({ weight: 3, arbitrary: mangled }, free), async authorization => {
        const { status, body } = await ask(path, { authorization })
        const isFine = status === 200 ? meanings.has(meaningOf(authorization)) : [400, 401, 429].includes(status)
        assert.ok(isFine, `${status} ${body} for ${authorization}`)
      }),
      { numRuns: runs.mangled * scale },
    )
  })

  it('opens nothing by a token that nobody signed', async () => {
    await fc.assert(
      fc.asyncProperty(crafted, async authorization => {
        const { status, body } = await ask(path, { authorization })
        assert.ok([401, 429].includes(status), `${status} ${body} for ${authorization}`)
      }),
      { numRuns: runs.crafted * scale },
    )
  })

  it('opens by a signed token what its claims say, and nothing where one of them is odd', async () => {
    const now = Math.floor(Date.now() / 1000)
    const value = <T>(right: T): fc.Arbitrary<unknown> =>
      fc.oneof({ weight: 4, arbitrary: fc.constant<unknown>(right) }, anyJson)
    const claims = fc.record({
      sub: value('robot'),
      aud: fc.oneof(value(audience), fc.constant(['x', audience])),
      exp: fc.oneof(value(now + 3600), fc.constant(now - 100)),
      nbf: fc.oneof(fc.constant(undefined), value(now - 10), fc.constant(now + 100)),
      owner: fc.oneof(value('us'), fc.constant(['x', 'us'])),
    })
    await fc.assert(
      fc.asyncProperty(claims, async ({ sub, aud, exp, nbf, owner }) => {
        const token = await issuer.token({ sub, aud, exp, nbf, owner } as never)
        const { status } = await ask(path, { authorization: bearer(token).Authorization })
        const isRight =
          [aud].flat().includes(audience) &&
          typeof exp === 'number' &&
          exp > now &&
          (nbf === undefined || (typeof nbf === 'number' && nbf <= now)) &&
          [owner].flat().includes('us')
        assert.equal(
          status,
          !isRight || typeof sub !== 'string' || !/^[^\s\p{Cc}]+$/u.test(sub) ? 401 : sub === 'robot' ? 200 : 403,
        )
      }),
      { numRuns: runs.claims * scale },
    )
  })
})

describe('whatever is asked of /auth/token', () => {
  const scope = fc.oneof(
    anyText,
    fc
      .tuple(
        fc.constantFrom('repository', 'registry', 'repository(plugin)', ''),
        fc.constantFrom('team/app', 'public/app', 'catalog', '**', '../team/app', 'TEAM/app', ''),
        fc.constantFrom('pull', 'pull,push', '*', 'admin', '', 'pull,pull,delete'),
      )
      .map(parts => parts.join(':')),
  )
  const field = fc.oneof(
    fc.tuple(fc.constant('scope'), scope),
    fc.tuple(fc.constant('grant_type'), fc.constantFrom('password', 'refresh_token', 'client_credentials', '')),
    fc.tuple(fc.constantFrom('username', 'password', 'refresh_token', 'service', 'account', 'client_id'), anyText),
    fc.tuple(fc.constantFrom('offline_token', 'access_type'), fc.constantFrom('true', 'offline', 'x')),
    fc.tuple(anyText, anyText),
  )
  const fields = fc
    .array(field, { maxLength: 8 })
    .map(entries => new URLSearchParams(entries.map(wellFormed)).toString())

  it('gives strangers nothing but what is open to them, and is no error of the server', async () => {
    const requests = fc.oneof(
      fc.record({
        method: fc.constant('GET'),
        query: fields,
        authorization: fc.option(fc.oneof(free, crafted), { nil: undefined }),
      }),
      fc.record({ method: fc.constant('POST'), body: fc.oneof(fields, anyText), query: fc.constant('') }),
      fc.record({ method: fc.constantFrom('PUT', 'DELETE', 'HEAD'), query: fields }),
    )
    await fc.assert(
      fc.asyncProperty(requests, async init => {
        const { status, body } = await ask(`/auth/token?${init.query}`, init)
        assert.ok([200, 400, 401, 405, 414, 429].includes(status), `${status} ${body} for ${JSON.stringify(init)}`)
        if (status === 200 && init.method === 'GET') {
          const answer = JSON.parse(body)
          const granted = answer.scope === '' ? [] : (answer.scope as string).split(' ')
          assert.deepEqual(
            granted.filter(text => !['repository:public/app:pull', 'registry:catalog:*'].includes(text)),
            [],
          )
          assert.equal(answer.refresh_token, undefined)
        }
      }),
      { numRuns: runs.requests * scale },
    )
  })
})

describe('whatever a browser keeps', () => {
  const names = fc.constantFrom(
    'ipdr-session',
    'ipdr-log-in',
    '__Host-ipdr-session',
    'ipdr-session ',
    'IPDR-SESSION',
    '',
  )
  /** The value of a session, but for one change; the last letter has bits that stand for nothing */
  const mangledSession = fc
    .tuple(fc.nat(), fc.constantFrom(...'Aa1-_.=+/ ,"%'), fc.nat(2))
    .map(([place, text, kind]) => {
      const at = place % (session.length - 1)
      const rest = session.slice(kind === 0 ? at : at + 1)
      return kind === 2 ? session.slice(0, at) : `${session.slice(0, at)}${text}${rest}`
    })
  const tokens = crafted.map(authorization => authorization.replace(/^\S+ /, ''))
  const cookies = fc.oneof(
    mangledSession.map(value => `ipdr-session=${value}`),
    tokens.map(value => `ipdr-session=${value}`),
    fc
      .array(fc.tuple(names, fc.oneof(anyText, mangledSession, tokens)), { maxLength: 4 })
      .map(pairs => pairs.map(([name, value]) => `${name}=${value}`).join('; ')),
    anyText,
  )

  it('opens nothing where it is no session, and is no error of the server', async () => {
    assert.equal((await ask(path, { cookie: `ipdr-session=${session}` })).status, 200)
    await fc.assert(
      fc.asyncProperty(cookies, async cookie => {
        const { status, body } = await ask(path, { cookie })
        const isSame = cookie.split(';').filter(text => text.trim() === `ipdr-session=${session}`).length === 1
        assert.ok(status === 401 || (status === 200 && isSame), `${status} ${body} for ${cookie}`)
      }),
      { numRuns: runs.cookies * scale },
    )
  })

  it('begins or ends no log-in but his own, and is no error of the server', async () => {
    const names = fc.oneof(
      fc.constantFrom('state', 'code', 'iss', 'error', 'issuer', 'to', 'response', '__proto__'),
      anyText,
    )
    const values = fc.oneof(fc.constantFrom('ci', '//evil.example', '/v2/', 'access_denied'), anyText)
    const query = fc
      .array(fc.tuple(names, values), { maxLength: 6 })
      .map(entries => new URLSearchParams(entries.map(wellFormed)).toString())
    const requests = fc.record({
      method: fc.constantFrom('GET', 'HEAD', 'POST', 'DELETE'),
      target: fc.constantFrom('/auth/login', '/auth/callback', '/auth/me', '/auth/logout'),
      query: fc.oneof(
        query,
        anyText.map(text => encodeURI(text.toWellFormed()).replaceAll('#', '')),
      ),
      cookie: fc.oneof(
        cookies,
        tokens.map(value => `ipdr-log-in=${value}`),
      ),
    })
    await fc.assert(
      fc.asyncProperty(requests, async ({ method, target, query: text, cookie }) => {
        const { status, body } = await ask(`${target}?${text}`, { method, cookie })
        const allowed = target === '/auth/callback' ? [400, 405, 414] : [200, 204, 302, 400, 404, 405, 414]
        assert.ok(allowed.includes(status), `${status} ${body} for ${method} ${target}?${text}`)
        if (target === '/auth/me' && method === 'GET' && !cookie.includes(session)) {
          assert.equal(JSON.parse(body).name, 'anonymous')
        }
      }),
      { numRuns: runs.logIns * scale },
    )
  })
})

function wellFormed([name, value]: [string, string]): [string, string] {
  return [name.toWellFormed(), value.toWellFormed()]
}
