/** What the pages ask for those who look after repositories */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { basic } from '../fixtures/access.ts'
import { json, TestApp, type Reply, type TestAppInit } from '../fixtures/app.ts'
import { randomBytes, sha256 } from '../fixtures/images.ts'
import { descriptorOf, imageIndex, imageManifest, ociIndex, ociManifest } from '../fixtures/manifests.ts'
import type { DeletionResult } from '../../src/upkeep/maintenance/deletions.ts'
import type { Undone } from '../../src/upkeep/history/undo.ts'

const shared = randomBytes(1000, 'shared')
const own = (tag: string): Buffer => randomBytes(2000, tag)
const imageOf = (tag: string): Buffer => imageManifest({ layers: [shared, own(tag)].map(layer => descriptorOf(layer)) })

async function start(init: TestAppInit = {}): Promise<TestApp> {
  const app = await TestApp.start({ history: {}, ...init })
  await app.stores.pushEmptyConfig('team/app')
  for (const tag of ['v1', 'v2', 'v3']) {
    await app.stores.pushBlob('team/app', shared)
    await app.stores.pushBlob('team/app', own(tag))
    await app.stores.pushManifest('team/app', tag, imageOf(tag))
  }
  return app
}

async function post(app: TestApp, path: string, body: unknown, headers: Record<string, string> = {}): Promise<Reply> {
  return await app.request('POST', `/ui/api/${path}`, {
    headers: { 'Content-Type': 'application/json', ...headers },
    body: JSON.stringify(body),
  })
}

async function remove(app: TestApp, tags: string[], more: Record<string, unknown> = {}): Promise<DeletionResult> {
  const reply = await post(app, 'delete', { repository: 'team/app', tags, ...more })
  assert.equal(reply.status, 200, String(reply.body))
  return json(reply) as DeletionResult
}

async function undo(app: TestApp, body: Record<string, unknown>): Promise<Undone> {
  const reply = await post(app, 'undo', { repository: 'team/app', ...body })
  assert.equal(reply.status, 200, String(reply.body))
  return json(reply) as Undone
}

async function tagsOf(app: TestApp): Promise<Record<string, string>> {
  const tags = await Array.fromAsync(app.stores.index.tags('team/app', { limit: -1, last: undefined }))
  return Object.fromEntries(tags.map(({ tag, record }) => [tag, record.digest]))
}

function errorOf({ body }: Reply): string {
  return (JSON.parse(String(body)) as { error: string }).error
}

