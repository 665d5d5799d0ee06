import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { Socket } from 'node:net'
import { afterEach, describe, it, mock } from 'node:test'
import { assertError, received, TestApp, type TestAppInit } from '../fixtures/app.ts'
import { sha256 } from '../fixtures/images.ts'
import { emptyJson, ociIndex, ociManifest } from '../fixtures/manifests.ts'
import { until } from '../fixtures/until.ts'
import { OCI_ERRORS, type OciErrorCode } from '../../src/oci/errors.ts'

const hour = 60 * 60 * 1000
const apps: TestApp[] = []

afterEach(async () => {
  mock.timers.reset()
  await Promise.all(
    apps.splice(0).map(async app => {
      await app[Symbol.asyncDispose]()
    }),
  )
})

async function start(init: TestAppInit = {}): Promise<TestApp> {
  const app = await TestApp.start(init)
  apps.push(app)
  return app
}

/** Limits of connections and headers, of which a test names the ones that it is about */
function server(
  limits: { headerBytes?: number; headerTimeout?: number; connections?: number; connectionsPerClient?: number },
  idleTimeout = 20_000,
): TestAppInit['server'] {
  return {
    idleTimeout,
    limits: {
      headerBytes: 16_384,
      headerCount: 100,
      headerTimeout: 20_000,
      connections: 0,
      connectionsPerClient: 0,
      ...limits,
    },
  }
}

/** What came back is one error of the specification, and the connection is closed */
function assertRawError(text: string, code: OciErrorCode): void {
  const [head = '', body = ''] = text.split('\r\n\r\n')
  assert.match(head, new RegExp(`^HTTP/1\\.1 ${OCI_ERRORS[code].status} `))
  assert.match(head, /\r\nConnection: close(\r\n|$)/i)
  assert.equal(JSON.parse(body).errors[0].code, code)
}

describe('what a request may be', () => {
  it('as long as headerBytes, else 431', async () => {
    const app = await start({ server: server({ headerBytes: 16_384 }) })
    assert.equal((await app.get('/v2/', { 'X-Long': 'x'.repeat(15_000) })).status, 200)
    assertRawError(
      await app.exchange(`GET /v2/ HTTP/1.1\r\nHost: a\r\nX-Long: ${'x'.repeat(17_000)}\r\n\r\n`),
      'HEADERS_TOO_LARGE',
    )
  })

  it('of as many headers as headerCount, else 431', async () => {
    const app = await start({ limits: { requests: { urlBytes: 8192, headerBytes: 32_768, headerCount: 20 } } })
    const headers = (count: number): Record<string, string> =>
      Object.fromEntries(Array.from({ length: count }, (_, i) => [`X-${i}`, 'x']))
    assert.equal((await app.get('/v2/', headers(15))).status, 200)
    assertError(await app.get('/v2/', headers(25)), 'HEADERS_TOO_LARGE')
  })

  it('with a path and query of urlBytes, else 414', async () => {
    const app = await start({ limits: { requests: { urlBytes: 1000, headerBytes: 32_768, headerCount: 100 } } })
    assert.equal((await app.get(`/v2/?${'a'.repeat(900)}`)).status, 200)
    assertError(await app.get(`/v2/?${'a'.repeat(1000)}`), 'URI_TOO_LONG')
  })

  it('a manifest of manifestBytes, else 413', async () => {
    const app = await start({ maxManifestBytes: 2000 })
    const manifest = (padding: number): Buffer =>
      Buffer.from(
        JSON.stringify({
          schemaVersion: 2,
          mediaType: ociIndex,
          manifests: [],
          annotations: { a: 'x'.repeat(padding) },
        }),
      )
    assert.equal((await app.pushManifest('r', 'a', manifest(1000), ociIndex)).status, 201)
    assertError(await app.pushManifest('r', 'a', manifest(2000), ociIndex), 'MANIFEST_TOO_LARGE')
  })

  it('a manifest of so many descriptors and levels, else 400', async () => {
    const app = await start({ manifestLimits: { depth: 10, descriptors: 3 } })
    await app.pushEmptyConfig('r')
    const config = { mediaType: 'application/vnd.oci.empty.v1+json', digest: sha256(emptyJson), size: 2 }
    const manifest = (layers: number, more: object = {}): Buffer =>
      Buffer.from(
        JSON.stringify({
          schemaVersion: 2,
          mediaType: ociManifest,
          config,
          layers: Array(layers).fill(config),
          ...more,
        }),
      )
    assert.equal((await app.pushManifest('r', 'a', manifest(3))).status, 201)
    assert.match(
      String(assertError(await app.pushManifest('r', 'a', manifest(4)), 'MANIFEST_INVALID')?.['reason']),
      /more than 3 descriptors/,
    )
    assert.match(
      String(
        assertError(await app.pushManifest('r', 'a', manifest(1, { x: [[[[[[[[[[]]]]]]]]]] })), 'MANIFEST_INVALID')?.[
          'reason'
        ],
      ),
      /deeper than 10 levels/,
    )
  })

  it('for as many ranges as allowed, else 400, on which podman asks for fewer', async () => {
    const app = await start({ limits: { maxRanges: 3 } })
    const bytes = Buffer.from('0123456789')
    await app.pushBlob('r', bytes)
    const path = `/v2/r/blobs/${sha256(bytes)}`
    assert.equal((await app.get(path, { Range: 'bytes=0-0,2-2,4-4' })).status, 206)
    assert.match(
      String(assertError(await app.get(path, { Range: 'bytes=0-0,2-2,4-4,6-6' }), 'REQUEST_INVALID')?.['reason']),
      /more than 3 ranges/,
    )
    assertError(await app.get(path, { Range: 'bytes=10-10,11-11,12-12,13-13' }), 'REQUEST_INVALID')
    assertError(await app.get(path, { Range: 'bytes=10-10' }), 'RANGE_INVALID')
  })
})

