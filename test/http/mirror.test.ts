import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { TestApp, assertError, json } from '../fixtures/app.ts'
import { FakeUpstream } from '../fixtures/fake-upstream.ts'
import { sha256 } from '../fixtures/images.ts'
import { addImage } from '../fixtures/mirrored-image.ts'
import { ociManifest } from '../fixtures/manifests.ts'
import { until } from '../fixtures/until.ts'

const mebibyte = 1024 * 1024

describe('an image of another registry', () => {
  for (const [how, path] of [
    ['by ns', (rest: string) => `/v2/library/alpine/${rest}?ns=docker.io`],
    ['by name', (rest: string) => `/v2/docker.io/library/alpine/${rest}`],
    ['by its short name', (rest: string) => `/v2/docker.io/alpine/${rest}`],
    ['by its short name and ns', (rest: string) => `/v2/alpine/${rest}?ns=docker.io`],
    ['as a fallback', (rest: string) => `/v2/alpine/${rest}`],
  ] as const) {
    it(`is pulled ${how}, byte for byte, and kept`, async () => {
      const upstream = new FakeUpstream()
      const image = addImage(upstream, 'library/alpine', 'latest', [3 * mebibyte + 5, 100])
      await using app = await TestApp.start({ upstreams: [upstream], mirror: { fallback: 'docker.io' } })
      const manifest = await app.get(path('manifests/latest'))
      assert.deepEqual([manifest.status, manifest.body], [200, image.manifest])
      assert.equal(manifest.headers['docker-content-digest'], image.digest)
      assert.equal(manifest.headers['content-type'], ociManifest)
      assert.equal(manifest.headers['x-ipdr-source'], 'upstream')
      assert.match(String(manifest.headers['server-timing']), /^upstream;dur=\d+\.\d$/)
      assert.equal(manifest.headers['oci-namespace'], how.endsWith('ns') ? 'docker.io' : undefined)
      for (const blob of [image.config, ...image.layers]) {
        const reply = await app.get(path(`blobs/${sha256(blob)}`))
        assert.deepEqual([reply.status, reply.headers['x-ipdr-source']], [200, 'upstream'])
        assert.match(String(reply.headers['server-timing']), /^upstream;dur=\d+\.\d$/)
        assert.deepEqual(reply.body, blob)
      }
      await until('all is linked', async () => {
        const blobs = [image.config, ...image.layers].map(sha256)
        const linked = blobs.map(async digest => await app.stores.index.isLinked('docker.io/library/alpine', digest))
        return (await Promise.all(linked)).every(Boolean)
      })
      upstream.down = 'unreachable'
      const again = await app.get(path('manifests/latest'))
      assert.deepEqual([again.body, again.headers['x-ipdr-source']], [image.manifest, 'disk'])
      assert.equal(again.headers['server-timing'], undefined)
      const layer = await app.get(path(`blobs/${sha256(image.layers[0]!)}`))
      assert.deepEqual([layer.body, layer.headers['x-ipdr-source']], [image.layers[0], 'disk'])
      assert.deepEqual(upstream.asked('blob'), 3)
    })
  }

  it('is no other registry than those that are listed', async () => {
    const upstream = new FakeUpstream()
    await using app = await TestApp.start({ upstreams: [upstream] })
    const detail = assertError(await app.get('/v2/library/alpine/manifests/latest?ns=quay.io'), 'NAME_UNKNOWN')
    assert.equal(detail?.['ns'], 'quay.io')
    assert.match(String(detail?.['reason']), /not among its upstreams/)
    assert.deepEqual(upstream.requests, [])
  })

  it('is not asked for at the fallback under a name that begins with the host of another', async () => {
    const upstream = new FakeUpstream()
    await using app = await TestApp.start({ upstreams: [upstream], mirror: { fallback: 'docker.io' } })
    for (const host of ['quay.io', '10.0.0.1_5000', 'localhost', 'localhost_5000']) {
      const reply = await app.get(`/v2/${host}/team/app/manifests/v1`)
      const { errors } = json(reply) as { errors: unknown }
      // docker and podman show nothing but the message
      const message = `${host} is not mirrored: it is not among the upstreams of this registry`
      const detail = { name: `${host}/team/app`, tag: 'v1' }
      assert.deepEqual([reply.status, errors], [404, [{ code: 'MANIFEST_UNKNOWN', message, detail }]])
      assert.deepEqual(json(await app.get(`/v2/${host}/team/app/referrers/${sha256(Buffer.alloc(1))}`)), {
        schemaVersion: 2,
        mediaType: 'application/vnd.oci.image.index.v1+json',
        manifests: [],
      })
    }
    assert.deepEqual(upstream.requests, [])
    await app.stores.pushBlob('quay.io/team/app', Buffer.from('own'))
    assert.equal((await app.get(`/v2/quay.io/team/app/blobs/${sha256(Buffer.from('own'))}`)).status, 200)
  })

  it('is not written to', async () => {
    const upstream = new FakeUpstream()
    const { digest, manifest } = addImage(upstream, 'library/alpine', 'latest', [100])
    await using app = await TestApp.start({ upstreams: [upstream] })
    for (const [method, path] of [
      ['PUT', '/v2/docker.io/library/alpine/manifests/latest'],
      ['PUT', '/v2/library/alpine/manifests/latest?ns=docker.io'],
      ['POST', '/v2/docker.io/library/alpine/blobs/uploads/'],
      ['POST', '/v2/library/alpine/blobs/uploads/?ns=docker.io'],
      ['PATCH', '/v2/library/alpine/blobs/uploads/x?ns=docker.io'],
      ['DELETE', `/v2/docker.io/library/alpine/manifests/${digest}`],
      ['DELETE', `/v2/library/alpine/blobs/${digest}?ns=docker.io`],
    ] as const) {
      const reply = await app.request(method, path, { headers: { 'Content-Type': ociManifest }, body: manifest })
      assert.equal(assertError(reply, 'DENIED')?.['upstream'], 'docker.io', `${method} ${path}`)
    }
    assert.equal((await app.pushBlob('alpine', manifest)).status, 201)
  })

  it('is there by its tag while upstream is down, for who asked by HEAD and then by digest, as containerd does', async () => {
    const upstream = new FakeUpstream()
    const image = addImage(upstream, 'library/alpine', 'latest', [100])
    const second = addImage(upstream, 'library/alpine', 'second', [100])
    upstream.tagged.set('library/alpine:other', image.digest)
    await using app = await TestApp.start({ upstreams: [upstream] })
    const at = (reference: string): string => `/v2/docker.io/library/alpine/manifests/${reference}`
    const head = async (tag: string): Promise<unknown> =>
      (await app.request('HEAD', at(tag))).headers['docker-content-digest']
    assert.equal(await head('latest'), image.digest)
    // what was told of it counts no more once it has moved
    upstream.tagged.set('library/alpine:latest', second.digest)
    assert.equal(await head('latest'), second.digest)
    assert.equal((await app.get(at(image.digest))).status, 200)
    assert.equal((await app.get(at(second.digest))).status, 200)
    // the manifest is here already
    assert.equal(await head('other'), image.digest)
    const asked = upstream.requests.length
    upstream.down = 'unreachable'
    for (const [tag, digest] of [
      ['latest', second.digest],
      ['other', image.digest],
    ] as const) {
      assert.equal(await head(tag), digest)
      const reply = await app.get(at(tag))
      assert.deepEqual([reply.status, sha256(reply.body), reply.headers['x-ipdr-source']], [200, digest, 'disk'])
    }
    assert.equal((await app.get(at('second'))).status, 503)
    assert.equal(upstream.requests.length, asked + 1)
  })

  it('is not taken for what a tag was before it was fetched by the tag', async () => {
    const upstream = new FakeUpstream()
    const before = addImage(upstream, 'library/alpine', 'latest', [100], 'before')
    await using app = await TestApp.start({ upstreams: [upstream] })
    const at = (reference: string): string => `/v2/docker.io/library/alpine/manifests/${reference}`
    await app.request('HEAD', at('latest'))
    const after = addImage(upstream, 'library/alpine', 'latest', [100], 'after')
    assert.equal(sha256((await app.get(at('latest'))).body), after.digest)
    assert.equal(sha256((await app.get(at(before.digest))).body), before.digest)
    assert.equal(sha256((await app.get(at('latest'))).body), after.digest)
  })

  it('is listed as at the other registry', async () => {
    const upstream = new FakeUpstream()
    for (const tag of ['b', 'a', 'c']) {
      addImage(upstream, 'library/alpine', tag, [])
    }
    await using app = await TestApp.start({ upstreams: [upstream] })
    const first = await app.get('/v2/library/alpine/tags/list?ns=docker.io&n=2')
    assert.deepEqual(json(first), { name: 'docker.io/library/alpine', tags: ['a', 'b'] })
    assert.match(String(first.headers.link), /ns=docker.io/)
  })
})

describe('ten clients that ask for an image at once', () => {
  it('cause one request for each part of it', async () => {
    const upstream = new FakeUpstream()
    const image = addImage(upstream, 'library/alpine', 'latest', [5 * mebibyte])
    await using app = await TestApp.start({ upstreams: [upstream] })
    await Promise.all(
      Array.from({ length: 10 }, async () => {
        const { body } = await app.get('/v2/library/alpine/manifests/latest?ns=docker.io')
        assert.deepEqual(body, image.manifest)
        for (const blob of [image.config, ...image.layers]) {
          assert.deepEqual((await app.get(`/v2/library/alpine/blobs/${sha256(blob)}?ns=docker.io`)).body, blob)
        }
      }),
    )
    assert.deepEqual(upstream.requests, ['GET library/alpine:latest', 'blob -', 'blob -'])
    assert.equal(upstream.sent, image.config.byteLength + 5 * mebibyte)
  })
})
