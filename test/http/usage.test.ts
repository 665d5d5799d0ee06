/** How much each user, and each address without a log-in, may do */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { describe, it } from 'node:test'
import { defaultConfig } from '../../src/config/schema.ts'
import { usageLimits } from '../../src/http/usage-limits.ts'
import { basic } from '../fixtures/access.ts'
import { json, TestApp, type Reply } from '../fixtures/app.ts'
import { sha256 } from '../fixtures/images.ts'
import { until } from '../fixtures/until.ts'

const rules = `
rules:
  - { who: [anonymous], repositories: ['public/**'], actions: [pull] }
  - { who: [authenticated], repositories: ['**'], actions: [pull, push, tag] }
`
const users = { alice: 'alice-pw', bob: 'bob-pw' }
const [alice, bob] = [basic('alice', 'alice-pw'), basic('bob', 'bob-pw')]
const MiB = 2 ** 20
const layer = Buffer.alloc(MiB, 'x')

function assertWaits(reply: Reply, what: string): void {
  const { errors } = json(reply) as { errors: { code: string; message: string }[] }
  const seconds = reply.headers['retry-after']
  assert.deepEqual(
    [reply.status, errors.map(({ code, message }) => `${code} ${message}`)],
    [429, [`TOOMANYREQUESTS too many ${what}: try again in ${seconds} s`]],
  )
  assert.ok(Number(seconds) >= 1)
}

async function statuses(count: number, send: () => Promise<Reply>): Promise<number[]> {
  const found: number[] = []
  for (let i = 0; i < count; i++) {
    found.push((await send()).status)
  }
  return found
}

describe('the limits', () => {
  it('are off by default, and then no request pays for them', () => {
    assert.equal(usageLimits(defaultConfig.limits), undefined)
    assert.notEqual(usageLimits({ ...defaultConfig.limits, bytesPerUser: 1 }), undefined)
  })
})

describe('requests', () => {
  it('of a user are counted wherever he logs in, and nobody else waits', async () => {
    await using app = await TestApp.start({ access: { rules, users }, usage: { requestsPerUser: 5 } })
    const ask = async (): Promise<Reply> => await app.get('/v2/', alice)
    assert.deepEqual(await statuses(7, ask), [200, 200, 200, 200, 200, 429, 429])
    assertWaits(await ask(), 'requests of one user')
    assertWaits(await app.get('/auth/token?scope=repository:a/b:pull', alice), 'requests of one user')
    assert.equal((await app.get('/v2/', bob)).status, 200)
    assert.deepEqual(await statuses(8, async () => await app.get('/v2/public/a/tags/list')), Array(8).fill(404))
    assert.equal((await app.get('/livez')).status, 200)
  })

  it('without a log-in are counted by address, and users behind it do not wait', async () => {
    await using app = await TestApp.start({ access: { rules, users }, usage: { requestsPerClient: 3 } })
    assert.deepEqual(await statuses(4, async () => await app.get('/v2/')), [401, 401, 401, 429])
    assertWaits(await app.get('/auth/token'), 'requests of one client')
    assertWaits(await app.get('/v2/', basic('alice', 'wrong')), 'requests of one client')
    assert.deepEqual(await statuses(6, async () => await app.get('/v2/', alice)), Array(6).fill(200))
    assert.equal((await app.request('GET', '/v2/', { localAddress: '127.0.0.7' })).status, 401)
  })

  it('with wrong passwords count as those of the address', async () => {
    await using app = await TestApp.start({ access: { rules, users }, usage: { requestsPerClient: 3 } })
    assert.deepEqual(await statuses(4, async () => await app.get('/v2/', basic('alice', 'x'))), [401, 401, 401, 429])
    assert.equal((await app.get('/v2/', alice)).status, 200)
  })

  it('are counted by address where there are no rules', async () => {
    await using app = await TestApp.start({ usage: { requestsPerClient: 2, requestsPerUser: 1 } })
    assert.deepEqual(await statuses(3, async () => await app.get('/v2/')), [200, 200, 429])
    assert.equal((await app.request('GET', '/v2/', { localAddress: '127.0.0.7' })).status, 200)
  })

  it('are not limited by default', async () => {
    await using app = await TestApp.start()
    assert.deepEqual(await statuses(50, async () => await app.get('/v2/')), Array(50).fill(200))
  })
})

describe('bytes', () => {
  it('that were pushed or pulled are owed, also where one body is more than all that is allowed', async () => {
    await using app = await TestApp.start({ access: { rules, users }, usage: { bytesPerUser: MiB } })
    const path = String((await app.request('POST', '/v2/a/b/blobs/uploads/', { headers: alice })).headers.location)
    const pushed = await app.request('PUT', `${path}?digest=${sha256(layer)}`, { headers: alice, body: layer })
    assert.equal(pushed.status, 201, 'a body that has begun is taken to its end')
    const refused = await until('the bytes are counted', async () => {
      const reply = await app.get('/v2/', alice)
      return reply.status === 429 ? reply : undefined
    })
    assertWaits(refused, 'bytes of one user')
    const pulled = await app.get(`/v2/a/b/blobs/${sha256(layer)}`, bob)
    assert.equal(pulled.body.byteLength, MiB)
    await until('the bytes are counted', async () => ((await app.get('/v2/', bob)).status === 429 ? true : undefined))
  })

  it('count while they flow', async () => {
    await using app = await TestApp.start({ usage: { bytesPerClient: 4 * MiB } })
    const path = await app.startUpload('a/b')
    const socket = connect(app.port, '127.0.0.1').on('error', () => {})
    socket.write(`PATCH ${path} HTTP/1.1\r\nHost: a\r\nContent-Length: ${64 * MiB}\r\n\r\n`)
    for (let i = 0; i < 5; i++) {
      socket.write(layer)
    }
    try {
      await until('the bytes are counted', async () => ((await app.get('/v2/')).status === 429 ? true : undefined))
    } finally {
      socket.destroy()
    }
  })

  it('of a request that is refused are not read', async () => {
    await using app = await TestApp.start({ usage: { requestsPerClient: 1 } })
    const path = await app.startUpload('a/b')
    const socket = connect(app.port, '127.0.0.1').on('error', () => {})
    const closed = once(socket, 'close')
    socket.write(`PATCH ${path} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nxx\r\n`)
    let text = ''
    socket.setEncoding('latin1').on('data', data => {
      text += data
    })
    await closed
    assert.match(text, /^HTTP\/1\.1 429 [\s\S]*Retry-After: \d+/)
    assert.equal(app.requests.length, 2)
  })
})
