/** What the mirror asks of an upstream, answered by registries that keep to the specification */
import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { RegistryClient } from '../../../src/remote/registry/registry-client.ts'
import type { UpstreamBody } from '../../../src/registry/upstream.ts'
import { TestApp } from '../../fixtures/app.ts'
import { fakeServer } from '../../fixtures/fake-server.ts'
import { randomBytes, sha256 } from '../../fixtures/images.ts'
import { descriptorOf, emptyJson, imageManifest, ociManifest, sha512 } from '../../fixtures/manifests.ts'
import { readAll, stream } from '../../fixtures/registry.ts'
import { temporaryDirectory } from '../../fixtures/temporary.ts'
import { openUpstream } from '../../fixtures/upstreams.ts'

const blob = randomBytes(300_000, 'blob')
const manifest = imageManifest({ layers: [descriptorOf(blob)] })

async function pushImage(host: string): Promise<void> {
  const client = await RegistryClient.open({ host })
  for (const bytes of [blob, emptyJson]) {
    await client.pushBlob('a/b', { digest: sha256(bytes), size: bytes.length }, () => stream(bytes))
  }
  await client.pushManifest('a/b', 'v1', manifest, ociManifest)
}

async function textOf(body: UpstreamBody | undefined): Promise<Buffer> {
  return await readAll(body!.bytes)
}

describe('an upstream', () => {
  it('gives manifests, blobs and their parts, tags and referrers', async () => {
    await using app = await TestApp.start()
    await pushImage(`127.0.0.1:${app.port}`)
    await using opened = openUpstream(`http://127.0.0.1:${app.port}`)
    const { upstream } = opened
    const found = { digest: sha256(manifest), mediaType: ociManifest }
    for (const reference of ['v1', sha256(manifest)]) {
      assert.deepEqual(await upstream.headManifest('a/b', reference, {}), { ...found, size: manifest.length })
      const got = await upstream.manifest('a/b', reference, {})
      assert.deepEqual({ ...got, bytes: Buffer.from(got!.bytes) }, { ...found, bytes: manifest })
    }
    const size = blob.length
    for (const [part, start, end] of [
      [{}, 0, size - 1],
      [{ start: 0 }, 0, size - 1],
      [{ start: 1000 }, 1000, size - 1],
      [{ start: 1000, end: 1999 }, 1000, 1999],
      [{ start: 299_999, end: 10_000_000, size }, 299_999, size - 1],
      [{ end: 0 }, 0, 0],
    ] as const) {
      const body = await upstream.blob('a/b', sha256(blob), part)
      assert.deepEqual([body!.start, body!.size], [start, size])
      assert.deepEqual(await textOf(body), blob.subarray(start, end + 1))
    }
    assert.deepEqual(await upstream.tags('a/b', {}), ['v1'])
    assert.deepEqual(await upstream.referrers('a/b', sha256(manifest), {}), [])
  })

  it('gives nothing where there is nothing', async () => {
    await using app = await TestApp.start()
    await using opened = openUpstream(`http://127.0.0.1:${app.port}`)
    const { upstream } = opened
    assert.equal(await upstream.headManifest('a/b', 'v1', {}), undefined)
    assert.equal(await upstream.manifest('a/b', sha256(manifest), {}), undefined)
    assert.equal(await upstream.blob('a/b', sha256(blob), { start: 5 }), undefined)
    assert.equal(await upstream.tags('a/b', {}), undefined)
  })

  it('is asked by GET where HEAD does not tell the digest', async () => {
    await using server = await fakeServer(({ method }, res) => {
      res.writeHead(200, { 'Content-Type': `${ociManifest}; charset=utf-8` }).end(method === 'GET' ? manifest : '')
    })
    await using opened = openUpstream(server.url)
    assert.deepEqual(await opened.upstream.headManifest('a', 'v1', {}), {
      digest: sha256(manifest),
      mediaType: ociManifest,
      size: manifest.length,
    })
    assert.deepEqual(
      server.requests.map(({ method }) => method),
      ['HEAD', 'GET'],
    )
  })

  it('may know a manifest by a digest of another algorithm', async () => {
    await using server = await fakeServer((_, res) => {
      res.writeHead(200, { 'Docker-Content-Digest': sha512(manifest) }).end(manifest)
    })
    await using opened = openUpstream(server.url)
    assert.equal((await opened.upstream.manifest('a', 'v1', {}))?.digest, sha512(manifest))
    assert.equal((await opened.upstream.manifest('a', sha256(manifest), {}))?.digest, sha256(manifest))
  })

  it('may send a whole blob instead of a part', async () => {
    await using server = await fakeServer((_, res) => res.end(blob))
    await using opened = openUpstream(server.url)
    const body = await opened.upstream.blob('a', sha256(blob), { start: 1000, end: 2000 })
    assert.deepEqual([body!.start, body!.size], [0, blob.length])
    assert.deepEqual(await textOf(body), blob)
  })

  it('has lists of several pages', async () => {
    await using server = await fakeServer(({ url }, res) => {
      const last = /last=(\d)/.exec(url)?.[1] ?? '0'
      const next = Number(last) + 1
      if (next < 4) {
        res.setHeader('Link', `</v2/a/tags/list?last=${next}>; rel="next"`)
      }
      res.end(JSON.stringify({ tags: [`v${next}`, '!not-a-tag', 5] }))
    })
    await using opened = openUpstream(server.url)
    assert.deepEqual(await opened.upstream.tags('a', {}), ['v1', 'v2', 'v3', 'v4'])
  })

  it('sees who passed a request on', async () => {
    await using server = await fakeServer((_, res) => res.writeHead(404).end())
    await using opened = openUpstream(server.url, { instance: 'ipdr-me' })
    await opened.upstream.manifest('a', 'v1', {})
    await opened.upstream.manifest('a', 'v1', { via: '1.1 ipdr-other (ipdr)' })
    assert.deepEqual(
      server.requests.map(({ headers }) => headers.via),
      ['1.1 ipdr-me (ipdr)', '1.1 ipdr-other (ipdr), 1.1 ipdr-me (ipdr)'],
    )
  })

  it('is counted', async () => {
    await using server = await fakeServer(({ url }, res) => {
      res.setHeader('RateLimit-Remaining', '76;w=21600')
      if (url.includes('manifests')) {
        res.writeHead(404).end()
      } else {
        res.end(blob)
      }
    })
    await using opened = openUpstream(server.url)
    await opened.upstream.manifest('a', 'v1', {})
    await textOf(await opened.upstream.blob('a', sha256(blob), {}))
    const values = [
      'requests_total{upstream="up.test",status="404"}',
      'requests_total{upstream="up.test",status="200"}',
    ]
    assert.deepEqual(await Promise.all(values.map(async name => await opened.metric(`ipdr_upstream_${name}`))), [1, 1])
    assert.equal(await opened.metric('ipdr_upstream_bytes_total{upstream="up.test"}'), blob.length)
    assert.equal(await opened.metric('ipdr_upstream_rate_limit_remaining{upstream="up.test"}'), 76)
  })

  it('sends no faster than it may', async () => {
    await using server = await fakeServer((_, res) => res.end(blob))
    await using opened = openUpstream(server.url, { maxRate: 400_000 })
    const began = performance.now()
    await textOf(await opened.upstream.blob('a', sha256(blob), {}))
    const took = performance.now() - began
    assert.ok(took > 600 && took < 3000, `${took} ms`)
  })

  it('gets so many requests at a time, and a body that nobody reads takes no place for long', async () => {
    await using server = await fakeServer((_, res) => res.end(blob))
    await using opened = openUpstream(server.url, { maxRequests: 1, timeout: 300 })
    const first = await opened.upstream.blob('a', sha256(blob), {})
    const second = opened.upstream.blob('a', sha256(blob), {})
    assert.deepEqual(await textOf(first), blob)
    const controller = new AbortController()
    const third = opened.upstream.blob('a', sha256(blob), { signal: controller.signal })
    controller.abort(new Error('client gone'))
    await assert.rejects(third, /client gone/)
    await second
    // nobody reads the second: its place is free again after the timeout
    assert.deepEqual(await textOf(await opened.upstream.blob('a', sha256(blob), {})), blob)
  })

  it('is given up when the client goes away, and when the appliance stops', async () => {
    await using server = await fakeServer((_, res) => res.writeHead(200).write(blob))
    const opened = openUpstream(server.url)
    const controller = new AbortController()
    const aborted = textOf(await opened.upstream.blob('a', sha256(blob), { signal: controller.signal }))
    const stopped = textOf(await opened.upstream.blob('a', sha256(blob), {}))
    controller.abort(new Error('client gone'))
    await assert.rejects(aborted, /client gone/)
    const cut = assert.rejects(stopped, { name: 'UpstreamError', reason: 'unreachable' })
    await opened[Symbol.asyncDispose]()
    await cut
    await assert.rejects(opened.upstream.manifest('a', 'v1', {}), { name: 'UpstreamError', reason: 'unreachable' })
  })
})

