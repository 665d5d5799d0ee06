import assert from 'node:assert/strict'
import { once } from 'node:events'
import { Agent } from 'node:http'
import type { Socket } from 'node:net'
import { after, before, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { assertError, received, TestApp, type TestAppInit } from '../fixtures/app.ts'
import { randomBytes, sha256 } from '../fixtures/images.ts'
import { until } from '../fixtures/until.ts'

const mebibyte = 1024 * 1024
const bytes = randomBytes(17 * mebibyte + 4321, 'large')
const digest = sha256(bytes)

let app: TestApp

before(async () => {
  app = await TestApp.start()
})
after(async () => {
  await app[Symbol.asyncDispose]()
})

function head(
  method: string,
  path: string,
  headers: Record<string, string | number> = {},
  length = bytes.byteLength,
): string {
  return [
    `${method} ${path} HTTP/1.1`,
    'Host: a',
    `Content-Length: ${length}`,
    ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
    '',
    '',
  ].join('\r\n')
}

async function drained(socket: Socket, data: Uint8Array): Promise<void> {
  if (!socket.write(data)) {
    await once(socket, 'drain')
  }
}

async function assertStored(at = app): Promise<void> {
  assert.ok((await at.get(`/v2/a/b/blobs/${digest}`)).body.equals(bytes))
}

async function withApp(init: TestAppInit, work: (app: TestApp) => Promise<void>): Promise<void> {
  await using other = await TestApp.start(init)
  await work(other)
}

describe('a large body', () => {
  it('is kept as it was sent, and the connection is closed after the response', async () => {
    for (const [method, path, status] of [
      ['POST', () => `/v2/a/b/blobs/uploads/?digest=${digest}`, 201],
      ['PUT', async () => `${await app.startUpload('a/b')}?digest=${digest}`, 201],
      ['PATCH', async () => await app.startUpload('a/b'), 202],
    ] as const) {
      const reply = received(app.connect().end(Buffer.concat([Buffer.from(head(method, await path())), bytes])))
      assert.match(await reply, new RegExp(`^HTTP/1\\.1 ${status} [^]*\r\nConnection: close\r\n`))
      if (status === 201) {
        await assertStored()
      }
    }
  })

  it('is a body like others to a client that keeps its connections', async () => {
    const agent = new Agent({ keepAlive: true })
    try {
      const send = async (
        method: string,
        path: string,
        body: Uint8Array | string = '',
      ): Promise<{ status: number; location: string }> => {
        const reply = await app.request(method, path, { agent, body, headers: { 'X-Request-Id': `${method}-large` } })
        return { status: reply.status, location: String(reply.headers.location) }
      }
      for (let round = 0; round < 3; round++) {
        const { location } = await send('POST', '/v2/a/c/blobs/uploads/')
        assert.equal((await send('PATCH', location, bytes)).status, 202)
        assert.equal((await send('PUT', `${location}?digest=${digest}`)).status, 201)
      }
      const { status, bytesIn } = (await app.logLine('PATCH-large')) as { status: string; bytesIn: number }
      assert.equal(status, '202')
      assert.ok(bytesIn > bytes.byteLength && bytesIn < bytes.byteLength + 1000)
    } finally {
      agent.destroy()
    }
  })

  it('may come in pieces of any size, with pauses', async () => {
    const socket = app.connect()
    const reply = received(socket)
    const text = Buffer.concat([Buffer.from(head('PUT', `${await app.startUpload('a/b')}?digest=${digest}`)), bytes])
    const ends = [
      1,
      50,
      400,
      401,
      70_000,
      70_001,
      1_000_000,
      1_262_144,
      9_000_001,
      text.byteLength - 1,
      text.byteLength,
    ]
    for (let i = 0; i < ends.length; i++) {
      await drained(socket, text.subarray(ends[i - 1] ?? 0, ends[i]))
      await sleep(20)
    }
    assert.match(await reply, /^HTTP\/1\.1 201 /)
    await assertStored()
  })

  it('that breaks off is kept as far as it came', async () => {
    for (const end of ['end', 'resetAndDestroy'] as const) {
      const path = await app.startUpload('a/b')
      const socket = app.connect()
      await drained(
        socket,
        Buffer.concat([Buffer.from(head('PATCH', path, { 'X-Request-Id': end })), bytes.subarray(0, 10 * mebibyte)]),
      )
      const size = async (): Promise<number> => Number(String((await app.get(path)).headers.range).split('-')[1]) + 1
      await until('most of it', async () => (await size()) > 9 * mebibyte)
      socket[end]()
      assert.equal((await app.logLine(end))['status'], 'aborted')
      const kept = await size()
      assert.equal((await app.request('PUT', `${path}?digest=${digest}`, { body: bytes.subarray(kept) })).status, 201)
      await assertStored()
    }
  })

  it('that nobody wants is read to its end, so that the client gets to see why', async () => {
    for (const [path, status] of [
      [`/v2/a/b/blobs/uploads/00000000-0000-4000-8000-000000000000?digest=${digest}`, 404],
      [`${await app.startUpload('a/b')}?digest=nonsense`, 400],
      ['/v2/a/b/blobs/uploads/', 405],
    ] as const) {
      const socket = app.connect()
      const reply = received(socket)
      await drained(socket, Buffer.concat([Buffer.from(head('PUT', path)), bytes.subarray(0, mebibyte)]))
      await sleep(50)
      await drained(socket, bytes.subarray(mebibyte))
      assert.match(await reply, new RegExp(`^HTTP/1\\.1 ${status} [^]*"errors"`))
    }
  })

  it('that nobody wants is not read for ever', async () => {
    await withApp({ server: { idleTimeout: 400 } }, async app => {
      const socket = app.connect()
      socket.write(head('PUT', `/v2/a/b/blobs/uploads/00000000-0000-4000-8000-000000000000?digest=${digest}`))
      const timer = setInterval(() => {
        socket.write('x')
      }, 20)
      try {
        assert.match(await received(socket), /^HTTP\/1\.1 404 /)
      } finally {
        clearInterval(timer)
      }
    })
  })

  it('of other bytes than its digest says is refused', async () => {
    assertError(
      await app.request('PUT', `${await app.startUpload('a/b')}?digest=${sha256(Buffer.from('other'))}`, {
        body: bytes,
      }),
      'DIGEST_INVALID',
    )
  })

  it('of another length than its range says is refused', async () => {
    const path = await app.startUpload('a/b')
    assertError(await app.request('PATCH', path, { body: bytes, headers: { 'Content-Range': '0-99' } }), 'SIZE_INVALID')
    assertError(
      await app.request('PATCH', path, { body: bytes, headers: { 'Content-Range': `5-${bytes.byteLength + 4}` } }),
      'RANGE_INVALID',
    )
  })

  it('waits for its turn on a connection', async () => {
    const path = await app.startUpload('a/b')
    const socket = app.connect()
    const reply = received(socket)
    socket.write(
      Buffer.concat([
        Buffer.from('GET /v2/ HTTP/1.1\r\nHost: a\r\n\r\n'),
        Buffer.from(head('PUT', `${path}?digest=${digest}`, { Connection: 'close' })),
        bytes,
      ]),
    )
    assert.deepEqual((await reply).match(/HTTP\/1\.1 \d+/g), ['HTTP/1.1 200', 'HTTP/1.1 201'])
    await assertStored()
  })

  it('comes after a 100 to a client that waits for it', async () => {
    const path = await app.startUpload('a/b')
    const socket = app.connect()
    socket.write(head('PUT', `${path}?digest=${digest}`, { Expect: '100-continue', Connection: 'close' }))
    const reply = received(socket)
    await once(socket, 'data')
    socket.write(bytes)
    assert.match(await reply, /^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 201 /)
    await assertStored()
  })

  it('of a client that would rather speak another protocol is that of its request', async () => {
    for (const upgrade of ['h2c', 'websocket']) {
      const socket = app.connect()
      socket.write(
        Buffer.concat([
          Buffer.from(
            head('PUT', `${await app.startUpload('a/b')}?digest=${digest}`, {
              Connection: 'Upgrade',
              Upgrade: upgrade,
            }),
          ),
          bytes,
        ]),
      )
      const reply = received(socket)
      const [first] = await once(socket, 'data')
      assert.match(String(first), /^HTTP\/1\.1 201 /)
      socket.end()
      await reply
    }
    await assertStored()
  })

  it('needs a Host header as any other does', async () => {
    const path = `${await app.startUpload('a/b')}?digest=${digest}`
    const socket = app.connect()
    const reply = received(socket)
    socket.write(head('PUT', path).replace('Host: a\r\n', ''))
    socket.write(bytes)
    assert.match(await reply, /^HTTP\/1\.1 400 /)
    assert.equal((await app.get(path)).status, 204, 'nothing was made of it')
  })

  it('is not taken for another request', async () => {
    const inner = Buffer.from('GET /v2/_catalog HTTP/1.1\r\nHost: a\r\n\r\n')
    const reply = await received(
      app
        .connect()
        .end(
          Buffer.concat([Buffer.from(head('PUT', `${await app.startUpload('a/b')}?digest=${digest}`)), bytes, inner]),
        ),
    )
    assert.deepEqual(reply.match(/HTTP\/1\.1 \d+/g), ['HTTP/1.1 201'])
  })

  it('that stalls is closed, and one that trickles is refused', async () => {
    await withApp({ server: { idleTimeout: 300 } }, async app => {
      const path = await app.startUpload('a/b')
      const socket = app.connect()
      socket.write(Buffer.concat([Buffer.from(head('PATCH', path)), bytes.subarray(0, 3 * mebibyte)]))
      assert.equal(await received(socket), '')
      assert.equal((await app.get(path)).headers.range, `0-${3 * mebibyte - 1}`)
    })
    await withApp({ limits: { bodyRate: { bytes: 1000, period: 200 } } }, async app => {
      const socket = app.connect()
      socket.write(
        Buffer.concat([Buffer.from(head('PATCH', await app.startUpload('a/b'))), bytes.subarray(0, mebibyte)]),
      )
      const timer = setInterval(() => {
        socket.write('x')
      }, 20)
      try {
        const [first] = await once(socket, 'data')
        assert.match(String(first), /^HTTP\/1\.1 408 /)
      } finally {
        clearInterval(timer)
        socket.destroy()
      }
    })
  })

  it('does not keep the server from stopping', async () => {
    const replies: Array<Promise<string>> = []
    await withApp({ server: { drainTimeout: 300 } }, async app => {
      const socket = app.connect()
      socket.write(
        Buffer.concat([Buffer.from(head('PATCH', await app.startUpload('a/b'))), bytes.subarray(0, mebibyte)]),
      )
      replies.push(received(socket))
      await sleep(100)
    })
    assert.deepEqual(await Promise.all(replies), [''])
  })
})
