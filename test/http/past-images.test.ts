/** Earlier states of a whole server: what can be pulled of them, and when they come back */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { TestAppliance } from '../fixtures/appliance.ts'
import { emptyJson, imageManifest } from '../fixtures/manifests.ts'
import { sha256 } from '../fixtures/images.ts'
import type { RegistryClient } from '../fixtures/registry-client.ts'
import { temporaryDirectory } from '../fixtures/temporary.ts'
import type { PastTag, PastTagList } from '../../src/upkeep/history/past-tags.ts'

const [old, young] = ['old', 'young'].map(age => imageManifest({ annotations: { age } })) as [Buffer, Buffer]
const digest = sha256(old)

describe('an earlier state', () => {
  const resources = new AsyncDisposableStack()
  let client: RegistryClient
  let cid: string
  before(async () => {
    const directory = resources.use(await temporaryDirectory('past-images'))
    client = resources.use(await TestAppliance.start(directory.path)).client
    await client.pushBlob('team/app', emptyJson)
    const first = await client.pushManifest('team/app', 'v1', old)
    cid = String(first.headers.get('x-ipfs-cid'))
    await client.pushManifest('team/app', 'v2', young)
    await client.pushManifest('team/app', 'v1', young)
  })
  after(async () => {
    await resources.disposeAsync()
  })

  async function tagsAt(query: string): Promise<PastTagList> {
    const response = await client.request('GET', `/ipdr/v1/history/tags?${query}`)
    assert.equal(response.status, 200, query)
    return (await response.json()) as PastTagList
  }

  async function first(): Promise<PastTag[]> {
    return (await tagsAt('name=team/app&at=1')).tags
  }

  async function post(path: string, body: unknown): Promise<{ status: number; text: string }> {
    const headers = { 'Content-Type': 'application/json' }
    const response = await client.request('POST', `/ipdr/v1/${path}`, { headers, body: JSON.stringify(body) })
    return { status: response.status, text: await response.text() }
  }

  const paths = (): string[] => [`/v2/${cid}/manifests/latest`, `/v2/team/app/manifests/${digest}`]

  it('lists tags by name and in pages', async () => {
    const names = async (query: string): Promise<unknown> => {
      const { more, state, tags } = await tagsAt(query)
      return [state, tags.map(({ tag }) => tag).join(), more]
    }
    const expected: [query: string, list: unknown][] = [
      ['name=team/app&at=0', [0, '', false]],
      ['name=team/app&at=1', [1, 'v1', false]],
      ['name=team/app&at=2', [2, 'v1,v2', false]],
      ['name=team/app:v2&at=2', [2, 'v2', false]],
      ['name=team/app:v2&at=1', [1, '', false]],
      ['name=team/app&at=2&n=1', [2, 'v1', true]],
      ['name=team/app&at=2&n=1&last=v1', [2, 'v2', false]],
      ['name=team/app&at=2&last=v2', [2, '', false]],
      [`name=team/app&at=${new Date().toISOString()}`, [3, 'v1,v2', false]],
    ]
    for (const [query, list] of expected) {
      assert.deepEqual(await names(query), list, query)
    }
    assert.equal((await client.request('GET', '/ipdr/v1/history/tags?name=team/app&at=1000')).status, 400)
  })

  it('has images that are pulled by CID until they are deleted, and again once that is undone', async () => {
    assert.deepEqual(await first(), [{ tag: 'v1', digest, cid, deleted: false }])
    for (const path of paths()) {
      assert.equal(await client.digestOf(path), digest)
    }
    assert.equal((await client.request('DELETE', `/v2/team/app/manifests/${digest}`)).status, 202)
    assert.deepEqual(await first(), [{ tag: 'v1', digest, cid, deleted: true }])
    for (const path of paths()) {
      assert.ok((await client.request('GET', path)).status >= 400, path)
    }
    assert.equal((await post('undo', { name: 'team/app:v1', to: 1 })).status, 200)
    assert.deepEqual(await first(), [{ tag: 'v1', digest, cid, deleted: false }])
    for (const path of paths()) {
      assert.equal(await client.digestOf(path), digest)
    }
  })

  it('does not come back while the registry is read-only, and the reason is told', async () => {
    const now = await tagsAt(`name=team/app&at=${new Date().toISOString()}`)
    assert.equal((await post('read-only', { on: true, reason: 'moving to a new disk' })).status, 200)
    for (const [path, body] of [
      ['undo', { name: 'team/app', to: 1 }],
      ['history/forget', { name: 'team/app' }],
    ] as const) {
      const { status, text } = await post(path, body)
      assert.equal(status, 405)
      assert.deepEqual(JSON.parse(text), { error: 'the registry is read-only: moving to a new disk' })
    }
    assert.deepEqual(await tagsAt(`name=team/app&at=${now.state}`), now)
    assert.equal((await post('read-only', { on: false })).status, 200)
    assert.equal((await post('undo', { name: 'team/app', to: 1 })).status, 200)
  })
})
