import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { createServer, type ServerResponse } from 'node:http'
import { connect as connectHttp2, type ClientHttp2Session, type OutgoingHttpHeaders } from 'node:http2'
import { text } from 'node:stream/consumers'
import { after, before, describe, it } from 'node:test'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import * as dagPb from '@ipld/dag-pb'
import { CID } from 'multiformats/cid'
import { CertificateAuthority } from '../fixtures/certificates.ts'
import { randomBlock } from '../fixtures/ipfs-node.ts'
import { ServerProcess } from '../fixtures/server.ts'
import { temporaryDirectory, type TemporaryDirectory } from '../fixtures/temporary.ts'
import { until } from '../fixtures/until.ts'

const minute = 60_000

interface OciErrors {
  errors: Array<{ code: string }>
}

describe('limits over TLS', { timeout: 10 * minute }, () => {
  let directory: TemporaryDirectory
  let server: ServerProcess
  let ca: string
  const sessions: ClientHttp2Session[] = []

  before(async () => {
    directory = await temporaryDirectory('limits')
    const authority = await CertificateAuthority.create(directory.path)
    ca = await readFile(authority.cert, 'utf8')
    const limits = {
      'header-timeout': '500ms',
      'header-bytes': '8KiB',
      'header-count': '50',
      'url-bytes': '1KiB',
      'connections-per-client': '8',
      'idle-timeout': '1s',
      'body-rate': '100B',
    }
    server = await ServerProcess.start({
      tls: await authority.issue('server'),
      args: ['--names-publish', 'false', ...Object.entries(limits).map(([name, value]) => `--limits-${name}=${value}`)],
    })
  })

  after(async () => {
    sessions.forEach(session => {
      session.destroy()
    })
    await server?.[Symbol.asyncDispose]()
    await directory?.[Symbol.asyncDispose]()
  })

  function session(): ClientHttp2Session {
    const opened = connectHttp2(server.url, { ca }).on('error', () => {})
    sessions.push(opened)
    return opened
  }

  async function ask(headers: OutgoingHttpHeaders, on = session()): Promise<{ status: number; body: string }> {
    const stream = on.request(headers, { endStream: headers[':method'] !== 'PATCH' })
    const [reply] = await once(stream, 'response')
    return { status: reply[':status'], body: await text(stream) }
  }

  async function http1(start: string): Promise<string> {
    const socket: TLSSocket = connectTls({ port: server.port, host: '127.0.0.1', servername: 'localhost', ca }).on(
      'error',
      () => {},
    )
    let received = ''
    socket.setEncoding('latin1').on('data', data => {
      received += data
    })
    socket.write(start)
    await once(socket, 'close')
    return received
  }

  it('HTTP/1: headers that come too slowly get 408, those that are too long 431', async () => {
    assert.match(await http1('GET /v2/ HTTP/1.1\r\nHost: a\r\n'), /^HTTP\/1\.1 408 [\s\S]*"REQUEST_TIMEOUT"/)
    assert.match(
      await http1(`GET /v2/ HTTP/1.1\r\nHost: a\r\nX: ${'x'.repeat(9000)}\r\n\r\n`),
      /^HTTP\/1\.1 431 [\s\S]*"HEADERS_TOO_LARGE"/,
    )
  })

  it('HTTP/2: headers that are too many or too long get 431, a URL that is too long 414, and the connection goes on', async () => {
    const on = session()
    const headers = (count: number): OutgoingHttpHeaders =>
      Object.fromEntries(Array.from({ length: count }, (_, i) => [`x-${i}`, 'y']))
    assert.equal((await ask({ ':path': '/v2/', ...headers(50) }, on)).status, 200)
    const many = await ask({ ':path': '/v2/', ...headers(51) }, on)
    assert.deepEqual([many.status, (JSON.parse(many.body) as OciErrors).errors[0]?.code], [431, 'HEADERS_TOO_LARGE'])
    const long = await ask({ ':path': `/v2/?${'a'.repeat(1100)}` }, on)
    assert.deepEqual([long.status, (JSON.parse(long.body) as OciErrors).errors[0]?.code], [414, 'URI_TOO_LONG'])
    for (const [length, status] of [
      [7000, 200],
      [9000, 431],
      [60_000, 431],
    ] as const) {
      const { status: got, body } = await ask({ ':path': '/v2/', 'x-long': 'x'.repeat(length) }, on)
      assert.deepEqual(
        [got, got === 431 ? (JSON.parse(body) as OciErrors).errors[0]?.code : undefined],
        [status, status === 431 ? 'HEADERS_TOO_LARGE' : undefined],
        `${length} bytes`,
      )
    }
    await assert.rejects(ask({ ':path': '/v2/', ...headers(300) }, on))
    assert.equal((await ask({ ':path': '/v2/' })).status, 200)
  })

  it('HTTP/2: a body that trickles gets 408, and its stream ends', async () => {
    const started = session()
    const post = started.request({ ':method': 'POST', ':path': '/v2/r/blobs/uploads/' })
    const [reply] = await once(post, 'response')
    post.resume()
    const stream = started
      .request({ ':method': 'PATCH', ':path': String(reply['location']) }, { endStream: false })
      .on('error', () => {})
    const drips = setInterval(() => {
      stream.write('x')
    }, 100)
    try {
      const [late] = await once(stream, 'response')
      assert.equal(late[':status'], 408)
      stream.resume()
      await once(stream, 'close')
    } finally {
      clearInterval(drips)
    }
  })

  it('HTTP/2: connections of one client beyond the limit get 429', async () => {
    sessions.splice(0).forEach(open => {
      open.destroy()
    })
    let held: ReturnType<typeof session>[] = []
    // the server may not have noticed yet that the others are gone
    await until('eight are let in', async () => {
      held.forEach(open => {
        open.destroy()
      })
      held = Array.from({ length: 8 }, () => session())
      return (await Promise.all(held.map(async open => await ask({ ':path': '/livez' }, open)))).every(
        ({ status }) => status === 200,
      )
    })
    const { status, body } = await ask({ ':path': '/v2/' })
    assert.deepEqual([status, (JSON.parse(body) as OciErrors).errors[0]?.code], [429, 'TOOMANYREQUESTS'])
    held.forEach(open => {
      open.destroy()
    })
    await until('one is free', async () => (await ask({ ':path': '/v2/' })).status === 200)
  })
})

