import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import {
  connect,
  constants,
  type ClientHttp2Session,
  type ClientHttp2Stream,
  type OutgoingHttpHeaders,
} from 'node:http2'
import { text } from 'node:stream/consumers'
import { after, afterEach, before, describe, it } from 'node:test'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import express, { type RequestHandler } from 'express'
import { BodyMemory } from '../../src/http/bodies/body-memory.ts'
import { clientSignal } from '../../src/http/request-options.ts'
import { BodyTurns } from '../../src/http/bodies/body-turns.ts'
import { bodyOf, writeBody } from '../../src/http/bodies/streamed-body.ts'
import { forBothVersions } from '../../src/http/express-listener.ts'
import { inOrder } from '../../src/http/middleware/in-order.ts'
import { errorHandler } from '../../src/http/middleware/error-handler.ts'
import { observeRequests } from '../../src/http/middleware/request-log.ts'
import { HttpServer } from '../../src/http/server.ts'
import { readBody } from '../../src/http/bodies/whole-body.ts'
import { Metrics } from '../../src/metrics.ts'
import { OciError } from '../../src/oci/errors.ts'
import { CertificateAuthority } from '../fixtures/certificates.ts'
import { endHeaders, endStream, frame, frameTypes, header, received, requestHeaders } from '../fixtures/http2-frames.ts'
import { recordingLog } from '../fixtures/recording-log.ts'
import { temporaryDirectory, type TemporaryDirectory } from '../fixtures/temporary.ts'
import { until } from '../fixtures/until.ts'

const mebibyte = 1024 * 1024
const whole = {
  maxBytes: mebibyte,
  tooLarge: 'SIZE_INVALID' as const,
  rate: { bytes: 0, period: 1000 },
  memory: new BodyMemory({ max: 0, maxPerClient: 0 }),
}

