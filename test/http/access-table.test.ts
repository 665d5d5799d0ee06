/** What every route answers to everybody who can ask */
import assert from 'node:assert/strict'
import { mkdir, readFile } from 'node:fs/promises'
import { Agent } from 'node:https'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { baseRoutes } from '../../src/http/routes/base.ts'
import { blobRoutes } from '../../src/http/routes/blobs.ts'
import { digRoutes } from '../../src/http/routes/dig.ts'
import { healthRoutes } from '../../src/http/routes/health.ts'
import { logInRoutes, sessionRoutes } from '../../src/http/routes/log-in.ts'
import { manifestRoutes } from '../../src/http/routes/manifests.ts'
import { pastRoutes } from '../../src/http/routes/past.ts'
import { referrerRoutes } from '../../src/http/routes/referrers.ts'
import { tagRoutes } from '../../src/http/routes/tags.ts'
import { tokenRoutes } from '../../src/http/routes/token.ts'
import { uiApiRoutes } from '../../src/http/routes/ui-api.ts'
import { uploadRoutes } from '../../src/http/routes/uploads.ts'
import type { Events } from '../../src/events/events.ts'
import type { Administration } from '../../src/upkeep/administration.ts'
import { basic, bearer } from '../fixtures/access.ts'
import { ApiDescription } from '../fixtures/api-description.ts'
import { makeKey } from '../fixtures/api-keys.ts'
import { json, TestApp, type Reply } from '../fixtures/app.ts'
import { CertificateAuthority, readPair, type CertificatePair } from '../fixtures/certificates.ts'
import { sha256 } from '../fixtures/images.ts'
import { audience, TestIssuer } from '../fixtures/issuer.ts'
import { descriptorOf, imageManifest, ociManifest } from '../fixtures/manifests.ts'
import { routesOf } from '../fixtures/routes.ts'
import { temporaryDirectory } from '../fixtures/temporary.ts'
import { projectDirectory } from '../fixtures/tools.ts'
import { wrongLogIns, type WrongLogIn } from '../fixtures/wrong-log-ins.ts'

const layer = Buffer.from('a layer of the table')
const unknown = `sha256:${'0'.repeat(64)}`
const key = makeKey('ci', ['team/**:pull'])
const revoked = makeKey('gone', ['**:pull,push,tag,delete,admin'])
const outdated = makeKey('old', ['**:pull,push,tag,delete,admin'], { expires: new Date(0).toISOString() })
const users = Object.fromEntries(['reader', 'writer', 'deleter', 'admin', 'nobody'].map(user => [user, `of ${user}`]))

const rulesFor = (issuer: string): string => `
issuers:
  ci: { issuer: ${issuer}, audience: ${audience}, login: { clientId: registry } }
rules:
  - { who: [anonymous], repositories: ['public/**'], actions: [pull] }
  - { who: ['user:reader', 'user:writer', 'user:deleter', 'user:ci:robot', 'cert:node'], repositories: ['team/**'], actions: [pull] }
  - { who: ['user:ci:person'], repositories: ['team/**'], actions: [pull, push] }
  - { who: ['user:writer'], repositories: ['team/**'], actions: [push, tag] }
  - { who: ['user:deleter'], repositories: ['team/**'], actions: [delete] }
  - { who: ['user:admin'], repositories: ['**'], actions: [pull, push, tag, delete, admin] }
`

/** What a client shows */
interface Shown {
  headers?: Record<string, string>
  client?: CertificatePair
}

/**
 * The status of each route for each of these, and in the last column for everything of `wrongLogIns`:
 *
 * - anon, and whoever shows a certificate of another authority
 * - nobody: a user whom no rule allows anything; reader, writer, deleter, admin: users
 * - key, issuer, cert: an API key, a token of an issuer and a certificate, each to pull from team/**
 * - token: one of ours, issued to the writer to pull from team/app
 * - cookie: of somebody who has logged in by a browser, to pull from and push to team/**, sent by a page of ours
 *
 * Whoever shows a wrong cookie is answered as anon.
 */
