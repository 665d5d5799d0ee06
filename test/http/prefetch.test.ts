import assert from 'node:assert/strict'
import { request } from 'node:http'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { Administration } from '../../src/upkeep/administration.ts'
import { authorized, json, TestApp } from '../fixtures/app.ts'
import { FakeUpstream } from '../fixtures/fake-upstream.ts'
import { makeImage, sha256 } from '../fixtures/images.ts'
import { temporaryDirectory } from '../fixtures/temporary.ts'
import { TestAppliance } from '../fixtures/appliance.ts'
import { ipdr } from '../unit/cli/ipdr.ts'
import { addImage } from '../fixtures/mirrored-image.ts'
import { until } from '../fixtures/until.ts'

const mebibyte = 1024 * 1024
const name = 'docker.io/library/alpine:3'
const headers = { ...authorized, 'Content-Type': 'application/json' }

async function start(upstreams: FakeUpstream[]): Promise<TestApp> {
  let app: TestApp | undefined
  const mirroring =
    upstreams.length === 0
      ? undefined
      : {
          prefetcher: {
            prefetch: async (...args: Parameters<Administration['prefetch']>) =>
              await app!.stores.mirroring!.prefetcher.prefetch(...args),
          },
        }
  const administration = new Administration({ mirroring } as never)
  app = await TestApp.start({ upstreams, administration, mirror: { idleTime: 10 } })
  return app
}

describe('POST /ipdr/v1/prefetch', () => {
  it('fetches images, and tells how far it is', async () => {
    const upstream = new FakeUpstream()
    const image = addImage(upstream, 'library/alpine', '3', [4 * mebibyte])
    upstream.rate = 2 * mebibyte
    await using app = await start([upstream])
    const body = JSON.stringify({ names: [name] })
    const reply = await app.request('POST', '/ipdr/v1/prefetch', { headers, body })
    const lines = String(reply.body)
      .trimEnd()
      .split('\n')
      .map(line => JSON.parse(line))
    assert.equal(reply.status, 200)
    assert.equal(
      lines.some(line => line.progress?.image === name && line.progress.bytes > 0),
      true,
    )
    const { images, problems } = lines.at(-1).result
    assert.deepEqual([images[0].digest, problems], [image.digest, []])
    upstream.down = 'unreachable'
    const layer = await app.get(`/v2/docker.io/library/alpine/blobs/${sha256(image.layers[0]!)}`)
    assert.deepEqual([layer.body, layer.headers['x-ipdr-source']], [image.layers[0], 'disk'])
  })

  it('ends when the client disconnects', async () => {
    const upstream = new FakeUpstream()
    addImage(upstream, 'library/alpine', '3', [40 * mebibyte])
    upstream.rate = 4 * mebibyte
    await using app = await start([upstream])
    const req = request({ port: app.port, host: '127.0.0.1', method: 'POST', path: '/ipdr/v1/prefetch', headers })
    req.on('error', () => {})
    req.end(JSON.stringify({ names: [name] }))
    await until('it comes', () => upstream.sent > mebibyte)
    req.destroy()
    await until('it stands still', async () => {
      const { sent } = upstream
      await sleep(200)
      return upstream.sent === sent
    })
    assert.ok(upstream.sent < 20 * mebibyte)
  })

  it('is what ipdr prefetch and the configuration have a server do', { timeout: 60_000 }, async () => {
    await using directory = await temporaryDirectory('prefetch')
    await using elsewhere = await TestAppliance.start(join(directory.path, 'elsewhere'))
    const { content, descriptor } = makeImage([{ file: Buffer.from('content') }])
    for (const [digest, bytes] of content) {
      await (digest === descriptor.digest ? undefined : elsewhere.client.pushBlob('team/app', bytes))
    }
    for (const tag of ['v1', 'v2']) {
      await elsewhere.client.pushManifest('team/app', tag, content.get(descriptor.digest)!)
    }
    const dataDir = join(directory.path, 'mirror')
    await using mirror = await TestAppliance.start(dataDir, {
      upstreams: { 'a.example': { url: elsewhere.url, prefetch: { names: ['team/app:v2'], every: '1m' } } },
    })
    const { code, err, out } = await ipdr(['prefetch', 'a.example/team/app:v1', '--data-dir', dataDir, '--json'])
    assert.deepEqual([code, err], [0, ''])
    assert.equal(JSON.parse(out).images[0].digest, descriptor.digest)
    assert.match(
      (await ipdr(['prefetch', 'b.example/team/app', '--data-dir', dataDir])).err,
      /is not below an upstream/,
    )
    await until('the schedule has the other tag here', async () => {
      const listed = await ipdr(['ls', '--docker-registry-host', mirror.url, '--json'])
      return JSON.parse(listed.out).length === 2
    })
    assert.match(mirror.log, /image prefetched/)
  })

  const upstream = new FakeUpstream()
  for (const [what, upstreams, body, status, error] of [
    [
      'a name below no upstream',
      [upstream],
      { names: ['quay.io/a'] },
      404,
      /quay.io\/a is not below an upstream \(docker.io\)/,
    ],
    ['no names', [upstream], {}, 400, /names must be a list of texts/],
    ['names that are none', [upstream], { names: [1] }, 400, /names must be a list of texts/],
    ['a platform that is none', [upstream], { names: [name], platforms: ['x'] }, 400, /x is not a platform such as/],
    ['a registry that mirrors none', [], { names: [name] }, 405, /the configuration lists no upstreams/],
  ] as const) {
    it(`refuses ${what}`, async () => {
      await using app = await start([...upstreams])
      const reply = await app.request('POST', '/ipdr/v1/prefetch', { headers, body: JSON.stringify(body) })
      assert.equal(reply.status, status)
      assert.match((json(reply) as { error: string }).error, error)
    })
  }

  it('refuses while the registry is read-only', async () => {
    await using app = await start([upstream])
    await app.stores.readOnly.turnOn('moving')
    const body = JSON.stringify({ names: [name] })
    const reply = await app.request('POST', '/ipdr/v1/prefetch', { headers, body })
    assert.deepEqual([reply.status, json(reply)], [405, { error: 'the registry is read-only: moving' }])
  })
})
