import assert from 'node:assert/strict'
import { once } from 'node:events'
import { get, type IncomingMessage } from 'node:http'
import { describe, it } from 'node:test'
import { assertError, TestApp } from '../fixtures/app.ts'
import { FakeUpstream } from '../fixtures/fake-upstream.ts'
import { sha256 } from '../fixtures/images.ts'
import { addImage, type MirroredImage } from '../fixtures/mirrored-image.ts'
import { ociManifest } from '../fixtures/manifests.ts'
import { until } from '../fixtures/until.ts'

const mebibyte = 1024 * 1024
const repository = 'docker.io/library/alpine'

function setUp(...sizes: number[]): { upstream: FakeUpstream; image: MirroredImage; layer: Buffer; path: string } {
  const upstream = new FakeUpstream()
  const image = addImage(upstream, 'library/alpine', 'latest', sizes)
  const layer = image.layers[0]!
  return { upstream, image, layer, path: `/v2/${repository}/blobs/${sha256(layer)}` }
}

/** Holds up an upstream before it sends the byte at a position, until it is told to go on */
function gateAt(upstream: FakeUpstream, position: number): () => void {
  const { promise, resolve } = Promise.withResolvers<void>()
  upstream.beforeChunk = async (at, signal) => {
    if (at >= position) {
      const aborted = Promise.withResolvers<never>()
      aborted.promise.catch(() => {})
      signal?.addEventListener('abort', () => {
        aborted.reject(signal.reason)
      })
      await Promise.race([promise, aborted.promise])
    }
  }
  return resolve
}

async function begin(app: TestApp, path: string, headers: Record<string, string> = {}): Promise<IncomingMessage> {
  const [res] = await once(get({ host: '127.0.0.1', port: app.port, path, headers, agent: false }), 'response')
  return res
}

async function pullManifest(app: TestApp): Promise<void> {
  assert.equal((await app.get(`/v2/${repository}/manifests/latest`)).status, 200)
}

