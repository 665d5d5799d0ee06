import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { assertError, json, TestApp } from '../fixtures/app.ts'
import { FakeUpstream } from '../fixtures/fake-upstream.ts'
import { sha256 } from '../fixtures/images.ts'
import { descriptorOf, encode, ociIndex, ociManifest } from '../fixtures/manifests.ts'
import { addImage } from '../fixtures/mirrored-image.ts'
import { until } from '../fixtures/until.ts'
import { ipdr } from '../unit/cli/ipdr.ts'

const mebibyte = 1024 * 1024
const alpine = '/v2/docker.io/library/alpine'
const onlyCached = { 'Cache-Control': 'only-if-cached' }

describe('what a mirror has', () => {
  it('is all that only-if-cached asks for', async () => {
    const upstream = new FakeUpstream()
    const image = addImage(upstream, 'library/alpine', '3', [100])
    addImage(upstream, 'library/alpine', 'edge', [100])
    await using app = await TestApp.start({ upstreams: [upstream] })
    assertError(await app.get(`${alpine}/manifests/3`, onlyCached), 'MANIFEST_UNKNOWN')
    assertError(await app.get(`${alpine}/tags/list`, onlyCached), 'NAME_UNKNOWN')
    assertError(await app.get(`${alpine}/blobs/${sha256(image.config)}`, onlyCached), 'BLOB_UNKNOWN')
    assert.deepEqual(json(await app.get(`${alpine}/referrers/${image.digest}`, onlyCached)), {
      schemaVersion: 2,
      mediaType: ociIndex,
      manifests: [],
    })
    assert.deepEqual(upstream.requests, [])
    await app.get(`${alpine}/manifests/3`)
    await app.get(`${alpine}/blobs/${sha256(image.config)}`)
    const asked = upstream.requests.length
    assert.deepEqual((await app.get(`${alpine}/manifests/3`, onlyCached)).body, image.manifest)
    assert.deepEqual(json(await app.get(`${alpine}/tags/list`, onlyCached)), {
      name: 'docker.io/library/alpine',
      tags: ['3'],
    })
    assert.deepEqual((await app.get(`${alpine}/blobs/${sha256(image.config)}`, onlyCached)).body, image.config)
    assert.equal(upstream.requests.length, asked)
  })

  it('is what ipdr ls lists, with how much is here of what is on its way', async () => {
    const upstream = new FakeUpstream()
    const image = addImage(upstream, 'library/model', '1', [9 * mebibyte, 1000])
    addImage(upstream, 'library/model', '2', [100])
    const platform = { os: 'linux', architecture: 'amd64' }
    const manifests = [
      { ...descriptorOf(image.manifest, ociManifest), platform },
      { ...descriptorOf(encode({}), ociManifest), platform: { ...platform, architecture: 'arm64' } },
    ]
    const index = encode({ schemaVersion: 2, mediaType: ociIndex, manifests })
    upstream.addManifest('library/model', '1', index, ociIndex)
    const held = Promise.withResolvers<void>()
    upstream.beforeChunk = async position => {
      await (position < 4 * mebibyte ? undefined : held.promise)
    }
    await using app = await TestApp.start({ upstreams: [upstream] })
    const model = '/v2/docker.io/library/model'
    await app.get(`${model}/manifests/1`)
    await app.get(`${model}/manifests/${sha256(image.manifest)}`)
    const pulled = app.get(`${model}/blobs/${sha256(image.layers[0]!)}`)
    const listed = async (...flags: string[]) =>
      await ipdr(['ls', '--docker-registry-host', `127.0.0.1:${app.port}`, ...flags])
    const state = await until('4 MiB are here', async () => {
      const { fetching } = JSON.parse((await listed('--json')).out)[0]
      return fetching?.here === 4 * mebibyte ? fetching : undefined
    })
    assert.deepEqual(state, { here: 4 * mebibyte, size: 9 * mebibyte + 1000 + image.config.byteLength })
    const asked = upstream.requests.length
    assert.match(
      (await listed()).out,
      /^REPOSITORY +TAG +SIZE +CID +STATE\ndocker.io\/library\/model +1 +9.0 MiB +bafy\w+ +fetching 44 % of 9.0 MiB\n$/,
    )
    assert.equal(upstream.requests.length, asked)
    held.resolve()
    assert.deepEqual((await pulled).body, image.layers[0])
    await until('it is here', async () => !(await listed()).out.includes('STATE'))
  })
})