describe('HTTP/2', { timeout: 600_000 }, () => {
  let directory: TemporaryDirectory
  let tls: { cert: string; key: string }
  let ca: string
  const log = recordingLog()
  const metrics = new Metrics()
  const servers: HttpServer[] = []
  const sessions: ClientHttp2Session[] = []
  const sockets: TLSSocket[] = []

  before(async () => {
    directory = await temporaryDirectory('http2')
    const authority = await CertificateAuthority.create(directory.path)
    const { cert, key } = await authority.issue('server')
    ca = await readFile(authority.cert, 'utf8')
    tls = { cert: await readFile(cert, 'utf8'), key: await readFile(key, 'utf8') }
  })

  afterEach(async () => {
    sessions.splice(0).forEach(session => session.destroy())
    sockets.splice(0).forEach(socket => socket.destroy())
    await Promise.all(servers.splice(0).map(async server => await server.stop()))
    log.lines.length = 0
  })

  after(async () => {
    await directory[Symbol.asyncDispose]()
  })

  /** A server whose middleware is the registry's, and a session with it */
  async function serve(
    handler: RequestHandler,
    init: { idleTimeout?: number; drainTimeout?: number } = {},
  ): Promise<{ server: HttpServer; session: ClientHttp2Session }> {
    const handle = inOrder([observeRequests({ log, metrics }), handler])
    const fail = errorHandler({ log, metrics })
    const app = forBothVersions(express(), (req, res) => {
      handle(req, res, err => {
        void fail(err, req, res, () => {})
      })
    })
    const server = new HttpServer(
      { app },
      { tls, host: '127.0.0.1', port: 0, idleTimeout: 10_000, drainTimeout: 10_000, ...init },
    )
    servers.push(server)
    await server.start()
    const session = connect(`https://localhost:${server.address.port}`, { ca }).on('error', () => {})
    sessions.push(session)
    return { server, session }
  }

  /** A connection on which the test writes the frames itself; its one request has begun */
  async function rawSession(server: HttpServer, headers: Uint8Array): Promise<TLSSocket> {
    const socket = connectTls({
      port: server.address.port,
      host: '127.0.0.1',
      servername: 'localhost',
      ca,
      ALPNProtocols: ['h2'],
    }).on('error', () => {})
    sockets.push(socket)
    await once(socket, 'secureConnect')
    socket.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')
    socket.write(frame(frameTypes.settings, Buffer.alloc(0), 0, 0))
    socket.write(frame(frameTypes.headers, headers, endHeaders))
    return socket
  }

  async function requestLine(): Promise<Record<string, unknown>> {
    return await until('the request is logged', () => log.lines.find(({ message }) => message === 'request')?.fields)
  }

  it('answers many requests at once, and knows the host that was asked for', async () => {
    const { session, server } = await serve((req, res) => {
      res.status(201).set('X-Host', req.get('Host')).json({ path: req.path, q: req.query['q'], ip: req.ip })
    })
    const replies = await Promise.all(
      ['a', 'b', 'c'].map(async q => {
        const stream = session.request({ ':path': `/x?q=${q}` })
        const [headers] = await once(stream, 'response')
        return { status: headers[':status'], host: headers['x-host'], body: await text(stream) }
      }),
    )
    const host = `localhost:${server.address.port}`
    assert.deepEqual(
      replies,
      ['a', 'b', 'c'].map(q => ({ status: 201, host, body: `{"path":"/x","q":"${q}","ip":"127.0.0.1"}` })),
    )
  })

  it('says in the log and in the metrics what a request moved', async () => {
    const { session } = await serve(async (req, res) => {
      res.send(String((await readBody(req, whole)).bytes.byteLength))
    })
    const received = async (): Promise<number> =>
      Number(/ipdr_http_received_bytes_total (\d+)/.exec(await metrics.text())?.[1])
    const before = await received()
    const stream = request(session, { ':method': 'PUT' }, Buffer.alloc(70_000))
    assert.equal(await text(stream), '70000')
    const { method, status, bytesIn, bytesOut, http } = await requestLine()
    assert.deepEqual(
      { method, status, bytesIn, bytesOut, http },
      { method: 'PUT', status: '200', bytesIn: 70_000, bytesOut: 5, http: '2.0' },
    )
    assert.equal((await received()) - before, 70_000)
  })

  it('sends no body to HEAD, and an error without the headers of what failed', async () => {
    const { session } = await serve((req, res) => {
      res.set({ 'Content-Length': '5', ETag: '"x"' })
      if (req.path === '/bad') {
        throw new OciError('NAME_UNKNOWN')
      }
      res.end(req.method === 'HEAD' ? undefined : 'hello')
    })
    const head = session.request({ ':method': 'HEAD', ':path': '/' })
    const [headers] = await once(head, 'response')
    assert.deepEqual([headers[':status'], headers['content-length'], await text(head)], [200, '5', ''])
    const bad = session.request({ ':method': 'PUT', ':path': '/bad' }, { endStream: false })
    bad.write('a body that nobody reads')
    const [failed] = await once(bad, 'response')
    assert.deepEqual([failed[':status'], failed['etag'], failed['connection']], [404, undefined, undefined])
    bad.end()
    assert.match(await text(bad), /NAME_UNKNOWN/)
  })

  it('refuses headers that belong to a connection of HTTP/1', async () => {
    const paths: string[] = []
    const { server } = await serve((req, res) => {
      res.end(String(paths.push(req.path)))
    })
    for (const [name, value] of Object.entries({
      'transfer-encoding': 'chunked',
      connection: 'keep-alive',
      upgrade: 'h2c',
      te: 'gzip',
    })) {
      const socket = await rawSession(server, Buffer.concat([requestHeaders('POST'), header(name, value)]))
      socket.write(frame(frameTypes.data, Buffer.from('GET /smuggled HTTP/1.1'), endStream))
      const sent = await received(socket, frameTypes.reset)
      assert.equal(sent.readUInt32BE(), constants.NGHTTP2_PROTOCOL_ERROR, name)
    }
    assert.deepEqual(paths, [])
  })

  for (const [what, giveUp] of [
    [
      'resets',
      (socket: TLSSocket) => {
        socket.write(frame(frameTypes.reset, Buffer.from([0, 0, 0, constants.NGHTTP2_CANCEL])))
      },
    ],
    [
      'leaves with its connection',
      (socket: TLSSocket) => {
        socket.destroy()
      },
    ],
  ] as const) {
    it(`an upload that its client ${what} does not look complete`, async () => {
      const { promise: seen, resolve } = Promise.withResolvers<unknown>()
      const { server } = await serve(async (req, res) => {
        const signal = clientSignal(res)
        try {
          for await (const chunk of bodyOf(req, new BodyTurns())) {
            assert.equal(String(chunk), 'half of it')
            giveUp(socket)
          }
          resolve('complete')
        } catch (err) {
          resolve({ code: (err as NodeJS.ErrnoException).code, gone: await until('the signal', () => signal.aborted) })
          throw err
        }
      })
      const socket = await rawSession(server, requestHeaders('PATCH'))
      socket.write(frame(frameTypes.data, Buffer.from('half of it')))
      assert.deepEqual(await seen, { code: 'ECONNRESET', gone: true })
      assert.equal((await requestLine())['status'], 'aborted')
    })
  }

  it('breaks off a response that fails after its headers, and nothing else of the connection', async () => {
    const { session } = await serve(async (req, res) => {
      if (req.path === '/fine') {
        res.end('fine')
        return
      }
      res.write('the beginning')
      throw new Error('the disk is gone')
    })
    const stream = session.request({ ':path': '/' })
    await assert.rejects(text(stream), { code: 'ERR_HTTP2_STREAM_ERROR' })
    assert.equal(stream.rstCode, constants.NGHTTP2_INTERNAL_ERROR)
    assert.match(await metrics.text(), /ipdr_http_broken_responses_total 1/)
    assert.equal((await requestLine())['status'], 'aborted')
    assert.equal(await text(session.request({ ':path': '/fine' })), 'fine')
  })

  it('reads ahead of a slow client only a little, and a client ahead of a slow server', async () => {
    let produced = 0
    const { session } = await serve(async (req, res) => {
      if (req.method === 'GET') {
        await writeBody(
          res,
          blocks(64, () => {
            produced++
          }),
          clientSignal(res),
        ).catch(() => {})
        res.end()
      }
    })
    const slow = session.request({ ':path': '/' }).on('error', () => {})
    await once(slow, 'response')
    await settled(() => produced)
    assert.ok(produced > 0 && produced < 8, `${produced} MiB for a client that reads nothing`)
    slow.destroy()

    let sent = 0
    const upload = session.request({ ':method': 'PUT' }, { endStream: false }).on('error', () => {})
    void (async () => {
      for await (const block of blocks(64, () => {})) {
        await new Promise(resolve => upload.write(block, resolve))
        sent++
      }
    })()
    await settled(() => sent)
    assert.ok(sent < 8, `${sent} MiB to a server that reads nothing`)
  })

  it('breaks off a stream on which nothing moves, but not its connection', async () => {
    const { session } = await serve(
      async (req, res) => {
        const body = await readBody(req, whole).catch(() => undefined)
        res.end(`got ${body?.bytes.byteLength}`)
      },
      { idleTimeout: 500 },
    )
    const stuck = session.request({ ':method': 'PUT' }, { endStream: false }).on('error', () => {})
    stuck.write('ab')
    const slow = session.request({ ':method': 'PUT' }, { endStream: false })
    for (let i = 0; i < 8; i++) {
      await new Promise(resolve => setTimeout(resolve, 100))
      slow.write('x')
    }
    slow.end()
    assert.equal(await text(slow), 'got 8')
    assert.equal(stuck.rstCode, constants.NGHTTP2_CANCEL)
  })

  it('ends the connection of a body that found no room, after what else is under way over it', async () => {
    const memory = new BodyMemory({ max: 1000, maxPerClient: 0 })
    const { session } = await serve(async (req, res) => {
      using body = await readBody(req, { ...whole, memory })
      res.end(`got ${body.bytes.byteLength}`)
    })
    const slow = session.request({ ':method': 'PUT', 'content-length': 900 }, { endStream: false })
    slow.write('x'.repeat(899))
    await until('it holds all there is', () => memory.total === 900)
    const refused = session.request({ ':method': 'PUT', 'content-length': mebibyte }, { endStream: false })
    refused.write(Buffer.alloc(mebibyte - 1))
    const [headers] = (await once(refused, 'response')) as [OutgoingHttpHeaders]
    assert.equal(headers[':status'], 503)
    await text(refused)
    await once(session, 'goaway')
    slow.end('x')
    assert.equal(await text(slow), 'got 900')
    await once(session, 'close')
  })

  it('lets requests end that are under way when it stops, and tells the client to bring no more', async () => {
    const { promise: over, resolve: finish } = Promise.withResolvers<void>()
    const { session, server } = await serve(async (_req, res) => {
      res.write('begun, ')
      await over
      res.end('ended')
    })
    const idle = connect(`https://localhost:${server.address.port}`, { ca })
    sessions.push(idle)
    await once(idle, 'connect')
    const busy = session.request()
    await once(busy, 'response')
    const told = Promise.all([once(session, 'goaway'), once(idle, 'close')])
    const stopped = server.stop()
    await told
    finish()
    assert.equal(await text(busy), 'begun, ended')
    await stopped
  })

  it('breaks off what does not end in time', async () => {
    const { session, server } = await serve(
      (_req, res) => {
        res.write('begun')
      },
      { drainTimeout: 50 },
    )
    const stream = session.request().on('error', () => {})
    await once(stream, 'response')
    const closed = once(session, 'close')
    await server.stop()
    await closed
  })
})

function request(session: ClientHttp2Session, headers: OutgoingHttpHeaders, body: Uint8Array): ClientHttp2Stream {
  const stream = session.request(headers, { endStream: false })
  stream.end(body)
  return stream
}

async function* blocks(count: number, onTaken: () => void): AsyncGenerator<Uint8Array> {
  for (let i = 0; i < count; i++) {
    onTaken()
    yield Buffer.alloc(mebibyte)
  }
}

/** Waits until a number stays the same */
async function settled(value: () => number): Promise<void> {
  let last = Number.NaN
  let since = performance.now()
  await until('it comes to rest', () => {
    if (value() !== last) {
      last = value()
      since = performance.now()
    }
    return performance.now() - since > 500
  })
}
