import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { request, type IncomingMessage } from 'node:http'
import { test, type TestContext } from 'node:test'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { Digest } from '../../src/oci/digest.ts'
import { randomStream } from '../fixtures/images.ts'
import { location, RegistryClient } from '../fixtures/registry-client.ts'
import { ServerProcess } from '../fixtures/server.ts'

const minute = 60_000
const mebibyte = 1024 * 1024
const size = 4096 * mebibyte
/** What the server may take beyond its idle memory, however large the blob is */
const allowance = 120 * mebibyte

test('a blob of 4 GiB is pushed and pulled in constant memory', { timeout: 10 * minute }, async t => {
  await using server = await ServerProcess.start()
  const client = new RegistryClient(server)
  const idle = (await server.memory()).now
  t.diagnostic(`idle: ${inMebibytes(idle)}`)

  const upload = location(await client.startUpload('memory/large'))
  let digest: Digest | undefined
  const pushed = await peakOf(server, async () => {
    const hash = createHash('sha256')
    await patch(new URL(upload, server.url), hashed(randomStream(size, 'large blob'), hash))
    digest = `sha256:${hash.digest('hex')}`
    assert.equal((await client.finishUpload(upload, digest)).status, 201)
  })
  report(t, 'push', pushed, idle)

  const pulled = await peakOf(server, async () => {
    assert.equal(await client.digestOf(`/v2/memory/large/blobs/${digest}`), digest)
  })
  report(t, 'pull', pulled, idle)

  assert.ok(pushed.peak - idle <= allowance, `the push took ${inMebibytes(pushed.peak - idle)} above idle`)
  assert.ok(pulled.peak - idle <= allowance, `the pull took ${inMebibytes(pulled.peak - idle)} above idle`)
})

async function patch(url: URL, body: Iterable<Buffer>): Promise<void> {
  const upload = request(url, { method: 'PATCH', headers: { 'Content-Type': 'application/octet-stream' } })
  const answered = once(upload, 'response')
  await pipeline(Readable.from(body, { objectMode: false, highWaterMark: 4 * mebibyte }), upload)
  const [response] = (await answered) as [IncomingMessage]
  response.resume()
  assert.equal(response.statusCode, 202)
}

function* hashed(source: Iterable<Buffer>, hash: ReturnType<typeof createHash>): Generator<Buffer> {
  for (const chunk of source) {
    hash.update(chunk)
    yield chunk
  }
}

async function peakOf(server: ServerProcess, work: () => Promise<void>): Promise<{ peak: number; seconds: number }> {
  await server.resetPeak()
  const began = performance.now()
  await work()
  const seconds = (performance.now() - began) / 1000
  return { peak: (await server.memory()).peak, seconds }
}

function report(
  t: TestContext,
  what: string,
  { peak, seconds }: { peak: number; seconds: number },
  idle: number,
): void {
  t.diagnostic(
    `${what}: peak ${inMebibytes(peak)}, ${inMebibytes(peak - idle)} above idle; ${seconds.toFixed(1)} s, ${Math.round(size / mebibyte / seconds)} MiB/s`,
  )
}

function inMebibytes(bytes: number): string {
  return `${Math.round(bytes / mebibyte)} MiB`
}