const table = `
                                                              anon nobody reader writer deleter admin  key issuer cert token cookie wrong
GET /v2/                                                       401    200    200    200     200   200  200    200  200   200    200   401
HEAD /v2/                                                      401    200    200    200     200   200  200    200  200   200    200   401
GET /v2/_catalog                                               200    200    200    200     200   200  200    200  200   401    200   401
GET /v2/public/app/manifests/v1                                200    200    200    200     200   200  403    200  200   401    200   401
GET /v2/public/app/blobs/LAYER                                 200    200    200    200     200   200  403    200  200   401    200   401
GET /v2/team/app/manifests/v1                                  401    403    200    200     200   200  200    200  200   200    200   401
HEAD /v2/team/app/manifests/v1                                 401    403    200    200     200   200  200    200  200   200    200   401
GET /v2/team/app/manifests/none                                401    403    404    404     404   404  404    404  404   404    404   401
GET /v2/team/none/manifests/v1                                 401    403    404    404     404   404  404    404  404   401    404   401
GET /v2/secret/app/manifests/v1                                401    403    403    403     403   200  403    403  403   403    403   401
GET /v2/secret/none/manifests/v1                               401    403    403    403     403   404  403    403  403   403    403   401
GET /v2/team/app/blobs/LAYER                                   401    403    200    200     200   200  200    200  200   200    200   401
HEAD /v2/team/app/blobs/LAYER                                  401    403    200    200     200   200  200    200  200   200    200   401
GET /v2/secret/app/blobs/LAYER                                 401    403    403    403     403   200  403    403  403   403    403   401
GET /v2/team/app/tags/list                                     401    403    200    200     200   200  200    200  200   200    200   401
GET /v2/secret/app/tags/list                                   401    403    403    403     403   200  403    403  403   403    403   401
GET /v2/team/app/referrers/LAYER                               401    403    200    200     200   200  200    200  200   200    200   401
GET /dig?q=team/app:v1                                         401    403    200    200     200   200  200    200  200   200    200   401
GET /dig?q=secret/app:v1                                       401    403    403    403     403   200  403    403  403   403    403   401
GET /past/manifest?name=team/app&reference=v1&at=0             401    403    404    404     404   404  404    404  404   404    404   401
GET /past/manifest?name=secret/app&reference=v1&at=0           401    403    403    403     403   404  403    403  403   403    403   401
GET /past/blob?name=team/app&digest=LAYER&at=0                 401    403    200    200     200   200  200    200  200   200    200   401
GET /past/blob?name=secret/app&digest=LAYER&at=0               401    403    403    403     403   200  403    403  403   403    403   401
POST /v2/team/app/blobs/uploads/                               401    403    403    202     403   202  403    403  403   401    202   401
POST /v2/team/app/blobs/uploads/?mount=LAYER&from=secret/app   401    403    403    202     403   201  403    403  403   401    202   401
POST /v2/public/app/blobs/uploads/                             401    403    403    403     403   202  403    403  403   403    403   401
GET /v2/team/app/blobs/uploads/none                            401    403    403    404     403   404  403    403  403   401    404   401
PATCH /v2/team/app/blobs/uploads/none                          401    403    403    404     403   404  403    403  403   401    404   401
PUT /v2/team/app/blobs/uploads/none?digest=LAYER               401    403    403    404     403   404  403    403  403   401    404   401
DELETE /v2/team/app/blobs/uploads/none                         401    403    403    404     403   404  403    403  403   401    404   401
PUT /v2/team/app/manifests/v2                                  401    403    403    201     403   201  403    403  403   401    201   401
PUT /v2/public/app/manifests/v2                                401    403    403    403     403   201  403    403  403   403    403   401
DELETE /v2/team/app/manifests/none                             401    403    403    403     404   404  403    403  403   403    403   401
DELETE /v2/secret/app/manifests/none                           401    403    403    403     403   404  403    403  403   403    403   401
DELETE /v2/team/app/blobs/UNKNOWN                              401    403    403    403     404   404  403    403  403   403    403   401
GET /auth/token                                                200    200    200    200     200   200  200    200  200   401    200   401
GET /auth/token?scope=repository:team/app:pull                 200    200    200    200     200   200  200    200  200   401    200   401
POST /auth/token                                               400    400    400    400     400   400  400    400  400   400    400   400
GET /auth/login                                                302    302    302    302     302   302  302    302  302   302    302   302
GET /auth/callback?state=x&code=x                              400    400    400    400     400   400  400    400  400   400    400   400
GET /auth/me                                                   200    200    200    200     200   200  200    200  200   200    200   401
POST /auth/logout                                              204    204    204    204     204   204  204    204  204   204    204   401
GET /ui/api/session                                            200    200    200    200     200   200  200    200  200   200    200   401
GET /ui/api/repositories                                       200    200    200    200     200   200  200    200  200   401    200   401
GET /ui/api/find?q=LAYER                                       200    200    200    200     200   200  200    200  200   401    200   401
GET /ui/api/tags?repository=team/app                           401    403    200    200     200   200  200    200  200   200    200   401
GET /ui/api/tags?repository=team/none                          401    403    404    404     404   404  404    404  404   401    404   401
GET /ui/api/tags?repository=secret/app                         401    403    403    403     403   200  403    403  403   403    403   401
GET /ui/api/image?repository=team/app&reference=v1             401    403    200    200     200   200  200    200  200   200    200   401
GET /ui/api/image?repository=secret/app&reference=v1           401    403    403    403     403   200  403    403  403   403    403   401
GET /ui/api/compare?repository=team/app&reference=v1&with=v1   401    403    200    200     200   200  200    200  200   200    200   401
GET /ui/api/compare/files?repository=team/app&reference=v1&with=v1 401    403    200    200     200   200  200    200  200   200    200   401
GET /ui/api/files?repository=team/app&reference=v1&layer=LAYER  401 403 200 200 200 200 200 200 200 200 200 401
GET /ui/api/compare?repository=team/app&reference=v1&with=secret/app:v1 401    403    403    403     403   200  403    403  403   403    403   401
GET /ui/api/network                                            401    403    403    403     403   200  403    403  403   403    403   401
GET /ui/api/access                                             401    403    403    403     403   200  403    403  403   403    403   401
GET /ui/api/access/users                                       401    403    403    403     403   200  403    403  403   403    403   401
GET /ui/api/access/keys                                        401    403    403    403     403   200  403    403  403   403    403   401
POST /ui/api/access/keys                                       401    403    403    403     403   400  403    403  403   403    403   401
DELETE /ui/api/access/keys?name=none                           401    403    403    403     403   404  403    403  403   403    403   401
GET /ui/api/access/rules                                       401    403    403    403     403   200  403    403  403   403    403   401
GET /ui/api/access/failures                                    401    403    403    403     403   200  403    403  403   403    403   401
GET /ui/api/access/check                                       401    403    403    403     403   400  403    403  403   403    403   401
GET /ui/api/access/audit                                       401    403    403    403     403   200  403    403  403   403    403   401
GET /ui/api/upstreams                                          401    403    403    403     403   200  403    403  403   403    403   401
GET /ui/api/storage                                            401    403    403    403     403   200  403    403  403   403    403   401
POST /ui/api/gc                                                401    403    403    403     403   400  403    403  403   403    403   401
POST /ui/api/fsck                                              401    403    403    403     403   400  403    403  403   403    403   401
GET /ui/api/live?of=nothing                                    400    400    400    400     400   400  400    400  400   400    400   401
GET /ui/api/move?repository=team/app&tag=v1&digest=LAYER       401    403    200    200     200   200  200    200  200   200    200   401
GET /ui/api/move?repository=secret/app&tag=v1&digest=LAYER     401    403    403    403     403   200  403    403  403   403    403   401
GET /ui/api/history?repository=team/app                        401    403    403    403     403   200  403    403  403   401    403   401
GET /ui/api/differences?repository=team/app&from=0             401    403    403    403     403   200  403    403  403   401    403   401
POST /ui/api/delete                                            401    403    403    403     200   200  403    403  403   403    403   401
POST /ui/api/undo                                              401    403    403    200     200   200  403    403  403   401    200   401
GET /ui/log-in                                                 401    302    302    302     302   302  302    302  302   302    302   401
GET /livez                                                     200    200    200    200     200   200  200    200  200   200    200   200
GET /health                                                    200    200    200    200     200   200  200    200  200   200    200   200
GET /readyz                                                    200    200    200    200     200   200  200    200  200   200    200   200
GET /metrics                                                   401    403    403    403     403   200  403    403  403   403    403   401
GET /ipdr/v1/peers                                             401    403    403    403     403   200  403    403  403   403    403   401
POST /ipdr/v1/peers                                            401    403    403    403     403   400  403    403  403   403    403   401
GET /ipdr/v1/resolve                                           401    403    403    403     403   400  403    403  403   403    403   401
POST /ipdr/v1/publish                                          401    403    403    403     403   200  403    403  403   403    403   401
POST /ipdr/v1/access                                           401    403    403    403     403   200  403    403  403   403    403   401
GET /ipdr/v1/read-only                                         401    403    403    403     403   200  403    403  403   403    403   401
POST /ipdr/v1/read-only                                        401    403    403    403     403   400  403    403  403   403    403   401
POST /ipdr/v1/gc                                               401    403    403    403     403   400  403    403  403   403    403   401
POST /ipdr/v1/fsck                                             401    403    403    403     403   400  403    403  403   403    403   401
POST /ipdr/v1/prefetch                                         401    403    403    403     403   400  403    403  403   403    403   401
POST /ipdr/v1/rebuild                                          401    403    403    403     403   400  403    403  403   403    403   401
POST /ipdr/v1/backup                                           401    403    403    403     403   400  403    403  403   403    403   401
POST /ipdr/v1/restore                                          401    403    403    403     403   400  403    403  403   403    403   401
GET /ipdr/v1/events?live=no                                    401    403    403    403     403   400  403    403  403   403    403   401
POST /ipdr/v1/events/resend                                    401    403    403    403     403   400  403    403  403   403    403   401
GET /ipdr/v1/webhooks                                          401    403    403    403     403   200  403    403  403   403    403   401
GET /ipdr/v1/history?limit=x                                   401    403    403    403     403   400  403    403  403   403    403   401
GET /ipdr/v1/history/tags?at=x                                 401    403    403    403     403   400  403    403  403   403    403   401
GET /ipdr/v1/diff                                              401    403    403    403     403   400  403    403  403   403    403   401
POST /ipdr/v1/undo                                             401    403    403    403     403   400  403    403  403   403    403   401
POST /ipdr/v1/history/forget                                   401    403    403    403     403   400  403    403  403   403    403   401
POST /ipdr/v1/retention                                        401    403    403    403     403   400  403    403  403   403    403   401
POST /ipdr/v1/signatures                                       401    403    403    403     403   400  403    403  403   403    403   401
`