describe('requests that wait for content from elsewhere', { timeout: 10 * minute }, () => {
  it('are so many of one client and in all; others are answered meanwhile', async () => {
    const waiting = new Set<ServerResponse>()
    const gateway = createServer((_req, res) => {
      waiting.add(res)
    })
    gateway.listen(0, '127.0.0.1')
    await once(gateway, 'listening')
    const { port } = gateway.address() as { port: number }
    await using server = await ServerProcess.start({
      args: [
        '--ipfs-gateway',
        `http://127.0.0.1:${port}`,
        '--limits-fetches-per-client',
        '2',
        '--limits-retrieval-timeout',
        '30s',
        '--log-level',
        'error',
      ],
    })
    const abort = new AbortController()
    try {
      const pull = async (): Promise<Response> =>
        await fetch(`${server.url}/v2/${CID.createV1(dagPb.code, randomBlock(9).cid.multihash)}/manifests/latest`, {
          signal: abort.signal,
        })
      const pulls = [pull(), pull()].map(async pending => {
        await pending.catch(() => {})
      })
      await until('both wait', () => waiting.size >= 2)
      const third = await pull()
      assert.deepEqual(
        [third.status, third.headers.get('retry-after'), ((await third.json()) as OciErrors).errors[0]?.code],
        [429, '5', 'TOOMANYREQUESTS'],
      )
      assert.equal((await fetch(`${server.url}/v2/`)).status, 200)
      abort.abort()
      await Promise.all(pulls)
      await until('they are free again', async () => {
        const next = fetch(`${server.url}/v2/${randomBlock(9).cid}/manifests/latest`, {
          signal: AbortSignal.timeout(1000),
        })
        return await next.then(
          ({ status }) => status !== 429,
          () => true,
        )
      })
    } finally {
      abort.abort()
      gateway.closeAllConnections()
      gateway.close()
    }
  })
})
