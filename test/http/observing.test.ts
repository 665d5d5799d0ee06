import assert from 'node:assert/strict'
import { Agent } from 'node:http'
import type { Socket } from 'node:net'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { randomBytes, sha256 } from '../fixtures/images.ts'
import { imageManifest } from '../fixtures/manifests.ts'
import { TestAppliance } from '../fixtures/appliance.ts'
import { TestApp, assertError, authorized } from '../fixtures/app.ts'
import { temporaryDirectory } from '../fixtures/temporary.ts'
import { until } from '../fixtures/until.ts'

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/

let app: TestApp

before(async () => {
  app = await TestApp.start()
  await app.pushEmptyConfig('a')
  await app.pushManifest('a', 'latest', imageManifest())
})
after(async () => {
  await app[Symbol.asyncDispose]()
})

async function metric(name: string): Promise<number> {
  const line = (await app.metrics.text()).split('\n').find(line => line.startsWith(`${name} `))
  return Number(line?.slice(name.length) ?? 0)
}

describe('X-Request-Id', () => {
  for (const id of ['a', 'A-b_c.9', 'x'.repeat(64)]) {
    it(`is the client's own where it is harmless: ${id.slice(0, 10)}`, async () => {
      assert.equal((await app.get('/v2/', { 'X-Request-Id': id })).headers['x-request-id'], id)
    })
  }

  for (const id of [
    '',
    ' ',
    'a b',
    'x'.repeat(65),
    '<script>',
    '"',
    'a,b',
    'é',
    'a;b',
    '../x',
    '$(x)',
    '%0d%0a',
    '{"a":1}',
    'a\tb',
  ]) {
    it(`is a new one where it is not: ${JSON.stringify(id).slice(0, 12)}`, async () => {
      assert.match(String((await app.get('/v2/', { 'X-Request-Id': id })).headers['x-request-id']), uuid)
    })
  }

  it('is on errors too, and differs for each request', async () => {
    const ids = await Promise.all(
      ['/nowhere', '/v2/none/tags/list', '/v2/%ff/tags/list', '/v2/'].map(async path =>
        String((await app.get(path)).headers['x-request-id']),
      ),
    )
    assert.equal(new Set(ids).size, 4)
    assert.ok(ids.every(id => uuid.test(id)))
  })

  it('of two is none of them', async () => {
    assert.match(String((await app.get('/v2/', { 'X-Request-Id': ['a', 'b'] })).headers['x-request-id']), uuid)
  })
})

describe('the log', () => {
  it('has one line for each request', async () => {
    const before = app.requests.length
    const ids = Array.from({ length: 10 }, (_, i) => `line${i}`)
    await Promise.all(
      ids.map(async (id, i) => await app.get(i % 2 === 0 ? '/v2/' : '/v2/none/tags/list', { 'X-Request-Id': id })),
    )
    await until('all lines', () => app.requests.length >= before + 10)
    for (const [i, id] of ids.entries()) {
      const lines = app.requests.filter(line => line['id'] === id)
      assert.deepEqual(
        lines.map(({ level, method, status }) => [level, method, status]),
        [['info', 'GET', i % 2 === 0 ? '200' : '404']],
      )
    }
  })

  it('says who asked for what, and what came of it', async () => {
    const asked = { 'X-Request-Id': 'what', 'User-Agent': 'test/1' }
    const { body, headers } = await app.get('/v2/a/manifests/latest', asked)
    const { time, ms, bytesIn, bytesOut, ...line } = await app.logLine('what')
    assert.deepEqual(line, {
      level: 'info',
      message: 'request',
      id: 'what',
      method: 'GET',
      url: '/v2/a/manifests/latest',
      status: '200',
      remote: '127.0.0.1',
      http: '1.1',
      agent: 'test/1',
      digest: headers['docker-content-digest'],
      cid: headers['x-ipfs-cid'],
      sources: { disk: body.byteLength },
    })
    assert.ok(typeof time === 'string' && Number.isInteger(ms) && Number(bytesIn) > 100 && Number(bytesOut) > 300)
  })

  it('keeps what is secret out', async () => {
    await app.get('/v2/', {
      'X-Request-Id': 'secret',
      Authorization: 'Basic c2VjcmV0OnNlY3JldA==',
      Cookie: 'session=c2VjcmV0',
      'Proxy-Authorization': 'Bearer c2VjcmV0',
    })
    await app.request('PUT', '/v2/a/manifests/x', {
      headers: { Authorization: 'Bearer c2VjcmV0', 'X-Request-Id': 'secret2' },
      body: 'c2VjcmV0',
    })
    await app.logLine('secret')
    await app.logLine('secret2')
    assert.ok(!JSON.stringify(app.stores.logged).includes('c2VjcmV0'))
  })

  it('is one object a line, whatever a client sends', async () => {
    await app.get('/v2/%0a%0d%1b[31m', { 'X-Request-Id': 'evil', 'User-Agent': '"} {"level":"error" \u009b31m' })
    const { level, agent } = await app.logLine('evil')
    assert.deepEqual([level, typeof agent], ['info', 'string'])
  })

  it('hardly mentions who looks after the process', async () => {
    await app.get('/readyz', { 'X-Request-Id': 'probe' })
    assert.equal((await app.logLine('probe'))['level'], 'debug')
  })
})