describe('a blob that is on its way', () => {
  it('goes to the client as it comes, before a leaf is whole', async () => {
    const { layer, path, upstream } = setUp(3 * mebibyte)
    const goOn = gateAt(upstream, 192 * 1024)
    await using app = await TestApp.start({ upstreams: [upstream] })
    await pullManifest(app)
    const res = await begin(app, path)
    assert.deepEqual([res.statusCode, res.headers['x-ipdr-source']], [200, 'upstream'])
    const chunks: Buffer[] = []
    res.on('data', chunk => chunks.push(chunk))
    await until('the first bytes', () => Buffer.concat(chunks).byteLength === 192 * 1024)
    goOn()
    await once(res, 'end')
    assert.ok(Buffer.concat(chunks).equals(layer))
  })

  it('is read by ranges, which come by requests of their own where they are far ahead', async () => {
    const { layer, path, upstream } = setUp(64 * mebibyte)
    let isSlow = true
    upstream.beforeChunk = async (at, signal) => {
      // whoever begins at the first byte gets no further for now
      while (isSlow && at < 40 * mebibyte) {
        await new Promise(resolve => setTimeout(resolve, 10))
        signal?.throwIfAborted()
      }
    }
    await using app = await TestApp.start({ upstreams: [upstream] })
    await pullManifest(app)
    const whole = app.get(path)
    const part = await app.get(path, { Range: `bytes=${40 * mebibyte + 7}-${42 * mebibyte}` })
    assert.equal(part.status, 206)
    assert.ok(part.body.equals(layer.subarray(40 * mebibyte + 7, 42 * mebibyte + 1)))
    assert.equal(part.headers['x-ipdr-source'], 'upstream')
    isSlow = false
    assert.ok((await whole).body.equals(layer))
  })

  it('goes on for others where one client goes away', async () => {
    const { layer, path, upstream } = setUp(8 * mebibyte)
    const goOn = gateAt(upstream, 2 * mebibyte)
    await using app = await TestApp.start({ upstreams: [upstream], mirror: { idleTime: 200 } })
    await pullManifest(app)
    const first = await begin(app, path)
    const second = app.get(path)
    await once(first, 'data')
    first.destroy()
    goOn()
    assert.ok((await second).body.equals(layer))
    assert.deepEqual(upstream.requests, ['GET library/alpine:latest', 'blob -'])
  })

  it('does not go on for nobody, and goes on where it was once somebody asks', async () => {
    const { layer, path, upstream } = setUp(16 * mebibyte)
    upstream.rate = 20 * mebibyte
    await using app = await TestApp.start({ upstreams: [upstream], mirror: { idleTime: 20 } })
    await pullManifest(app)
    const first = await begin(app, path)
    first.resume()
    await until('some leaves', () => upstream.sent > 4 * mebibyte)
    first.destroy()
    await until('the end of the fetch', async () => {
      const [fetch] = await Array.fromAsync(app.stores.index.fetches())
      return fetch?.record.active === false
    })
    const sent = upstream.sent
    assert.ok(sent < 8 * mebibyte, `${sent}`)
    upstream.rate = 0
    assert.ok((await app.get(path)).body.equals(layer))
    assert.ok(upstream.sent < 17.2 * mebibyte, `${upstream.sent}`)
  })

  it('is resumed by a range from the byte where upstream broke off', async () => {
    const { layer, path, upstream } = setUp(4 * mebibyte)
    const breaks = new Set([3, 20, 40].map(chunk => chunk * upstream.chunkSize))
    upstream.beforeChunk = at => {
      if (breaks.delete(at)) {
        throw upstream.fail()
      }
    }
    await using app = await TestApp.start({ upstreams: [upstream] })
    await pullManifest(app)
    assert.ok((await app.get(path)).body.equals(layer))
    assert.equal(upstream.sent, layer.byteLength)
    assert.deepEqual(
      upstream.requests.filter(request => request.startsWith('blob')),
      ['blob -', ...[3, 20, 40].map(chunk => `blob ${chunk * upstream.chunkSize}-${layer.byteLength - 1}`)],
    )
  })

  it('comes from an upstream that ignores ranges, too', async () => {
    const { layer, path, upstream } = setUp(20 * mebibyte)
    upstream.ignoresRanges = true
    const breaks = new Set([5 * mebibyte])
    upstream.beforeChunk = at => {
      if (breaks.delete(at)) {
        throw upstream.fail()
      }
    }
    await using app = await TestApp.start({ upstreams: [upstream] })
    await pullManifest(app)
    const [part, whole] = await Promise.all([
      app.get(path, { Range: `bytes=${15 * mebibyte}-${16 * mebibyte}` }),
      app.get(path),
    ])
    assert.ok(part.body.equals(layer.subarray(15 * mebibyte, 16 * mebibyte + 1)))
    assert.ok(whole.body.equals(layer))
  })

  it('goes on after a crash from the last whole leaves, by itself', async () => {
    const { layer, path, upstream } = setUp(64 * mebibyte)
    gateAt(upstream, 38 * mebibyte)
    await using app = await TestApp.start({ upstreams: [upstream] })
    await pullManifest(app)
    const res = await begin(app, path)
    let received = 0
    res.on('data', chunk => {
      received += chunk.byteLength
    })
    res.on('error', () => {})
    await until('60 %', () => received >= 37.9 * mebibyte)
    await until('the last save', async () => {
      const pieces = await Array.fromAsync(
        app.stores.index.fetchLeaves((await Array.fromAsync(app.stores.index.fetches()))[0]!.id),
      )
      return pieces.flatMap(({ hashes }) => [...hashes]).filter((byte, i) => i % 32 === 0 || byte > 0).length > 36 * 20
    })
    const before = upstream.sent
    upstream.beforeChunk = () => {}
    const crashed = app.stores.mirroring
    await app.stores.reopen()
    await until('the blob', async () => await app.stores.index.isLinked(repository, sha256(layer)), 20_000)
    const again = upstream.sent - before
    assert.ok(again <= (64 - 36 + 1) * mebibyte, `${again / mebibyte} MiB were sent again`)
    assert.deepEqual(await Array.fromAsync(app.stores.index.fetches()), [])
    res.destroy()
    await crashed?.stop().catch(() => {})
  })
})

describe('an upstream that is down', () => {
  it('leaves what is here, and a tag past its time is said to be stale', async () => {
    const { image, layer, path, upstream } = setUp(2 * mebibyte)
    upstream.tagTtl = 0
    await using app = await TestApp.start({ upstreams: [upstream] })
    await pullManifest(app)
    assert.ok((await app.get(path)).body.equals(layer))
    await until('the link', async () => await app.stores.index.isLinked(repository, sha256(layer)))
    for (const reason of ['unreachable', 'throttled', 'invalid'] as const) {
      upstream.down = reason
      for (const method of ['GET', 'HEAD']) {
        const reply = await app.request(method, `/v2/${repository}/manifests/latest`)
        assert.deepEqual([reply.status, reply.headers.warning], [200, '110 - "Response is Stale"'])
        assert.match(String(reply.headers.age), /^\d+$/)
      }
      const byDigest = await app.get(`/v2/${repository}/manifests/${image.digest}`)
      assert.deepEqual([byDigest.status, byDigest.headers.warning], [200, undefined])
      assert.ok((await app.get(path)).body.equals(layer))
      assert.equal((await app.get(`/v2/${repository}/tags/list`)).status, 200)
    }
    upstream.down = 'denied'
    assertError(await app.get(`/v2/${repository}/manifests/latest`).then(withoutMessage), 'DENIED')
    upstream.down = 'unreachable'
    assert.equal((await app.get(`/v2/${repository}/manifests/other`)).status, 503)
    const unknown = sha256(Buffer.from('unknown'))
    assert.equal((await app.get(`/v2/${repository}/blobs/${unknown}`)).status, 503)
  })

  it('is asked again once it is back, and a tag that it has deleted is gone', async () => {
    const { upstream } = setUp(100)
    upstream.tagTtl = 0
    await using app = await TestApp.start({ upstreams: [upstream] })
    await pullManifest(app)
    const moved = addImage(upstream, 'library/alpine', 'latest', [200], 'moved')
    const reply = await app.get(`/v2/${repository}/manifests/latest`)
    assert.deepEqual(reply.body, moved.manifest)
    upstream.tagged.clear()
    assertError(await app.get(`/v2/${repository}/manifests/latest`), 'MANIFEST_UNKNOWN')
    assert.equal(await app.stores.index.tag(repository, 'latest'), undefined)
    assert.equal((await app.get(`/v2/${repository}/manifests/${moved.digest}`)).status, 200)
  })
})

