/** docs/openapi.yaml against the routes, and against what a real server answers */
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { administrationRoutes } from '../../src/http/routes/administration.ts'
import { logInRoutes, sessionRoutes } from '../../src/http/routes/log-in.ts'
import type { Digest } from '../../src/oci/digest.ts'
import { pastRoutes } from '../../src/http/routes/past.ts'
import { uiApiRoutes } from '../../src/http/routes/ui-api.ts'
import { ApiDescription } from '../fixtures/api-description.ts'
import { TestAppliance } from '../fixtures/appliance.ts'
import { makeImage } from '../fixtures/images.ts'
import { local, startLogInTest } from '../fixtures/log-in.ts'
import { routesOf } from '../fixtures/routes.ts'
import { temporaryDirectory } from '../fixtures/temporary.ts'
import { projectDirectory } from '../fixtures/tools.ts'
import { until } from '../fixtures/until.ts'

const json = 'application/json'
const car = 'application/vnd.ipld.car'
const blockKeys = 'application/vnd.ipdr.block-keys'

describe('docs/openapi.yaml', () => {
  const resources = new AsyncDisposableStack()
  let api: ApiDescription
  let server: TestAppliance
  let empty: TestAppliance
  let backup: ArrayBuffer
  /** Mirrors the first one as `up.test` */
  let mirror: TestAppliance
  let blob: Digest
  before(async () => {
    api = await ApiDescription.read(join(projectDirectory, 'docs/openapi.yaml'))
    const network = { network: 'lan', p2p: { host: '127.0.0.1', port: 0 } }
    const path = resources.use(await temporaryDirectory('openapi')).path
    const upstreams = ['docker.io=http://127.0.0.1:1']
    server = resources.use(await TestAppliance.start(join(path, 'one'), { ...network, upstreams }))
    empty = resources.use(await TestAppliance.start(join(path, 'two'), network))
    const { content, descriptor } = makeImage([{ file: Buffer.from('content') }])
    for (const [digest, bytes] of content) {
      if (digest === descriptor.digest) {
        await server.client.pushManifest('team/app', 'v1', bytes)
      } else {
        await server.client.pushBlob('team/app', bytes)
        blob = digest
      }
    }
    mirror = resources.use(await TestAppliance.start(join(path, 'three'), { upstreams: [`up.test=${server.url}`] }))
    backup = await (await ask(server, 'POST /ipdr/v1/backup', blockKeys, '')).arrayBuffer()
  })
  after(async () => {
    await resources.disposeAsync()
  })

  async function ask(
    { dataDir, url }: TestAppliance,
    operation: string,
    type?: string,
    body?: string | ArrayBuffer,
    more: Record<string, string> = {},
  ): Promise<Response> {
    const [method = '', path = ''] = operation.split(' ')
    const Authorization = `Bearer ${(await readFile(join(dataDir, 'admin.token'), 'utf8')).trim()}`
    return await fetch(`${url}${path}`, {
      method,
      headers: { Authorization, ...(type === undefined ? {} : { 'Content-Type': type }), ...more },
      ...(body === undefined ? {} : { body }),
    })
  }

  it('has the routes that are served, and no other', () => {
    const none = {} as never
    const served = [
      administrationRoutes(
        { administration: none, bodies: none, events: none, log: none, metrics: none, turns: none },
        { guard: [], bodyRate: none },
      ),
      logInRoutes({ access: none, log: none, metrics: none }),
      sessionRoutes({ access: none }),
      pastRoutes({ registry: none, pastImages: none }),
      uiApiRoutes(
        {
          ...{ access: none, accessReview: none, administration: none, bodies: none, events: none, registry: none },
          ...{ maintenance: none, status: none, log: none, metrics: none },
        },
        { token: undefined, bodyRate: none },
      ),
    ]
      .flatMap(routesOf)
      .map(({ method, path }) => `${method} ${path}`)
    // of the registry itself, only pulls are described, and tested below
    assert.deepEqual(
      served.sort(),
      api.operations.filter(operation => !operation.includes(' /v2/')),
    )
    assert.ok(served.length > 12)
  })

  /** Operation, status, content type, body */
  const asked: Array<[string, number, string?, (string | (() => ArrayBuffer))?]> = [
    ['GET /ipdr/v1/peers', 200],
    ['POST /ipdr/v1/access', 200, json, '{}'],
    ['GET /ui/api/network', 200],
    ['GET /ui/api/storage', 200],
    ['GET /ui/api/live?of=nothing', 400],
    ['POST /ui/api/gc', 200, json, '{"dryRun":true}'],
    ['POST /ui/api/gc', 400, json, '{"dryRun":1}'],
    ['POST /ui/api/fsck', 200, json, '{"repair":false}'],
    ['POST /ui/api/fsck', 400, json, '{"repair":1}'],
    ['GET /ipdr/v1/resolve?name=team/app:v1', 200],
    ['POST /ipdr/v1/gc', 200, json, '{"dryRun":true}'],
    ['POST /ipdr/v1/retention', 200, json, '{"dryRun":true}'],
    ['POST /ipdr/v1/signatures', 405, json, '{}'],
    ['POST /ipdr/v1/gc', 200, json, '{"grace":3600}'],
    ['POST /ipdr/v1/fsck', 200, json, '{"repair":false,"rate":0}'],
    ['POST /ipdr/v1/rebuild', 200, json, '{}'],
    ['POST /ipdr/v1/prefetch', 200, json, '{"names":["docker.io/library/alpine"],"platforms":["all"]}'],
    ['POST /ipdr/v1/prefetch', 404, json, '{"names":["quay.io/a/b"]}'],
    ['POST /ipdr/v1/prefetch', 400, json, '{"names":[]}'],
    ['GET /ipdr/v1/history?name=team/app&limit=10', 200],
    ['GET /ipdr/v1/history?limit=0', 400],
    ['GET /ipdr/v1/history/tags?name=team/app&at=1&n=1', 200],
    ['GET /past/manifest?name=team/app&reference=v1&at=1', 200],
    ['GET /past/manifest?name=team/app&reference=v1&at=999', 400],
    ['GET /past/manifest?name=team/app&reference=v2&at=1', 404],
    ['GET /ipdr/v1/history/tags?name=team/app', 400],
    ['GET /ipdr/v1/diff?from=0', 200],
    ['GET /ipdr/v1/diff', 400],
    ['POST /ipdr/v1/undo', 200, json, '{"name":"team/app:v1"}'],
    ['POST /ipdr/v1/undo', 200, json, '{"name":"team/app:v1"}'],
    ['POST /ipdr/v1/undo', 400, json, '{"name":"team/app:v1","to":"2026-11-30T14:00:00Z"}'],
    ['POST /ipdr/v1/undo', 400, json, '{"name":"team/app","to":"yesterday"}'],
    ['POST /ipdr/v1/history/forget', 200, json, '{"name":"team/app"}'],
    ['POST /ipdr/v1/history/forget', 400, json, '{}'],
    ['GET /ipdr/v1/read-only', 200],
    ['POST /ipdr/v1/read-only', 200, json, '{"on":true,"reason":"moving to a new disk"}'],
    ['POST /ipdr/v1/read-only', 200, json, '{"on":false}'],
    ['POST /ipdr/v1/read-only', 400, json, '{"on":"yes"}'],
    ['GET /ipdr/v1/events?live=false', 200],
    ['GET /ipdr/v1/events?live=no', 400],
    ['GET /ipdr/v1/events?since=yesterday', 400],
    ['GET /ipdr/v1/webhooks', 200],
    ['POST /ipdr/v1/events/resend', 400, json, '{"ids":[]}'],
    ['POST /ipdr/v1/backup', 200, blockKeys, ''],
    ['POST /ipdr/v1/peers', 400, json, '{"address":"nonsense"}'],
    ['POST /ipdr/v1/peers', 400, json, '{'],
    ['POST /ipdr/v1/peers', 413, json, JSON.stringify({ address: 'x'.repeat(20_000) })],
    ['POST /ipdr/v1/peers', 503, json, '{"address":"/ip4/127.0.0.1/tcp/1"}'],
    ['GET /ipdr/v1/resolve', 400],
    ['GET /ipdr/v1/resolve?name=team/app:v2', 404],
    [`GET /ipdr/v1/resolve?name=${'x'.repeat(10_000)}`, 414],
    ['POST /ipdr/v1/gc', 400, json, '{"grace":-1}'],
    ['POST /ipdr/v1/gc', 400, 'text/plain', '{}'],
    ['POST /ipdr/v1/fsck', 400, json, '{"rate":"50MiB"}'],
    ['POST /ipdr/v1/rebuild', 400, json, '{"waive":"no"}'],
    ['POST /ipdr/v1/backup', 400, json, '{}'],
    ['POST /ipdr/v1/restore', 400, json, '{}'],
    ['POST /ipdr/v1/restore', 403, car, () => backup],
  ]
  for (const [operation, status, type, body] of asked) {
    it(`describes ${operation.slice(0, 60)} with ${type ?? 'no body'}: ${status}`, async () => {
      const response = await ask(server, operation, type, typeof body === 'function' ? body() : body)
      assert.equal(response.status, status)
      const described = operation.replace(/\?.*/, '')
      await api.assertDescribes(described, response)
      if (status === 200 && type !== undefined) {
        assert.ok(api.requestTypes(described).includes(type))
        assert.ok(type !== json || api.acceptsRequest(described, JSON.parse(body as string)))
      }
    })
  }

  it('describes a connection, a restore and a publication', async () => {
    const address = /\/ip4\/127\.0\.0\.1\/tcp\/\d+\/p2p\/\w+/.exec(empty.log)![0]
    const connected = await ask(server, 'POST /ipdr/v1/peers', json, JSON.stringify({ address }))
    assert.equal(connected.status, 200)
    await api.assertDescribes('POST /ipdr/v1/peers', connected)
    const peers = await ask(server, 'GET /ipdr/v1/peers')
    assert.equal(((await peers.clone().json()) as { peers: unknown[] }).peers.length > 0, true)
    await api.assertDescribes('GET /ipdr/v1/peers', peers)
    const restored = await ask(empty, 'POST /ipdr/v1/restore', car, backup)
    assert.match(await restored.clone().text(), /"result"/)
    await api.assertDescribes('POST /ipdr/v1/restore', restored)
    await api.assertDescribes('POST /ipdr/v1/publish', await ask(server, 'POST /ipdr/v1/publish', json, '{}'))
  })

  it('describes what every operation answers without the token, to other sites and to other methods', async () => {
    for (const operation of api.operations.filter(name => name.includes(' /ipdr/'))) {
      const path = operation.split(' ')[1]!
      const [type = json] = api.requestTypes(operation)
      const body = operation.startsWith('POST') ? '{}' : undefined
      for (const [status, method, headers] of [
        [401, operation, { Authorization: 'Bearer wrong' }],
        [403, operation, { Origin: 'https://elsewhere.example' }],
        [405, `DELETE ${path}`, {}],
      ] as const) {
        const response = await ask(server, method, type, status === 405 ? undefined : body, headers)
        assert.equal(response.status, status, operation)
        await api.assertDescribes(operation, response)
      }
    }
  })

  describe('pulls by way of a mirror', () => {
    const pulls: Array<[method: string, path: string, status: number, headers?: Record<string, string>]> = [
      ['HEAD', 'manifests/v1', 200],
      ['GET', 'manifests/v1', 200],
      ['GET', 'manifests/v2', 404],
      ['HEAD', 'manifests/v2', 404],
      ['GET', 'manifests/v 1', 400],
      ['HEAD', 'blobs/{blob}', 200],
      ['GET', 'blobs/{blob}', 206, { Range: 'bytes=0-1' }],
      ['GET', 'blobs/{blob}', 200],
      ['GET', 'blobs/{blob}', 206, { Range: 'bytes=0-1,4-5' }],
      ['GET', 'blobs/{blob}', 416, { Range: 'bytes=100000-' }],
      ['GET', 'blobs/sha256:0', 400],
      ['GET', 'tags/list', 200],
      ['GET', 'tags/list?n=x', 400],
      ['GET', 'referrers/{blob}', 200],
    ]
    const operationOf = (method: string, path: string): string => {
      const [kind = ''] = path.split('/')
      const described = { manifests: 'manifests/{reference}', tags: 'tags/list' }[kind] ?? `${kind}/{digest}`
      return `${method} /v2/{name}/${described}`
    }

    it('are all that is described of the registry itself', () => {
      const pulled = new Set(pulls.map(([method, path]) => operationOf(method, path)))
      assert.deepEqual(
        [...pulled].sort(),
        api.operations.filter(operation => operation.includes(' /v2/')),
      )
    })

    it('are described with where they come from', async () => {
      const pull = async (): Promise<string | null> => {
        const response = await fetch(`${mirror.url}/v2/up.test/team/app/blobs/${blob}`)
        await api.assertDescribes('GET /v2/{name}/blobs/{digest}', response)
        return response.headers.get('X-Ipdr-Source')
      }
      assert.equal(await pull(), 'upstream')
      await until('it is stored', async () => (await pull()) === 'disk')
    })

    for (const ns of ['up.test', 'elsewhere.test']) {
      it(`are described with ns=${ns}`, async () => {
        for (const [method, path, status, headers = {}] of pulls) {
          const url = new URL(`/v2/team/app/${path.replace('{blob}', blob)}`, mirror.url)
          url.searchParams.set('ns', ns)
          const response = await fetch(url, { method, headers })
          assert.equal(response.status, ns === 'up.test' ? status : 404, `${method} ${path}`)
          assert.equal(response.headers.get('OCI-Namespace'), response.ok ? ns : null)
          await api.assertDescribes(operationOf(method, path), response)
        }
      })
    }
  })

  it('describes how people log in', async () => {
    await using test = await startLogInTest()
    const { visitor, page } = await test.atCallback('alice')
    const Cookie = Array.from(visitor.cookies.get('127.0.0.1')!, ([name, value]) => `${name}=${value}`).join('; ')
    for (const [operation, status, query = '', headers = {}] of [
      ['GET /auth/login', 302, '?issuer=corp&to=/v2/'],
      ['GET /auth/login', 400, '?to=x'],
      ['GET /auth/login', 404, '?issuer=nobody'],
      ['GET /auth/callback', 400, '?state=x'],
      ['GET /auth/callback', 302, new URL(page.url).search, { Cookie }],
      ['GET /auth/me', 200],
      ['GET /auth/me', 200, '', local],
      ['GET /auth/me', 401, '', { Authorization: 'Bearer x' }],
      ['POST /auth/logout', 204],
      ['POST /auth/logout', 403, '', { Origin: 'https://evil.example' }],
    ] as [string, number, string?, Record<string, string>?][]) {
      const [method = '', path = ''] = operation.split(' ')
      const response = await fetch(`${test.url}${path}${query}`, { method, headers, redirect: 'manual' })
      assert.equal(response.status, status, operation)
      await api.assertDescribes(operation, response)
    }
  })

  it('describes what the pages ask for', async () => {
    const q = `q=${blob}`
    const history = await fetch(`${server.url}/ui/api/history?repository=team/app`)
    const state = ((await history.json()) as { changes: { state: number }[] }).changes[0]!.state
    for (const [operation, status, query = '', headers = {}, body] of [
      ['GET /ui/api/session', 200],
      ['GET /ui/api/repositories', 200],
      ['GET /ui/api/repositories', 200, '?q=v&from=0&n=1'],
      ['GET /ui/api/repositories', 200, '?in=/'],
      ['GET /ui/api/repositories', 200, '?q=platform:linux/arm64'],
      ['GET /ui/api/repositories', 400, '?n=x'],
      ['GET /ui/api/find', 200, `?${q}`],
      ['GET /ui/api/find', 400, '?q=app'],
      ['GET /ui/api/tags', 200, '?repository=team/app&order=name'],
      ['GET /ui/api/tags', 404, '?repository=team/none'],
      ['GET /ui/api/tags', 400, '?repository=TEAM'],
      ['GET /ui/api/image', 200, '?repository=team/app&reference=v1'],
      ['GET /ui/api/image', 404, '?repository=team/app&reference=v2'],
      ['GET /ui/api/image', 400, '?repository=team/app&reference=sha256:0'],
      ['GET /ui/api/compare', 200, '?repository=team/app&reference=v1&with=team/app:v1'],
      ['GET /ui/api/compare/files', 200, '?repository=team/app&reference=v1&with=team/app:v1'],
      ['GET /ui/api/compare/files', 400, '?repository=team/app&reference=v1'],
      ['GET /ui/api/files', 200, `?repository=team/app&reference=v1&layer=${blob}`],
      ['GET /ui/api/files', 200, `?repository=team/app&reference=v1&layer=sha256:${'0'.repeat(64)}`],
      ['GET /ui/api/files', 400, '?repository=team/app&reference=v1&layer=x'],
      ['GET /ui/api/compare', 404, '?repository=team/app&reference=v1&with=v2'],
      ['GET /ui/api/compare', 400, '?repository=team/app&reference=v1'],
      ['GET /ui/log-in', 302],
      ['GET /ui/api/move', 200, `?repository=team/app&tag=v2&digest=${blob}`],
      ['GET /ui/api/move', 400, '?repository=team/app&tag=v2'],
      ['GET /ui/api/history', 200, '?repository=team/app&tag=v1&n=1'],
      ['GET /ui/api/history', 400, '?repository=team/app&before=x'],
      ['GET /ui/api/differences', 200, `?repository=team/app&from=${state}`],
      ['POST /ui/api/delete', 200, '', {}, { repository: 'team/app', tags: ['v1'], dryRun: true }],
      ['POST /ui/api/delete', 404, '', {}, { repository: 'team/app', tags: ['v2'] }],
      ['POST /ui/api/undo', 200, '', {}, { repository: 'team/app', tags: ['none'], to: state }],
      ['POST /ui/api/undo', 400, '', {}, { repository: 'team/app', to: 'x' }],
    ] as [string, number, string?, Record<string, string>?, unknown?][]) {
      const [method = '', path = ''] = operation.split(' ')
      const init = {
        method,
        redirect: 'manual',
        headers: { ...headers, 'Content-Type': json },
        body: body === undefined ? null : JSON.stringify(body),
      } as const
      const response = await fetch(`${server.url}${path}${query}`, init)
      assert.equal(response.status, status, `${operation}${query}`)
      await api.assertDescribes(operation, response)
    }
  })
})