describe('bytes', () => {
  it('of the requests of one connection are all of its bytes', async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    const body = randomBytes(100_000, 'bytes')
    const sockets = new Set<Socket>()
    const [receivedBefore, sentBefore] = [
      await metric('ipdr_http_received_bytes_total'),
      await metric('ipdr_http_sent_bytes_total'),
    ]
    const ids: string[] = []
    for (const [method, path, content] of [
      ['GET', '/v2/', ''],
      ['POST', `/v2/a/blobs/uploads/?digest=${sha256(body)}`, body],
      ['GET', `/v2/a/blobs/${sha256(body)}`, ''],
      ['GET', '/nowhere', ''],
    ] as const) {
      ids.push(`bytes${ids.length}`)
      const headers = { 'X-Request-Id': ids.at(-1)! }
      const { socket } = await app.request(method, path, { agent, body: content, headers })
      sockets.add(socket)
      await app.logLine(ids.at(-1)!)
    }
    agent.destroy()
    const [socket] = sockets
    const lines = ids.map(id => app.requests.find(line => line['id'] === id)!)
    const sum = (name: string): number => lines.reduce((total, line) => total + Number(line[name]), 0)
    assert.equal(sockets.size, 1)
    assert.deepEqual([sum('bytesIn'), sum('bytesOut')], [socket!.bytesWritten, socket!.bytesRead])
    assert.ok(lines.every(({ bytesIn, bytesOut }) => Number(bytesIn) > 50 && Number(bytesOut) > 50))
    assert.ok(Number(lines[1]!['bytesIn']) > 100_000 && Number(lines[2]!['bytesOut']) > 100_000)
    assert.equal((await metric('ipdr_http_received_bytes_total')) - receivedBefore, sum('bytesIn'))
    assert.equal((await metric('ipdr_http_sent_bytes_total')) - sentBefore, sum('bytesOut'))
  })
})