describe('an upstream that lies', () => {
  for (const [what, lie] of [
    ['in the first leaf', 0],
    ['in the last leaf', 3 * mebibyte],
  ] as const) {
    it(`gets nothing kept, and no client the whole blob, where it lies ${what}`, async () => {
      const { layer, path, upstream } = setUp(3 * mebibyte + 100)
      upstream.lie = (chunk, at) => (at === lie ? Buffer.from(chunk).fill(0) : chunk)
      await using app = await TestApp.start({ upstreams: [upstream] })
      await pullManifest(app)
      const reply = await app.get(path).catch((err: Error) => err)
      assert.ok(reply instanceof Error || reply.status === 502, 'neither broken off nor an error')
      await until('the end of the fetch', async () => {
        const fetches = await Array.fromAsync(app.stores.index.fetches())
        return fetches.length === 0
      })
      assert.equal(await app.stores.index.blob(sha256(layer)), undefined)
      assert.equal(await app.stores.index.isLinked(repository, sha256(layer)), false)
      upstream.lie = chunk => chunk
      assert.ok((await app.get(path)).body.equals(layer))
    })
  }

  it('is found out by the size that it tells', async () => {
    const { layer, path, upstream } = setUp(3 * mebibyte)
    await using app = await TestApp.start({ upstreams: [upstream] })
    await pullManifest(app)
    upstream.blobs.set(`library/alpine@${sha256(layer)}`, Buffer.concat([layer, layer]))
    const reply = await app.get(path)
    assert.equal(reply.status, 502)
    assert.match(String(reply.body), /docker\.io/)
  })

  it('gets no manifest kept that does not match its digest, and none that is no manifest', async () => {
    const { image, upstream } = setUp(100)
    upstream.manifests.set(`library/alpine@${image.digest}`, { bytes: Buffer.from('{}'), mediaType: ociManifest })
    const wrong = addImage(upstream, 'library/alpine', 'other', [100])
    void wrong
    const text = Buffer.from('no manifest')
    upstream.addManifest('library/alpine', 'text', text, ociManifest)
    await using app = await TestApp.start({ upstreams: [upstream] })
    for (const reference of [image.digest, 'latest', 'text']) {
      assert.equal((await app.get(`/v2/${repository}/manifests/${reference}`)).status, 502, reference)
    }
    assert.equal((await app.get(`/v2/${repository}/manifests/other`)).status, 200)
  })
})

describe('a HEAD', () => {
  it('costs no pull, and keeps nothing', async () => {
    const { image, layer, path, upstream } = setUp(2 * mebibyte)
    await using app = await TestApp.start({ upstreams: [upstream] })
    for (const reference of ['latest', image.digest]) {
      const reply = await app.request('HEAD', `/v2/${repository}/manifests/${reference}`)
      assert.deepEqual(
        [reply.status, reply.headers['docker-content-digest'], reply.headers['content-length']],
        [200, image.digest, String(image.manifest.byteLength)],
      )
    }
    const blob = await app.request('HEAD', path)
    assert.deepEqual([blob.status, blob.headers['content-length']], [200, String(layer.byteLength)])
    assert.equal(upstream.asked('GET'), 0)
    assert.ok(upstream.sent <= upstream.chunkSize)
    assert.equal(await app.stores.index.hasRepository(repository), false)
  })
})

function withoutMessage<T extends { body: Buffer }>(reply: T): T {
  const { errors } = JSON.parse(String(reply.body))
  errors[0].message = 'requested access to the resource is denied'
  const body = Buffer.from(JSON.stringify({ errors }))
  return {
    ...reply,
    body,
    headers: { ...(reply as never as { headers: object }).headers, 'content-length': String(body.byteLength) },
  }
}