describe('who looks after a repository', () => {
  it('deletes tags with their images, and is told before what that frees', async () => {
    await using app = await start()
    const before = await tagsOf(app)
    const dry = await remove(app, ['v1', 'v2'], { dryRun: true })
    const manifests = ['v1', 'v2'].map(tag => imageOf(tag).byteLength)
    assert.partialDeepStrictEqual(dry, {
      tags: [
        { tag: 'v1', digest: before['v1'] },
        { tag: 'v2', digest: before['v2'] },
      ],
      attached: [],
      manifests: 2,
      bytes: 4000 + manifests[0]! + manifests[1]!,
      keptFor: 86_400,
    })
    assert.deepEqual(await tagsOf(app), before)
    const { state, ...done } = await remove(app, ['v1', 'v2'])
    assert.deepEqual(done, dry)
    assert.deepEqual(Object.keys(await tagsOf(app)), ['v3'])
    assert.equal((await app.get(`/v2/team/app/manifests/${before['v1']}`)).status, 404)

    const undone = await undo(app, { tags: ['v1', 'v2'], to: state! - 1, known: state })
    assert.deepEqual(await tagsOf(app), before)
    assert.equal(undone.restored.length, 2)
    assert.equal((await app.get(`/v2/team/app/blobs/${sha256(own('v1'))}`)).status, 200)
  })

  it('keeps what another tag, an index or another repository needs, and what it frees is none of that', async () => {
    await using app = await start()
    await app.stores.pushManifest('team/app', 'latest', imageOf('v1'))
    await app.stores.pushManifest('team/app', 'multi', imageIndex([descriptorOf(imageOf('v2'), ociManifest)]), ociIndex)
    assert.partialDeepStrictEqual(await remove(app, ['v1', 'v2'], { dryRun: true }), { manifests: 0, bytes: 0 })
    await app.stores.pushBlob('other', own('v3'))
    const { bytes } = await remove(app, ['v3'], { dryRun: true })
    assert.equal(bytes, imageOf('v3').byteLength)
    // the platform goes with the index that lists it
    assert.partialDeepStrictEqual(await remove(app, ['multi', 'v2'], { dryRun: true }), { manifests: 2 })
    assert.partialDeepStrictEqual(await remove(app, ['multi', 'v2'], { dryRun: true, images: false }), { manifests: 0 })
  })

  it('takes signatures along, however they are attached, but no immutable tag', async () => {
    await using app = await start({ immutableTags: ['**:*.sig'] })
    const subject = descriptorOf(imageOf('v1'), ociManifest)
    const signature = imageManifest({ subject, artifactType: 'application/spdx+json' })
    await app.stores.pushManifest('team/app', sha256(signature), signature)
    const attached = imageManifest({ annotations: { signature: 'v1' } })
    const tag = sha256(imageOf('v1')).replace(':', '-')
    for (const reference of [`${tag}.sig`, `${tag}.att`]) {
      await app.stores.pushManifest('team/app', reference, attached)
    }
    const result = await remove(app, ['v1'])
    assert.deepEqual(result.attached, [`${tag}.att`])
    assert.equal(result.manifests, 2)
    assert.deepEqual(Object.keys(await tagsOf(app)), [`${tag}.sig`, 'v2', 'v3'])
  })

  it('is told which tags are immutable or not there, and what retention says of each', async () => {
    await using app = await start({
      immutableTags: ['**:v3'],
      retention: [
        { images: ['**:v1'], keep: { tags: ['v1'] } },
        { images: ['**:v2'], keep: { tags: ['x'] } },
      ],
    })
    const { manifests, tags } = await remove(app, ['v1', 'v2', 'v3', 'v4'], { dryRun: true })
    assert.deepEqual(
      tags.map(({ refused, retention, tag }) => [tag, refused, retention]),
      [
        ['v1', undefined, 'retention[0] keeps it: its name'],
        ['v2', undefined, 'nothing keeps it: retention[1]'],
        ['v3', 'immutable', undefined],
        ['v4', 'unknown', undefined],
      ],
    )
    assert.equal(manifests, 2)
    const immutable = await post(app, 'delete', { repository: 'team/app', tags: ['v1', 'v3'] })
    assert.deepEqual([immutable.status, errorOf(immutable).includes('v3 of team/app is immutable')], [403, true])
    assert.equal((await post(app, 'delete', { repository: 'team/app', tags: ['v1', 'v4'] })).status, 404)
    assert.deepEqual(Object.keys(await tagsOf(app)), ['v1', 'v2', 'v3'])
  })

  it('is told what becomes of a tag that is to lead elsewhere', async () => {
    await using app = await start({ immutableTags: ['**:v*'] })
    const digest = sha256(imageOf('v2'))
    const move = async (tag: string): Promise<unknown> =>
      json(await app.get(`/ui/api/move?repository=team/app&tag=${tag}&digest=${digest}`))
    assert.deepEqual(await move('new'), { isFinal: false })
    assert.deepEqual(await move('v9'), { isFinal: true })
    assert.deepEqual(await move('v1'), { before: sha256(imageOf('v1')), refused: 'immutable', isFinal: true })
    assert.deepEqual(await move('v2'), { before: digest, isFinal: true })
  })

  it('sees what has changed and what differs, and goes back to a state', async () => {
    await using app = await start()
    const before = await tagsOf(app)
    await app.stores.pushManifest('team/app', 'v1', imageOf('v2'))
    const { changes } = json(await app.get('/ui/api/history?repository=team/app&n=2')) as {
      changes: { state: number }[]
    }
    const [last] = changes
    assert.partialDeepStrictEqual(last, {
      action: 'push',
      tags: [{ tag: 'v1', before: before['v1'], after: before['v2'] }],
    })
    assert.equal(changes.length, 2)
    const of = json(await app.get('/ui/api/history?repository=team/app&tag=v3')) as { changes: unknown[] }
    assert.equal(of.changes.length, 1)
    const path = `/ui/api/differences?repository=team/app&from=${last!.state - 1}`
    assert.partialDeepStrictEqual(json(await app.get(path)), {
      tags: [{ tag: 'v1', before: before['v1'], after: before['v2'] }],
    })
    await undo(app, { to: last!.state - 1 })
    assert.deepEqual(await tagsOf(app), before)
  })

  it('says when an image without a tag goes, and that it stays where a rule protects the repository', async () => {
    for (const [glob, expected] of [
      ['prod/**', 60],
      ['team/app:v*', 60],
      ['team/**', undefined],
    ] as const) {
      await using app = await start({ untagged: 60, retention: [{ images: [glob], protect: true }] })
      assert.equal((await remove(app, ['v1'], { dryRun: true })).untagged, expected, glob)
    }
  })

  it('undoes nothing that somebody has changed since', async () => {
    await using app = await start()
    const { state } = await remove(app, ['v1'])
    await app.stores.pushManifest('team/app', 'v1', imageOf('v2'))
    const reply = await post(app, 'undo', { repository: 'team/app', tags: ['v1'], to: state! - 1, known: state })
    assert.deepEqual([reply.status, errorOf(reply)], [400, 'malformed request: team/app:v1 has changed since'])
    const other = await remove(app, ['v2'])
    await undo(app, { tags: ['v2'], to: other.state! - 1, known: other.state })
  })

  it('undoes nothing that immutable tags, quotas or a read-only registry are against', async () => {
    await using app = await start({
      immutableTags: ['**:v3'],
      quotas: [{ repositories: ['**'], tags: 3 }],
    })
    const whole = await post(app, 'undo', { repository: 'team/app', to: 0 })
    assert.deepEqual([whole.status, errorOf(whole).includes('is immutable')], [403, true])
    const { state } = await remove(app, ['v1'])
    await app.stores.pushManifest('team/app', 'other', imageOf('v2'))
    const over = await post(app, 'undo', { repository: 'team/app', tags: ['v1'], to: state! - 1 })
    assert.deepEqual([over.status, errorOf(over).startsWith('the quota of ** is 3 tags')], [403, true])
    await remove(app, ['other'])
    await app.stores.readOnly.turnOn('for a test')
    for (const [path, body] of [
      ['undo', { tags: ['v1'], to: state! - 1 }],
      ['delete', { tags: ['v2'] }],
    ] as const) {
      const reply = await post(app, path, { repository: 'team/app', ...body })
      assert.deepEqual([reply.status, errorOf(reply).includes('for a test')], [405, true])
    }
    const rights = { tag: false, delete: false, undo: false }
    assert.partialDeepStrictEqual(json(await app.get('/ui/api/tags?repository=team/app')), { may: rights })
    await app.stores.readOnly.turnOff()
    await undo(app, { tags: ['v1'], to: state! - 1 })
  })

  it("is refused what can't be, and nothing has changed", async () => {
    await using app = await start()
    const before = await tagsOf(app)
    for (const [path, body] of [
      ['delete', { tags: [] }],
      ['delete', { tags: 'v1' }],
      ['delete', { tags: ['../x'] }],
      ['delete', { tags: ['v1'], images: 'yes' }],
      ['delete', { tags: Array.from({ length: 501 }, (_, i) => `v${i}`) }],
      ['delete', { repository: 'A', tags: ['v1'] }],
      ['undo', { to: -1 }],
      ['undo', { to: '1' }],
      ['undo', { to: 999 }],
      ['undo', { tags: [5] }],
    ] as const) {
      const reply = await post(app, path, { repository: 'team/app', ...body })
      assert.equal(reply.status, 400, JSON.stringify(body).slice(0, 100))
      assert.doesNotMatch(errorOf(reply), /\.ts|node_modules| {4}at /)
    }
    const form = await app.request('POST', '/ui/api/undo', { headers: { 'Content-Type': 'text/plain' }, body: '{}' })
    assert.equal(form.status, 400)
    assert.deepEqual(await tagsOf(app), before)
  })
})

