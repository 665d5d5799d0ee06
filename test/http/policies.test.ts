/** Policies as clients see them */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { json, TestApp } from '../fixtures/app.ts'
import { sha256 } from '../fixtures/images.ts'
import { emptyJson, imageManifest } from '../fixtures/manifests.ts'

const [first, second] = ['first', 'second'].map(name => imageManifest({ annotations: { name } })) as [Buffer, Buffer]

let app: TestApp
before(async () => {
  app = await TestApp.start({
    immutableTags: ['prod/**'],
    quotas: [{ repositories: ['small'], bytes: 100, tags: 1 }],
    deprecated: [
      { images: ['old/app:v1.*'], message: 'use v2' },
      { images: ['gone/**'], message: 'moved to app' },
    ],
  })
  await app.pushEmptyConfig('prod/app')
  assert.equal((await app.pushManifest('prod/app', 'v1', first)).status, 201)
})
after(async () => {
  await app[Symbol.asyncDispose]()
})

describe('an immutable tag', () => {
  const refusals: Array<[string, () => Promise<unknown>, string]> = [
    ['moved', async () => await app.pushManifest('prod/app', 'v1', second), 'it can be neither moved nor deleted'],
    [
      'moved by a push of another tag',
      async () => await app.pushManifest('prod/app', 'v2?tag=v1', second),
      'it can be neither moved nor deleted',
    ],
    [
      'deleted',
      async () => await app.request('DELETE', '/v2/prod/app/manifests/v1'),
      'it can be neither moved nor deleted',
    ],
    [
      'deleted with its manifest',
      async () => await app.request('DELETE', `/v2/prod/app/manifests/${sha256(first)}`),
      'what it needs can not be deleted',
    ],
    [
      'left without a blob',
      async () => await app.request('DELETE', `/v2/prod/app/blobs/${sha256(emptyJson)}`),
      'what it needs can not be deleted',
    ],
  ]
  for (const [what, ask, reason] of refusals) {
    it(`is not ${what}: 403, which says why`, async () => {
      const reply = (await ask()) as Awaited<ReturnType<typeof app.get>>
      assert.equal(reply.status, 403)
      assert.deepEqual(json(reply), {
        errors: [
          {
            code: 'DENIED',
            message: `tag v1 of prod/app is immutable: ${reason}`,
            detail: { name: 'prod/app', tag: 'v1' },
          },
        ],
      })
      assert.equal((await app.get('/v2/prod/app/manifests/v1')).headers['docker-content-digest'], sha256(first))
    })
  }

  it('is pushed again with what it leads to', async () =>
    assert.equal((await app.pushManifest('prod/app', 'v1', first)).status, 201))
})

describe('a push over a quota', () => {
  const refusal = (kind: string, limit: number, used: number, wanted: number): object => ({
    errors: [
      {
        code: 'DENIED',
        message: `the quota of small is ${limit} ${kind}: ${used} are there, and this push adds ${wanted}`,
        detail: { name: 'small', quota: 'quotas[0]', kind, limit, used, wanted },
      },
    ],
  })

  it('gets 403 before its bytes are taken', async () => {
    const path = await app.startUpload('small')
    const init = { body: Buffer.alloc(101), headers: { 'Content-Type': 'application/octet-stream' } }
    const asked = await app.request('PATCH', path, init)
    assert.equal(asked.status, 403)
    assert.deepEqual(json(asked), refusal('bytes', 100, 0, 101))
    assert.equal((await app.request('PATCH', path, { ...init, chunked: true })).status, 403)
    assert.equal((await app.pushBlob('small', Buffer.alloc(100))).status, 201)
    const begun = await app.request('POST', '/v2/small/blobs/uploads/')
    assert.equal(begun.status, 403)
    assert.deepEqual(json(begun), refusal('bytes', 100, 100, 1))
  })
})