describe('the log-in of an upstream', () => {
  const challenge = { 'WWW-Authenticate': 'Basic realm="x"' }
  const wanted = `Basic ${Buffer.from('ann:a:b').toString('base64')}`

  it('is read from a file anew when it is refused', async () => {
    await using directory = await temporaryDirectory()
    const file = join(directory.path, 'log-in')
    await using server = await fakeServer(({ headers }, res) => {
      res.writeHead(headers.authorization === wanted ? 404 : 401, challenge).end()
    })
    await using opened = openUpstream(server.url, { credentials: { file } })
    await writeFile(file, 'ann:old\n')
    await assert.rejects(opened.upstream.manifest('a', 'v1', {}), {
      reason: 'denied',
      message: 'up.test denies access: it answered 401',
    })
    await writeFile(file, 'ann:a:b\n')
    assert.equal(await opened.upstream.manifest('a', 'v1', {}), undefined)
    for (const text of ['nonsense', '{']) {
      await writeFile(file, text)
      await assert.rejects(opened.upstream.manifest('c', 'v1', {}), {
        reason: 'denied',
        message: 'up.test is not asked: its log-in cannot be read',
      })
    }
  })

  it('may be in the configuration of Docker, under the host of the URL or the name', async () => {
    await using directory = await temporaryDirectory()
    const file = join(directory.path, 'config.json')
    await using server = await fakeServer(({ headers }, res) => {
      res.writeHead(headers.authorization === wanted ? 404 : 401, challenge).end()
    })
    const auth = { auth: Buffer.from('ann:a:b').toString('base64') }
    const named = [server.host, 'up.test', 'https://index.docker.io/v1/']
    for (const key of named) {
      await writeFile(file, JSON.stringify({ auths: { [key]: auth } }))
      const name = key.startsWith('https') ? 'docker.io' : 'up.test'
      await using opened = openUpstream(server.url, { name, credentials: { file } })
      assert.equal(await opened.upstream.manifest('a', 'v1', {}), undefined, key)
    }
  })
})