describe('metrics', () => {
  it('count requests by method, route and status; what a client makes up is no label', async () => {
    const name = (method: string, route: string, status: string): string =>
      `ipdr_http_requests_total{method="${method}",route="${route}",status="${status}"}`
    const expected = [
      ['GET', '/v2/', 'base', '200'],
      ['HEAD', '/v2/a/manifests/latest', 'manifest', '200'],
      ['GET', '/v2/a/manifests/none', 'manifest', '404'],
      ['GET', '/v2/a/tags/list', 'tags', '200'],
      ['GET', '/v2/_catalog', 'catalog', '200'],
      ['POST', '/v2/a/blobs/uploads/', 'uploads', '202'],
      ['GET', '/v2/a/blobs/uploads/x', 'upload', '404'],
      ['GET', '/no/where', 'none', '404'],
      ['PROPFIND', '/v2/', 'base', '405'],
      ['GET', `/v2/a/referrers/${sha256(Buffer.from('x'))}`, 'referrers', '200'],
      ['GET', `/v2/a/blobs/${sha256(Buffer.from('x'))}`, 'blob', '404'],
    ] as const
    for (const [method, path, route, status] of expected) {
      const label = name(method === 'PROPFIND' ? 'other' : method, route, status)
      const before = await metric(label)
      await app.request(method, path, { headers: { 'X-Request-Id': 'counted' } })
      await until(label, async () => (await metric(label)) === before + 1)
    }
  })

  it('are text for Prometheus', async () => {
    const { status, headers, body } = await app.get('/metrics', authorized)
    assert.equal(status, 200)
    assert.match(String(headers['content-type']), /^text\/plain; .*version=0\.0\.4/)
    assert.match(String(body), /^# TYPE ipdr_http_requests_total counter$/m)
    assert.match(String(body), /^process_cpu_seconds_total /m)
  })
})

describe('metrics of a server', () => {
  it('count results from the start, and say when a backup was read to its end', async () => {
    await using directory = await temporaryDirectory('metrics')
    await using server = await TestAppliance.start(directory.path, { webhooks: ['ci=http://127.0.0.1:9/'] })
    const before = await server.client.metrics()
    const zeros = [
      ...['gc_cycles', 'fsck_runs', 'fsck_repairs'].map(name => `ipdr_${name}_total{result="failure"}`),
      ...['delivered_events', 'failed_attempts', 'dropped_events'].map(
        name => `ipdr_webhook_${name}_total{webhook="ci"}`,
      ),
      'ipdr_retrieved_blocks_total{source="peers"}',
      'ipdr_storage_refused_writes_total',
      'ipdr_last_backup_timestamp_seconds',
    ]
    assert.deepEqual(
      zeros.filter(name => before(name) !== 0),
      [],
    )
    assert.equal(before('ipdr_node_info{network="offline"}'), 1)
    const headers = { 'Content-Type': 'application/vnd.ipdr.block-keys' }
    const backup = await server.client.request('POST', '/ipdr/v1/backup', { headers })
    assert.equal(backup.status, 200)
    await backup.arrayBuffer()
    const made = (await server.client.metrics())('ipdr_last_backup_timestamp_seconds')
    assert.ok(Math.abs(Date.now() / 1000 - made) < 60, String(made))
  })
})

describe('who reads metrics', () => {
  it('shows the token', async () => {
    const reply = await app.get('/metrics')
    assert.equal(reply.headers['www-authenticate'], 'Bearer realm="ipdr"')
    assertError(reply, 'UNAUTHORIZED')
    assert.equal((await app.get('/metrics', { Authorization: 'Bearer wrong' })).status, 401)
    assert.equal((await app.request('HEAD', '/metrics', { headers: authorized })).status, 200)
  })

  it('shows nothing where that is configured, nor to the socket', async () => {
    await using directory = await temporaryDirectory('metrics')
    const socketPath = join(directory.path, 'admin.sock')
    for (const adminPort of [false, true]) {
      await using app = await TestApp.start({ metrics: 'open', adminPort, socket: socketPath })
      assert.equal((await app.request('GET', '/metrics', { port: adminPort ? app.adminPort : app.port })).status, 200)
      assert.equal((await app.request('GET', '/metrics', { socketPath })).status, 200)
      assert.equal((await app.request('GET', '/readyz', { socketPath })).status, 200)
      assertError(await app.request('GET', '/v2/', { socketPath }), 'NOT_FOUND')
    }
  })
})

describe('health', () => {
  it('is told to whoever asks', async () => {
    for (const path of ['/livez', '/health', '/readyz']) {
      const { status, headers, body } = await app.get(path)
      assert.deepEqual([status, String(body)], [200, 'OK\n'])
      assert.match(String(headers['content-type']), /^text\/plain/)
    }
  })

  it('is bad while the process is not ready, but it lives', async () => {
    app.notReady = 'starting or stopping'
    try {
      const { status, body } = await app.get('/readyz')
      assert.deepEqual([status, String(body)], [503, 'starting or stopping\n'])
      assert.deepEqual(
        [(await app.get('/livez')).status, (await app.get('/health')).status, (await app.get('/v2/')).status],
        [200, 200, 200],
      )
    } finally {
      app.notReady = undefined
    }
  })

  it('has a port of its own where that is configured, and is nowhere else', async () => {
    await using app = await TestApp.start({ adminPort: true })
    for (const path of ['/livez', '/health', '/readyz', '/metrics']) {
      assertError(await app.get(path, authorized), 'NOT_FOUND')
      assert.equal((await app.request('GET', path, { port: app.adminPort, headers: authorized })).status, 200)
    }
    assert.equal((await app.request('GET', '/readyz', { port: app.adminPort })).status, 200)
    assertError(await app.request('GET', '/metrics', { port: app.adminPort }), 'UNAUTHORIZED')
    assert.equal((await app.get('/v2/')).status, 200)
    assertError(await app.request('GET', '/v2/', { port: app.adminPort }), 'NOT_FOUND')
    assertError(await app.request('POST', '/metrics', { port: app.adminPort }), 'UNSUPPORTED')
  })
})