const rules = `
rules:
  - { who: ['user:reader', 'user:maintainer'], repositories: ['team/**'], actions: [pull] }
  - { who: ['user:maintainer'], repositories: ['team/**'], actions: [push, tag, delete] }
  - { who: ['user:some'], repositories: ['team/**'], actions: [pull, push, tag, delete], tags: ['v1', '*.att'] }
`
const users = { reader: 'of reader', maintainer: 'of maintainer', some: 'of some' }
const as = (user: keyof typeof users): Record<string, string> => basic(user, users[user])

describe('rules', () => {
  it('say who may do what, and the pages show no more', async () => {
    await using app = await start({ access: { rules, users } })
    const may = async (user: keyof typeof users): Promise<unknown[]> => {
      const { items, may } = json(await app.get('/ui/api/tags?repository=team/app&order=name', as(user))) as {
        items: { mayDelete: boolean }[]
        may: unknown
      }
      return [may, items.map(({ mayDelete }) => mayDelete)]
    }
    const none = { tag: false, delete: false, undo: false }
    assert.deepEqual(await may('reader'), [none, [false, false, false]])
    assert.deepEqual(await may('maintainer'), [{ tag: true, delete: true, undo: true }, [true, true, true]])
    assert.deepEqual((await may('some'))[1], [true])
    assert.equal((await post(app, 'delete', { repository: 'team/app', tags: ['v1'] }, as('reader'))).status, 403)
    assert.equal((await post(app, 'undo', { repository: 'team/app', tags: ['v1'] }, as('reader'))).status, 403)
    assert.equal((await app.get('/ui/api/history?repository=team/app', as('reader'))).status, 403)
  })

  it('of some tags hold for deletions, undo and what is told of changes', async () => {
    await using app = await start({ access: { rules, users } })
    const tag = sha256(imageOf('v1')).replace(':', '-')
    await app.stores.pushManifest('team/app', `${tag}.sig`, imageManifest({ annotations: { signature: 'v1' } }))
    const other = await post(app, 'delete', { repository: 'team/app', tags: ['v1', 'v2'] }, as('some'))
    assert.equal(other.status, 403)
    const some = json(await post(app, 'delete', { repository: 'team/app', tags: ['v1'] }, as('some'))) as DeletionResult
    assert.deepEqual([some.attached, some.manifests], [[], 1])
    assert.deepEqual(Object.keys(await tagsOf(app)), [`${tag}.sig`, 'v2', 'v3'])
    const whole = await post(app, 'undo', { repository: 'team/app', to: 0 }, as('some'))
    assert.equal(whole.status, 403)
    const undone = await post(app, 'undo', { repository: 'team/app', tags: ['v1'] }, as('some'))
    assert.equal(undone.status, 200, String(undone.body))
    const { changes } = json(await app.get('/ui/api/history?repository=team/app', as('some'))) as {
      changes: { tags: { tag: string }[] }[]
    }
    assert.deepEqual([...new Set(changes.flatMap(({ tags }) => tags.map(({ tag }) => tag)))], ['v1'])
  })

  it('name whose doing a change was, and refuse what pages of others ask', async () => {
    await using app = await start({ access: { rules, users } })
    const { state } = json(
      await post(app, 'delete', { repository: 'team/app', tags: ['v1'] }, as('maintainer')),
    ) as DeletionResult
    await post(app, 'undo', { repository: 'team/app', tags: ['v1'], to: state! - 1 }, as('maintainer'))
    const { changes } = json(await app.get('/ui/api/history?repository=team/app&n=2', as('maintainer'))) as {
      changes: { action: string; by: string }[]
    }
    assert.deepEqual(
      changes.map(({ action, by }) => [action, by]),
      [
        ['undo', 'maintainer'],
        ['delete', 'maintainer'],
      ],
    )
    const evil = { ...as('maintainer'), Origin: 'https://evil.example' }
    assert.equal((await post(app, 'delete', { repository: 'team/app', tags: ['v1'] }, evil)).status, 403)
    assert.equal((await post(app, 'undo', { repository: 'team/app' }, evil)).status, 403)
    assert.equal(Object.keys(await tagsOf(app)).length, 3)
  })
})