describe('slow clients', () => {
  it('that do not send their headers in time get 408', async () => {
    const app = await start({ server: server({ headerTimeout: 200 }) })
    const socket = app.connect()
    socket.write('GET /v2/ HTTP/1.1\r\nHost: a\r\n')
    const drip = setInterval(() => {
      socket.write('X: y\r\n')
    }, 50)
    try {
      assertRawError(await received(socket), 'REQUEST_TIMEOUT')
    } finally {
      clearInterval(drip)
    }
  })

  it('whose body trickles get 408, and a steady one that is slow goes on', async () => {
    const app = await start({ limits: { bodyRate: { bytes: 20, period: 400 } } })
    const [trickling, steady] = [await app.startUpload('r'), await app.startUpload('r')]
    const patch = (path: string, length: number): Socket => {
      const socket = app.connect()
      socket.write(`PATCH ${path} HTTP/1.1\r\nHost: a\r\nContent-Length: ${length}\r\n\r\n`)
      return socket
    }
    const [slow, steadily] = [patch(trickling, 1000), patch(steady, 600)]
    const drips = setInterval(() => {
      slow.write('x')
    }, 100)
    let left = 600
    const sends = setInterval(() => {
      // what came after the body would be a malformed request
      if (left > 0) {
        steadily.write('x'.repeat(30))
        left -= 30
      }
    }, 50)
    try {
      const [failed, went] = await Promise.all([received(slow), once(steadily, 'data').then(([data]) => String(data))])
      assertRawError(failed, 'REQUEST_TIMEOUT')
      assert.match(went, /^HTTP\/1\.1 202 /)
      assert.match(went, /\r\nRange: 0-599\r\n/)
      // what came of it is kept
      assert.match(String((await app.request('GET', trickling)).headers.range), /^0-\d+$/)
    } finally {
      clearInterval(drips)
      clearInterval(sends)
      steadily.destroy()
    }
  })

  it('that go on sending what nobody reads are cut off', async () => {
    const app = await start({ server: server({}, 1000) })
    const socket = app.connect()
    socket.write('PUT /v2/UPPER/manifests/a HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n')
    const drips = setInterval(() => {
      socket.write('x')
    }, 50)
    try {
      assert.match(await received(socket), /^HTTP\/1\.1 400 /)
    } finally {
      clearInterval(drips)
    }
  })

  it('that read nothing are cut off, and what they asked for in one go is not all made at once', async () => {
    const app = await start({ server: server({}, 1000) })
    const bytes = Buffer.alloc(3 * 1024 * 1024, 'x')
    await app.pushBlob('r', bytes)
    const socket = app.connect()
    socket.pause()
    socket.write(`GET /v2/r/blobs/${sha256(bytes)} HTTP/1.1\r\nHost: a\r\n\r\n`.repeat(80))
    await until('the request is cut off', () => app.requests.some(({ status }) => status === 'aborted'))
    socket.destroy()
    // the others were never begun
    const begun = app.requests.filter(({ method }) => method === 'GET').length
    assert.ok(begun <= 5, `${begun} were under way`)
  })

  it('that send a hundred requests ahead are answered in order, and no more than that', async () => {
    const app = await start()
    const socket = app.connect()
    socket.write(
      `${'GET /v2/ HTTP/1.1\r\nHost: a\r\n\r\n'.repeat(99)}GET /v2/x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`,
    )
    const answers = (await received(socket)).match(/HTTP\/1\.1 \d+/g)
    assert.deepEqual(answers, [...Array(99).fill('HTTP/1.1 200'), 'HTTP/1.1 404'])
    const cut = await app.exchange('GET /v2/ HTTP/1.1\r\nHost: a\r\n\r\n'.repeat(200))
    assert.ok((cut.match(/HTTP\/1\.1/g)?.length ?? 0) < 100)
  })
})

