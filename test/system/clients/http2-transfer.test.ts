import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { connect, type ClientHttp2Session, type IncomingHttpHeaders, type OutgoingHttpHeaders } from 'node:http2'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { after, before, describe, it, type TestContext } from 'node:test'
import { CertificateAuthority } from '../../fixtures/certificates.ts'
import { randomStream } from '../../fixtures/images.ts'
import { ServerProcess } from '../../fixtures/server.ts'
import { temporaryDirectory } from '../../fixtures/temporary.ts'
import { until } from '../../fixtures/until.ts'

const mebibyte = 1024 * 1024
const size = 256 * mebibyte
/** As over HTTP/1.1: what the server may take beyond its idle memory, however large the blob is */
const allowance = 120 * mebibyte

describe('blobs over HTTP/2', { timeout: 600_000 }, () => {
  const resources = new AsyncDisposableStack()
  let server: ServerProcess
  let session: ClientHttp2Session
  let digest: string

  before(async () => {
    const { path } = resources.use(await temporaryDirectory('http2-transfer'))
    const authority = await CertificateAuthority.create(path)
    server = resources.use(await ServerProcess.start({ tls: await authority.issue('server') }))
    session = connect(server.url, { ca: await readFile(authority.cert), settings: { initialWindowSize: mebibyte } })
    session.once('connect', () => {
      session.setLocalWindowSize(256 * mebibyte)
    })
    resources.defer(async () => {
      session.destroy()
    })
  })

  after(async () => {
    await resources.disposeAsync()
  })

  async function ask(
    headers: OutgoingHttpHeaders,
    body: Iterable<Uint8Array> = [],
  ): Promise<{ headers: IncomingHttpHeaders; digest: string }> {
    const stream = session.request(headers, { endStream: false })
    const [[answer]] = await Promise.all([
      once(stream, 'response'),
      pipeline(Readable.from(body, { objectMode: false }), stream, { end: true }),
    ])
    const hash = createHash('sha256')
    for await (const chunk of stream) {
      hash.update(chunk)
    }
    return { headers: answer, digest: `sha256:${hash.digest('hex')}` }
  }

  it('are pushed and pulled in constant memory', async t => {
    const idle = (await server.memory()).now
    const hash = createHash('sha256')
    const { headers } = await ask({ ':method': 'POST', ':path': '/v2/large/blobs/uploads/' })
    await constant(t, 'push', idle, async () => {
      const sent = await ask(
        { ':method': 'PATCH', ':path': headers.location },
        hashed(randomStream(size, 'http2'), hash),
      )
      assert.equal(sent.headers[':status'], 202)
      digest = `sha256:${hash.digest('hex')}`
      assert.equal(
        (await ask({ ':method': 'PUT', ':path': `${headers.location}?digest=${digest}` })).headers[':status'],
        201,
      )
    })
    await constant(t, 'pull', idle, async () => {
      assert.equal((await ask({ ':path': `/v2/large/blobs/${digest}` })).digest, digest)
    })
  })

  it('are pulled over a connection on which many others wait for their client', async () => {
    const path = `/v2/large/blobs/${digest}`
    const waiting = await Promise.all(
      Array.from({ length: 100 }, async () => {
        const stream = session.request({ ':path': path })
        await once(stream, 'response')
        return stream
      }),
    )
    // as much as the windows let through; the rest waits in the server
    await until('data has come on all', () => waiting.every(stream => stream.readableLength > 0), 30_000)
    for (let i = 0; i < 10; i++) {
      const { headers } = await ask({ ':path': path, Range: 'bytes=0-99' })
      assert.deepEqual([headers[':status'], headers['content-length']], [206, '100'])
    }
    waiting.forEach(stream => stream.destroy())
  })

  async function constant(t: TestContext, what: string, idle: number, work: () => Promise<void>): Promise<void> {
    await server.resetPeak()
    await work()
    const above = (await server.memory()).peak - idle
    t.diagnostic(`${what}: ${Math.round(above / mebibyte)} MiB above idle`)
    assert.ok(above <= allowance, `the ${what} took ${Math.round(above / mebibyte)} MiB above idle`)
  }
})

function* hashed(source: Iterable<Buffer>, hash: ReturnType<typeof createHash>): Generator<Buffer> {
  for (const chunk of source) {
    hash.update(chunk)
    yield chunk
  }
}
