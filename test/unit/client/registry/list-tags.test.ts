import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { inspectImage } from '../../../../src/client/registry/inspect-image.ts'
import { listTags } from '../../../../src/client/registry/list-tags.ts'
import { RegistryClient } from '../../../../src/remote/registry/registry-client.ts'
import { json, TestApp } from '../../../fixtures/app.ts'
import { fakeServer } from '../../../fixtures/fake-server.ts'
import { makeImage, makeMultiPlatformImage, sha256, writeLayout } from '../../../fixtures/images.ts'
import { imageIndex, imageManifest, ociIndex } from '../../../fixtures/manifests.ts'
import { temporaryDirectory } from '../../../fixtures/temporary.ts'
import { ipdr } from '../../cli/ipdr.ts'

const count = 10_000
const shared = makeImage([{ a: Buffer.alloc(3000, 'amd') }])
const multi = makeMultiPlatformImage(
  new Map([
    ['amd64', shared],
    ['again', shared],
    ['arm64', makeImage([{ a: Buffer.from('arm') }], { architecture: 'arm64', os: 'linux' })],
  ]),
)

it('a list tells of no image that the caller may not pull', async () => {
  await using app = await TestApp.start()
  await app.pushEmptyConfig('r')
  const manifest = imageManifest()
  for (const tag of ['open', 'closed']) {
    assert.equal((await app.pushManifest('r', tag, manifest)).status, 201)
  }
  const detailsOf = async (query: string): Promise<string[] | undefined> => {
    const { details } = json(await app.get(`/v2/r/tags/list${query}`)) as { details?: object }
    return details && Object.keys(details)
  }
  assert.equal(await detailsOf(''), undefined)
  assert.deepEqual(await detailsOf('?details=true'), ['closed', 'open'])
  assert.deepEqual(await detailsOf('?details=true&n=1&last=closed'), ['open'])
  app.access.change({
    rules: `rules:
  - { who: [anonymous], repositories: ['**'], actions: [pull] }
  - { who: [anonymous], repositories: ['**'], actions: [pull], tags: [closed], effect: deny }`,
  })
  assert.deepEqual(await detailsOf('?details=true'), ['open'])
})

describe('the tags of an appliance', () => {
  let app: TestApp
  let client: RegistryClient
  before(async () => {
    await using scratch = await temporaryDirectory('list-tags')
    app = await TestApp.start()
    const host = `localhost:${app.port}`
    client = await RegistryClient.open({ host })
    const sparse = { ...multi, content: new Map(multi.content) }
    sparse.content.delete(shared.descriptor.digest)
    for (const [repository, image] of Object.entries({ many: multi, sparse })) {
      const from = join(scratch.path, repository)
      await writeLayout(from, image)
      const { code, err } = await ipdr([
        'push',
        `${repository}:t0`,
        '--json',
        '--from',
        from,
        '--docker-registry-host',
        host,
      ])
      assert.equal(code, 0, err)
    }
    const change = app.stores.index.change()
    for (let i = 1; i < count; i++) {
      change.putTag('many', `t${i}`, { digest: multi.descriptor.digest, updated: '2026-01-01T00:00:00.000Z' })
    }
    await change.commit({ durable: false })
  })
  after(async () => {
    await app[Symbol.asyncDispose]()
  })

  async function list(repository?: string): Promise<{ tags: Awaited<ReturnType<typeof listTags>>; requests: number }> {
    const before = app.requests.length
    const tags = await listTags(client, repository)
    return { tags, requests: app.requests.length - before }
  }

  it('take one request, and have the sizes that their manifests tell', async () => {
    const { requests, tags } = await list('many')
    assert.deepEqual([requests, tags.length], [1, count])
    const { cid, digest, size } = await inspectImage(client, 'many', { tag: 't0' })
    assert.deepEqual(
      new Set(tags.map(entry => JSON.stringify({ digest: entry.digest, cid: entry.cid, size: entry.size }))),
      new Set([JSON.stringify({ digest, cid, size })]),
    )
  })

  it('may lack a platform', async () => {
    const { requests, tags } = await list('sparse')
    const { size } = await inspectImage(client, 'sparse', { tag: 't0' })
    assert.deepEqual([requests, tags[0]!.size], [1, size])
  })

  it('take one request for each repository and one for their names', async () => {
    const { requests, tags } = await list()
    assert.deepEqual([requests, tags.length], [3, count + 1])
  })

  it('are asked for one by one where a blob is not here', async () => {
    const change = app.stores.index.change()
    const gone = shared.content.keys().find(key => key !== shared.descriptor.digest)!
    await change.deleteBlob(gone).commit({ durable: false })
    const { body } = await app.get('/v2/many/tags/list?details=true&n=2')
    assert.deepEqual((JSON.parse(String(body)) as { details: unknown }).details, {})
  })
})

it('the tags of another registry take one request each, and what it says of them is not believed blindly', async () => {
  const index = imageIndex([])
  await using server = await fakeServer(({ url }, res) => {
    if (url.includes('/tags/list')) {
      const details = { a: { digest: 'x', cid: 'y', size: 1 }, b: null, c: { digest: sha256(index), cid: 1, size: 1 } }
      res.end(JSON.stringify({ name: 'r', tags: ['a', 'b', 'c', 'constructor'], details }))
      return
    }
    res.setHeader('Content-Type', ociIndex)
    res.end(index)
  })
  const tags = await listTags(await RegistryClient.open({ host: server.host }), 'r')
  assert.equal(server.requests.length, 5)
  assert.deepEqual(new Set(tags.map(({ digest }) => digest)), new Set([sha256(index)]))
})