describe('a deprecated image', () => {
  const warningOf = async (method: string, path: string): Promise<unknown> =>
    (await app.request(method, path)).headers['warning']

  it('is pulled with a warning', async () => {
    await app.pushEmptyConfig('old/app')
    for (const tag of ['v1.0', 'v2.0']) {
      await app.pushManifest('old/app', tag, first)
    }
    assert.equal(await warningOf('GET', '/v2/old/app/manifests/v1.0'), '299 - "use v2"')
    assert.equal(await warningOf('HEAD', '/v2/old/app/manifests/v1.0'), '299 - "use v2"')
    assert.equal(await warningOf('GET', '/v2/old/app/manifests/v2.0'), undefined)
    assert.equal(await warningOf('GET', `/v2/old/app/manifests/${sha256(first)}`), undefined)
    assert.equal(await warningOf('GET', '/v2/old/app/manifests/v1.1'), undefined, 'it is not there')
  })

  it('may be all of a repository, by digest too', async () => {
    await app.pushEmptyConfig('gone/app')
    await app.pushManifest('gone/app', 'v1', first)
    for (const reference of ['v1', sha256(first)]) {
      assert.equal(await warningOf('GET', `/v2/gone/app/manifests/${reference}`), '299 - "moved to app"')
    }
  })

  it('may say so itself, and what it says is safe', async () => {
    await app.pushEmptyConfig('own/app')
    await app.pushEmptyConfig('gone/own')
    const message = 'use "v3"\r\nX-Evil: 1 \u00e9'
    const manifest = imageManifest({ annotations: { 'vnd.ipdr.deprecated': message } })
    for (const [name, warning] of [
      ['own/app', 'use ?v3???X-Evil: 1 ?'],
      ['gone/own', 'moved to app'],
    ]) {
      assert.equal((await app.pushManifest(name!, 'v1', manifest)).status, 201)
      for (const reference of ['v1', sha256(manifest)]) {
        const path = `/v2/${name}/manifests/${reference}`
        assert.equal(await warningOf('GET', path), `299 - "${warning}"`)
        assert.equal(await warningOf('HEAD', path), `299 - "${warning}"`)
      }
    }
    const long = imageManifest({ annotations: { 'vnd.ipdr.deprecated': 'x'.repeat(1000) } })
    await app.pushManifest('own/app', 'long', long)
    assert.equal(await warningOf('GET', '/v2/own/app/manifests/long'), `299 - "${'x'.repeat(200)}"`)
    await app.pushManifest('own/app', 'empty', imageManifest({ annotations: { 'vnd.ipdr.deprecated': ' ' } }))
    assert.equal(await warningOf('GET', '/v2/own/app/manifests/empty'), undefined)
  })
})

it('a pull is noted, by HEAD too, and nothing that is not there', async () => {
  await app.pushEmptyConfig('a')
  await app.pushManifest('a', 'by-get', first)
  await app.pushManifest('b', 'nobody', first)
  for (const [method, reference, status] of [
    ['GET', 'by-get', 200],
    ['HEAD', 'none', 404],
    ['GET', sha256(second), 404],
  ] as const) {
    assert.equal((await app.request(method, `/v2/a/manifests/${reference}`)).status, status)
  }
  const { pulls } = app.stores
  assert.deepEqual([...(await pulls.lastPulls('a')).keys()], [sha256(first)])
  assert.equal((await pulls.lastPulls('b')).size, 0)
  await app.pushManifest('a', 'by-head', second)
  const onlyLooking = { headers: { 'Cache-Control': 'only-if-cached' } }
  assert.equal((await app.request('HEAD', '/v2/a/manifests/by-head', onlyLooking)).status, 200)
  assert.equal((await pulls.lastPulls('a')).size, 1, 'to look what is here is no pull')
  assert.equal((await app.request('HEAD', '/v2/a/manifests/by-head')).status, 200)
  assert.deepEqual([...(await pulls.lastPulls('a')).keys()].sort(), [sha256(first), sha256(second)].sort())
})
