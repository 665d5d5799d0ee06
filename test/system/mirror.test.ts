import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { hexOf, type Digest } from '../../src/oci/digest.ts'
import { Distribution } from '../fixtures/distribution.ts'
import { randomBytes, sha256 } from '../fixtures/images.ts'
import { descriptorOf, emptyJson, imageManifest } from '../fixtures/manifests.ts'
import { RegistryClient } from '../fixtures/registry-client.ts'
import { run } from '../fixtures/run.ts'
import { ServerProcess } from '../fixtures/server.ts'
import { SlowRegistry } from '../fixtures/slow-registry.ts'
import { temporaryDirectory } from '../fixtures/temporary.ts'
import { builtTool, installedTool } from '../fixtures/tools.ts'
import { until } from '../fixtures/until.ts'

const mebibyte = 1024 * 1024

async function digestOf(url: string): Promise<Digest> {
  const response = await fetch(url)
  assert.equal(response.status, 200)
  const hash = createHash('sha256')
  for await (const chunk of response.body!) {
    hash.update(chunk)
  }
  return `sha256:${hash.digest('hex')}`
}

async function rangeOf(url: string, { end, start }: { start: number; end: number }): Promise<Buffer> {
  const response = await fetch(url, { headers: { Range: `bytes=${start}-${end}` } })
  assert.equal(response.status, 206)
  return Buffer.from(await response.arrayBuffer())
}

describe('a mirror of a distribution', () => {
  it('gives crane and skopeo what is there, byte for byte, by name and by ns', async () => {
    await using storage = await temporaryDirectory('distribution')
    await using upstream = await Distribution.start({ directory: storage.path })
    const client = new RegistryClient(upstream.url)
    const layers = [randomBytes(3 * mebibyte + 7, 'a'), randomBytes(100, 'b')]
    const manifest = imageManifest({ layers: layers.map(layer => descriptorOf(layer)) })
    for (const blob of [emptyJson, ...layers]) {
      assert.equal((await client.pushBlob('team/app', blob)).status, 201)
    }
    assert.equal((await client.pushManifest('team/app', 'v1', manifest)).status, 201)
    await using server = await ServerProcess.start({ args: ['--upstream', `up.test=${upstream.url}`] })
    await using directory = await temporaryDirectory('pulled')
    const name = `${server.host}/up.test/team/app:v1`
    const digest = await run(builtTool('crane'), ['digest', '--insecure', name])
    assert.equal(digest.trim(), sha256(manifest))
    await run(builtTool('crane'), ['pull', '--insecure', '--format=oci', name, directory.path])
    for (const layer of layers) {
      const hash = hexOf(sha256(layer))
      assert.ok(readFileSync(`${directory.path}/blobs/sha256/${hash}`).equals(layer))
    }
    await using second = await temporaryDirectory('copied')
    await run(installedTool('skopeo'), ['copy', '--src-tls-verify=false', `docker://${name}`, `dir:${second.path}`])
    const through = new RegistryClient(server.url)
    const byNamespace = await through.request('GET', '/v2/team/app/manifests/v1?ns=up.test')
    assert.deepEqual(
      [byNamespace.headers.get('oci-namespace'), Buffer.from(await byNamespace.arrayBuffer())],
      ['up.test', manifest],
    )
    assert.equal(await through.digestOf(`/v2/team/app/blobs/${sha256(layers[0]!)}?ns=up.test`), sha256(layers[0]!))
    assert.equal((await through.pushBlob('own', layers[0]!)).status, 201)
    const metric = await new RegistryClient(server).metrics()
    const fetched = metric('ipdr_upstream_bytes_total{upstream="up.test"}')
    const once = [emptyJson, ...layers, manifest].reduce((total, { byteLength }) => total + byteLength, 0)
    assert.ok(fetched >= once && fetched < once + 10_000, `${fetched} bytes were fetched of ${once}`)
  })
})

describe('a mirror that is killed', () => {
  const size = Number(process.env['IPDR_TEST_BLOB_MIB'] ?? 64) * mebibyte

  it('goes on after the start with what is missing, while clients read ranges', { timeout: 3_600_000 }, async t => {
    await using upstream = new SlowRegistry(size)
    upstream.rate = size > 1024 * mebibyte ? 0 : 30 * mebibyte
    const url = await upstream.start()
    await using server = await ServerProcess.start({ args: ['--upstream', `up.test=${url}`] })
    await (await fetch(`${server.url}/v2/up.test/model/manifests/v1`)).arrayBuffer()
    const idle = (await server.memory()).now
    await server.resetPeak()
    const blob = `${server.url}/v2/up.test/model/blobs/${upstream.layer}`
    const began = performance.now()
    const pulled = digestOf(blob).catch((err: Error) => err)
    await until('60 %', () => upstream.sent > 0.6 * size, 1_200_000)
    const before = (await server.memory()).peak - idle
    await server.kill()
    await server.start()
    assert.ok((await pulled) instanceof Error)
    await server.resetPeak()
    upstream.rate = 0
    // nobody asks for the whole: it goes on by itself, and two clients get parts that are here, or come
    const ranges = [Math.floor(size / 8), Math.floor(size * 0.7)].map(start => ({ start, end: start + mebibyte }))
    const parts = await Promise.all(ranges.map(async range => await rangeOf(blob, range)))
    for (const [i, { end, start }] of ranges.entries()) {
      assert.ok(parts[i]!.equals(upstream.part(start, end)), `bytes ${start}-${end}`)
    }
    // how much was sent before the kill depends on how soon this process saw it
    await until('the rest', () => upstream.sent >= size, 1_200_000)
    assert.equal(await digestOf(blob), upstream.layer)
    const seconds = (performance.now() - began) / 1000
    const after = (await server.memory()).peak - idle
    const again = (upstream.sent - size) / mebibyte
    const memory = [before, after].map(bytes => Math.round(bytes / mebibyte))
    t.diagnostic(
      `${size / mebibyte} MiB in ${seconds.toFixed(1)} s, ${again.toFixed(1)} MiB sent twice, ${memory.join(' and ')} MiB above idle before and after the kill`,
    )
    // what was not saved yet, and what the connections held
    assert.ok(again < 12 + size / mebibyte / 256, `${again} MiB were sent twice`)
    assert.ok(Math.max(...memory) <= 120, `${memory.join(', ')} MiB above idle`)
    assert.equal(await digestOf(blob), upstream.layer)
    // at the kill, for what was missing then, and at most one more for the client that waits far ahead
    assert.ok(upstream.requests <= 3, `${upstream.requests} requests`)
  })
})

describe('a large blob through a mirror', () => {
  const size = Number(process.env['IPDR_TEST_BLOB_MIB'] ?? 256) * mebibyte

  it('takes no more memory than a small one', async t => {
    await using upstream = new SlowRegistry(size)
    const url = await upstream.start()
    await using server = await ServerProcess.start({ args: ['--upstream', `up.test=${url}`] })
    await (await fetch(`${server.url}/v2/up.test/model/manifests/v1`)).arrayBuffer()
    const idle = (await server.memory()).now
    await server.resetPeak()
    assert.equal(await digestOf(`${server.url}/v2/up.test/model/blobs/${upstream.layer}`), upstream.layer)
    const { peak } = await server.memory()
    t.diagnostic(`${size / mebibyte} MiB: ${Math.round((peak - idle) / mebibyte)} MiB above idle`)
    assert.ok(peak - idle < 120 * mebibyte, `${(peak - idle) / mebibyte} MiB`)
  })
})