describe('connections', () => {
  it('of one client beyond the limit get 429', async () => {
    const app = await start({ server: server({ connectionsPerClient: 2 }) })
    const held = [app.connect(), app.connect()]
    await Promise.all(
      held.map(async socket => {
        await once(socket, 'connect')
      }),
    )
    const refused = await app.get('/v2/')
    assertError(refused, 'TOOMANYREQUESTS')
    assert.deepEqual([refused.headers['retry-after'], refused.headers.connection], ['5', 'close'])
    held.forEach(socket => {
      socket.destroy()
    })
    await until('one is free', async () => (await app.get('/v2/')).status === 200)
  })

  it('of all beyond the limit get 503, and far beyond it nothing', async () => {
    const app = await start({ server: server({ connections: 10 }) })
    const open = async (): Promise<Socket> => {
      const socket = app.connect()
      await once(socket, 'connect')
      return socket
    }
    const held = await Promise.all(Array.from({ length: 10 }, open))
    try {
      assertError(await app.get('/v2/'), 'UNAVAILABLE')
      let dropped = 0
      const began = performance.now()
      held.push(
        ...Array.from({ length: 5 }, () =>
          app
            .connect()
            .resume()
            .once('close', () => {
              dropped++
            }),
        ),
      )
      await until('all but one are closed', () => dropped >= 4)
      assert.ok(performance.now() - began < 4000, 'they were closed at once')
    } finally {
      held.forEach(socket => {
        socket.destroy()
      })
    }
  })
})

describe('open uploads', () => {
  it('of one client beyond the limit get 429, until one ends', async () => {
    const app = await start({ uploads: { max: 100, maxPerClient: 2 } })
    const [first] = [await app.startUpload('r'), await app.startUpload('r')]
    const refused = await app.request('POST', '/v2/r/blobs/uploads/')
    assertError(refused, 'TOOMANYREQUESTS')
    assert.equal(refused.headers['retry-after'], '5')
    assert.equal((await app.request('DELETE', first)).status, 204)
    const next = await app.startUpload('r')
    assert.equal((await app.request('PUT', `${next}?digest=${sha256(Buffer.from('x'))}`, { body: 'x' })).status, 201)
    await app.startUpload('r')
  })

  it('of one client beyond the limit get 429 where the blob comes at once, too', async () => {
    const app = await start({ uploads: { max: 100, maxPerClient: 1 } })
    const path = `/v2/r/blobs/uploads/?digest=${sha256(Buffer.from('x'))}`
    const open = await app.startUpload('r')
    assertError(await app.request('POST', path, { body: 'x' }), 'TOOMANYREQUESTS')
    assert.equal((await app.request('DELETE', open)).status, 204)
    for (let i = 0; i < 2; i++) {
      assert.equal((await app.request('POST', path, { body: 'x' })).status, 201)
    }
  })

  it('of all beyond the limit get 503', async () => {
    const app = await start({ uploads: { max: 2 } })
    await app.startUpload('r')
    await app.startUpload('r')
    assertError(await app.request('POST', '/v2/r/blobs/uploads/'), 'UNAVAILABLE')
  })

  it('make room where nobody asked for them within an hour', async () => {
    mock.timers.enable({ apis: ['Date'], now: Date.now() })
    const app = await start({ uploads: { max: 2 } })
    const [silent, used] = [await app.startUpload('r'), await app.startUpload('r')]
    mock.timers.setTime(Date.now() + hour + 1)
    assert.equal((await app.request('PATCH', used, { body: 'x' })).status, 202)
    await app.startUpload('r')
    assertError(await app.request('GET', silent), 'BLOB_UPLOAD_UNKNOWN')
    assertError(await app.request('POST', '/v2/r/blobs/uploads/'), 'UNAVAILABLE')
    assert.equal((await app.request('GET', used)).status, 204)
  })
})