const [head = '', ...rows] = table.trim().replaceAll('LAYER', sha256(layer)).replaceAll('UNKNOWN', unknown).split('\n')
const columns = head.trim().split(/ +/)

/** What a route is sent so that whoever is allowed gets to know that something of it is wrong or missing */
function bodyOf(method: string, path: string): { type?: string; body?: string } {
  const isForm = path === '/auth/token'
  if (method === 'PUT' && path.includes('/manifests/')) {
    return { type: ociManifest, body: String(manifest) }
  }
  if (/^\/ui\/api\/(delete|undo)$/.test(path)) {
    const body = { repository: 'team/app', tags: ['v0'], dryRun: true, to: 0 }
    return { type: 'application/json', body: JSON.stringify(body) }
  }
  return method !== 'POST' || path.startsWith('/v2/')
    ? {}
    : { type: isForm ? 'application/x-www-form-urlencoded' : 'application/json', body: isForm ? 'grant_type=x' : '{' }
}

const rowsOfAddress = 40
const manifest = imageManifest({ layers: [descriptorOf(layer)] })

describe('every route', () => {
  const resources = new AsyncDisposableStack()
  let app: TestApp
  let issuer: TestIssuer
  let shown: Record<string, Shown>
  let wrongs: Record<string, WrongLogIn>
  let stranger: Shown

  before(async () => {
    issuer = resources.use(await TestIssuer.start())
    const directory = resources.use(await temporaryDirectory('access-table')).path
    const authority = await CertificateAuthority.create(directory)
    const elsewhere = join(directory, 'elsewhere')
    await mkdir(elsewhere)
    const other = await CertificateAuthority.create(elsewhere)
    const tls = {
      ...(await readPair(await authority.issue('server'))),
      clientCa: await readFile(authority.cert, 'utf8'),
    }
    const administration = {
      peers: () => [],
      reloadAccess: async () => undefined,
      readOnly: () => undefined,
      publish: async () => ({ name: 'k51', cid: 'bafk' }),
    } as unknown as Administration
    const events = { wants: () => false, webhooks: () => [] } as unknown as Events
    const status = { network: { report: async () => ({}) }, storage: { report: async () => ({}) } } as never
    const init = { access: {}, administration, events, status, server: { tls }, history: {} }
    app = resources.use(await TestApp.start(init))
    for (const repository of ['public/app', 'team/app', 'secret/app']) {
      for (const blob of [Buffer.from('{}'), layer]) {
        const path = `/v2/${repository}/blobs/uploads/?digest=${sha256(blob)}`
        assert.equal((await ask('POST', path, {}, { body: String(blob) })).status, 201)
      }
      assert.equal((await ask('PUT', `/v2/${repository}/manifests/v1`)).status, 201)
    }
    app.access.change({ rules: rulesFor(issuer.url), users, keys: [key.key, outdated.key] })
    shown = {
      anon: {},
      ...Object.fromEntries(Object.entries(users).map(([user, text]) => [user, { headers: basic(user, text) }])),
      key: { headers: basic('ci', key.secret) },
      issuer: { headers: bearer(await issuer.token({ sub: 'robot' })) },
      cert: { client: await readPair(await authority.issueClient('node', '/CN=node')) },
      token: { headers: bearer(await tokenFor('writer', 'repository:team/app:pull')) },
      cookie: {
        headers: { ...cookie(await app.access.session('ci:person')), Origin: `https://127.0.0.1:${app.port}` },
      },
    }
    stranger = { client: await readPair(await other.issueClient('admin', '/CN=admin')) }
    wrongs = await wrongLogIns(app, issuer, {
      users: Object.keys(users),
      revoked: revoked.secret,
      outdated: outdated.secret,
    })
  })
  after(async () => {
    agent.destroy()
    await resources.disposeAsync()
  })

  const agent = new Agent({ keepAlive: true })
  /** Where requests come from: with too many wrong log-ins, an address has to wait */
  let localAddress = '127.0.0.1'

  async function ask(
    method: string,
    path: string,
    { headers = {}, client }: Shown = {},
    { body = '', type } = bodyOf(method, path),
  ): Promise<Reply> {
    return await app.request(method, path, {
      client,
      agent,
      localAddress,
      body,
      headers: { ...(type && { 'Content-Type': type }), ...headers },
    })
  }

  function cookie(session: string): Record<string, string> {
    return { Cookie: `__Host-ipdr-session=${session}` }
  }

  async function tokenFor(user: string, scope: string): Promise<string> {
    const reply = await ask('GET', `/auth/token?scope=${scope}`, { headers: basic(user, users[user]!) })
    return (json(reply) as { token: string }).token
  }

  rows.forEach((row, i) => {
    const [method = '', path = '', ...statuses] = row.trim().split(/ +/)
    it(`${method} ${path}`, async () => {
      localAddress = `127.0.0.${1 + Math.floor(i / rowsOfAddress)}`
      const { wrong, ...expected } = Object.fromEntries(columns.map((name, j) => [name, Number(statuses[j])]))
      const found: Record<string, number> = {}
      for (const name of Object.keys(expected)) {
        found[name] = await statusOf(method, path, shown[name]!)
      }
      assert.deepEqual(found, expected)
      assert.equal(await statusOf(method, path, stranger), expected['anon'], 'a certificate of another authority')
      const forged = cookie(await app.access.tokens.issueSession({ subject: 'admin', fingerprint: 'x' }))
      assert.equal(await statusOf(method, path, { headers: forged }), expected['anon'], 'a session that is none')
      for (const [name, headersOf] of Object.entries(wrongs)) {
        assert.equal(await statusOf(method, path, { headers: headersOf(i) }), wrong, name)
      }
    })
  })

  /** Each answer of 401 says how to log in */
  async function statusOf(method: string, path: string, who: Shown): Promise<number> {
    const { headers, status } = await ask(method, path, who)
    assert.equal(status === 401, headers['www-authenticate'] !== undefined)
    return status
  }

  it('is in the table', async () => {
    const none = { registry: {}, status: {}, administration: {}, events: {} } as never
    const api = await ApiDescription.read(join(projectDirectory, 'docs/openapi.yaml'))
    const served = [
      baseRoutes(),
      blobRoutes(none, none),
      digRoutes(none),
      healthRoutes(none, { metricsGuard: [] }),
      logInRoutes(none),
      sessionRoutes(none),
      manifestRoutes(none, none),
      pastRoutes(none),
      referrerRoutes(none),
      tagRoutes(none),
      tokenRoutes(none, none),
      uiApiRoutes({ maintenance: none } as never, none),
      uploadRoutes(none, none),
    ].flatMap(routesOf)
    // of the registry itself, `served` has every path
    const described = api.operations
      .filter(operation => !operation.includes(' /v2/'))
      .map(operation => {
        const [method = '', path = ''] = operation.split(' ')
        return { method, path }
      })
    const missing = [...served, ...described].filter(
      ({ method, path }) =>
        !rows.some(row => {
          const [name, target = ''] = row.trim().split(/[ ?]+/)
          return name === method && (typeof path === 'string' ? path === target : path.test(target))
        }),
    )
    assert.deepEqual(missing, [])
  })
})
