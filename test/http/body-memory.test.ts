import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { Socket } from 'node:net'
import { afterEach, describe, it } from 'node:test'
import { assertError, TestApp, type TestAppInit } from '../fixtures/app.ts'
import { imageIndex, ociIndex } from '../fixtures/manifests.ts'
import { until } from '../fixtures/until.ts'

const kibibyte = 1024
const apps: TestApp[] = []
const sockets: Socket[] = []

afterEach(async () => {
  sockets.splice(0).forEach(socket => {
    socket.destroy()
  })
  await Promise.all(
    apps.splice(0).map(async app => {
      await app[Symbol.asyncDispose]()
    }),
  )
})

async function start(init: TestAppInit): Promise<TestApp> {
  const app = await TestApp.start({ maxManifestBytes: 1024 * kibibyte, ...init })
  apps.push(app)
  return app
}

/** A manifest that lacks its last byte; @returns the first line of what comes back, once something does */
function sendUnfinished(app: TestApp, bytes: number, { chunked = false } = {}): Promise<string> {
  const socket = app.connect()
  sockets.push(socket)
  const framing = chunked ? 'Transfer-Encoding: chunked' : `Content-Length: ${bytes}`
  socket.write(`PUT /v2/r/manifests/a HTTP/1.1\r\nHost: a\r\nContent-Type: ${ociIndex}\r\n${framing}\r\n\r\n`)
  socket.write(chunked ? `${(bytes - 1).toString(16)}\r\n${' '.repeat(bytes - 1)}\r\n` : ' '.repeat(bytes - 1))
  return once(socket, 'data').then(([data]) => String(data))
}

const small = imageIndex([])

describe('manifests that never end', () => {
  for (const chunked of [false, true]) {
    it(`take what a client may have, and the rest gets 429${chunked ? '; without a length, too' : ''}`, async () => {
      const app = await start({ bodyMemory: { max: 4096 * kibibyte, maxPerClient: 1024 * kibibyte, patience: 300 } })
      const replies = Array.from({ length: 20 }, () => sendUnfinished(app, 512 * kibibyte, { chunked }))
      let most = 0
      const watch = setInterval(() => {
        most = Math.max(most, app.bodies.total)
      }, 1)
      try {
        const refused = await Promise.any(replies)
        assert.match(refused, /^HTTP\/1\.1 429 [\s\S]*\r\nRetry-After: 5\r\n[\s\S]*"TOOMANYREQUESTS"/)
        assert.match(refused, /\r\nConnection: close\r\n/i)
        assert.ok(most > 512 * kibibyte && most <= 1024 * kibibyte, `${most} bytes`)
      } finally {
        clearInterval(watch)
      }
    })
  }

  it('get 503 where all have taken all there is', async () => {
    const app = await start({ bodyMemory: { max: 1024 * kibibyte, maxPerClient: 0, patience: 300 } })
    const replies = Array.from({ length: 20 }, () => sendUnfinished(app, 512 * kibibyte))
    assert.match(await Promise.any(replies), /^HTTP\/1\.1 503 [\s\S]*\r\nRetry-After: 5\r\n[\s\S]*"UNAVAILABLE"/)
    assert.ok(app.bodies.total <= 1024 * kibibyte)
  })

  it('keep nobody from pushing a small one, of the same address neither', async () => {
    const app = await start({ bodyMemory: { max: 1024 * kibibyte, maxPerClient: 1024 * kibibyte } })
    Array.from({ length: 20 }, () => sendUnfinished(app, 512 * kibibyte)).forEach(reply => {
      reply.catch(() => {})
    })
    await until('all is taken', () => app.bodies.total > 900 * kibibyte)
    for (let i = 0; i < 5; i++) {
      assert.equal((await app.pushManifest('r', `t${i}`, small, ociIndex)).status, 201)
    }
  })

  it('give back what they took once their clients are gone', async () => {
    const app = await start({ bodyMemory: { max: 1024 * kibibyte, maxPerClient: 0 } })
    Array.from({ length: 3 }, () => sendUnfinished(app, 300 * kibibyte)).forEach(reply => {
      reply.catch(() => {})
    })
    await until('all is taken', () => app.bodies.total > 800 * kibibyte)
    sockets.splice(0).forEach(socket => {
      socket.destroy()
    })
    await until('nothing is taken', () => app.bodies.total === 0)
  })
})

describe('ordinary pushes', () => {
  it('never see a limit, however many there are at a time', async () => {
    const app = await start({ bodyMemory: { max: 256 * kibibyte, maxPerClient: 128 * kibibyte } })
    const annotated = (i: number): Buffer => imageIndex([], { annotations: { a: `${i}`.repeat(8 * kibibyte) } })
    const replies = await Promise.all(
      Array.from({ length: 40 }, async (_, i) => await app.pushManifest('r', `t${i}`, annotated(i % 10), ociIndex)),
    )
    assert.deepEqual(
      replies.map(({ status }) => status),
      Array(40).fill(201),
    )
    assert.equal(app.bodies.total, 0)
  })

  it('leave nothing behind where they fail', async () => {
    const app = await start({ bodyMemory: { max: 256 * kibibyte, maxPerClient: 128 * kibibyte } })
    assertError(await app.pushManifest('r', 'a', Buffer.from('{'), ociIndex), 'MANIFEST_INVALID')
    assertError(await app.pushManifest('r', 'a', Buffer.alloc(1025 * kibibyte), ociIndex), 'MANIFEST_TOO_LARGE')
    assertError(
      await app.request('PUT', '/v2/r/manifests/a', { body: Buffer.alloc(1025 * kibibyte), chunked: true }),
      'TOOMANYREQUESTS',
    )
    assert.equal(app.bodies.total, 0)
  })
})
