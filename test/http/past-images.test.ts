/** Earlier states of a whole server: what can be pulled of them, and when they come back */
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { after, before, describe, it } from 'node:test'
import { basic, initAccess } from '../fixtures/access.ts'
import { TestAppliance } from '../fixtures/appliance.ts'
import { descriptorOf, emptyJson, imageManifest, ociLayer } from '../fixtures/manifests.ts'
import { sha256 } from '../fixtures/images.ts'
import type { RegistryClient } from '../fixtures/registry-client.ts'
import { ipdr } from '../fixtures/ipdr.ts'
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

describe('an image of an earlier state', () => {
  const resources = new AsyncDisposableStack()
  const layer = Buffer.from('a layer that was deleted')
  const secret = Buffer.from('a layer of another repository')
  const manifest = imageManifest({ layers: [descriptorOf(layer, ociLayer)] })
  let directory: string
  let server: TestAppliance
  let authorization: Record<string, string>
  before(async () => {
    directory = resources.use(await temporaryDirectory('past-pulls')).path
    const dataDir = `${directory}/data`
    authorization = basic('admin', await initAccess('private', dataDir))
    server = resources.use(await TestAppliance.start(dataDir))
    for (const [repository, blobs] of [
      ['team/app', [emptyJson, layer]],
      ['other/app', [emptyJson, secret]],
    ] as const) {
      for (const blob of blobs) {
        const started = await ask('POST', `/v2/${repository}/blobs/uploads/`)
        const upload = `${started.headers.get('location')}?digest=${encodeURIComponent(sha256(blob))}`
        assert.equal((await ask('PUT', upload, blob)).status, 201)
      }
    }
    await push('v1', manifest)
    await push('v1', young)
    for (const path of [`manifests/${sha256(manifest)}`, `blobs/${sha256(layer)}`]) {
      assert.equal((await ask('DELETE', `/v2/team/app/${path}`)).status, 202)
    }
  })
  after(async () => {
    await resources.disposeAsync()
  })

  async function ask(method: string, path: string, body?: Buffer, headers = authorization): Promise<Response> {
    return await server.client.request(method, path, { headers, ...(body === undefined ? {} : { body }) })
  }
  async function push(tag: string, bytes: Buffer): Promise<void> {
    const headers = { ...authorization, 'Content-Type': 'application/vnd.oci.image.manifest.v1+json' }
    assert.equal((await ask('PUT', `/v2/team/app/manifests/${tag}`, bytes, headers)).status, 201)
  }
  const past = (what: string, at: number | string, name = 'team/app'): string => `/past/${what}&name=${name}&at=${at}`

  it('is pulled by those who may pull the repository', async () => {
    const found = await ask('GET', past('manifest?reference=v1', 1))
    assert.equal(found.headers.get('docker-content-digest'), sha256(manifest))
    assert.deepEqual(Buffer.from(await found.arrayBuffer()), manifest)
    const blob = await ask('GET', past(`blob?digest=${sha256(layer)}`, 1))
    assert.deepEqual(Buffer.from(await blob.arrayBuffer()), layer)
    const now = await ask('GET', past('manifest?reference=v1', new Date().toISOString()))
    assert.equal(now.headers.get('docker-content-digest'), sha256(young))
  })

  it('has nothing of other states and other repositories', async () => {
    for (const path of [
      past(`manifest?reference=${sha256(young)}`, 1),
      past('manifest?reference=v2', 1),
      past('manifest?reference=v1', 0),
      past('manifest?reference=v1', 1, 'other/app'),
      past(`manifest?reference=${sha256(manifest)}`, 4),
      past(`blob?digest=${sha256(layer)}`, 4),
      past(`blob?digest=${sha256(secret)}`, 1),
    ]) {
      assert.equal((await ask('GET', path)).status, 404, path)
    }
    assert.equal((await ask('GET', past('manifest?reference=v1', 99))).status, 400)
    assert.equal((await ask('GET', past('manifest?reference=v1', '2099-01-01T00:00:00Z'))).status, 400)
  })

  it('answers others as the repository of now does', async () => {
    for (const [then, now] of await Promise.all(
      [
        [past('manifest?reference=v1', 1), '/v2/team/app/manifests/v1'],
        [past(`blob?digest=${sha256(layer)}`, 99), `/v2/team/app/blobs/${sha256(layer)}`],
      ].map(async paths => {
        const [then, now] = await Promise.all(paths.map(async path => await ask('GET', path, undefined, {})))
        return [then!, now!] as const
      }),
    )) {
      assert.equal(then.status, 401)
      assert.deepEqual(
        [then.status, then.headers.get('www-authenticate'), await then.json()],
        [now.status, now.headers.get('www-authenticate'), await now.json()],
      )
    }
  })

  it('is not a reference of the distribution API', async () => {
    for (const reference of ['v1@{2h}', 'v1@%7B2h%7D', 'v1?at=1', `${sha256(manifest)}?at=1`, 'v1@1']) {
      const response = await ask('GET', `/v2/team/app/manifests/${reference}`)
      assert.notEqual(response.headers.get('docker-content-digest'), sha256(manifest), reference)
    }
  })

  it('is pulled by ipdr, with the log-in of docker', async () => {
    const host = new URL(server.url).host
    const env = { DOCKER_CONFIG: `${directory}/docker` }
    const password = Buffer.from(authorization['Authorization']!.slice('Basic '.length), 'base64').toString().slice(6)
    await ipdr(['login', host, '-u', 'admin', '--password-stdin'], { env, input: password })
    const output = `${directory}/layout`
    await ipdr(['pull', `${host}/team/app:v1`, '--at', '1', '--output', output], { env })
    const index = JSON.parse(await readFile(`${output}/index.json`, 'utf8')) as { manifests: { digest: string }[] }
    assert.equal(index.manifests[0]!.digest, sha256(manifest))
    assert.deepEqual(await readFile(`${output}/blobs/${sha256(layer).replace(':', '/')}`), layer)
  })

  it('is forgotten with the history', async () => {
    assert.equal((await ask('GET', past('manifest?reference=v1', 1))).status, 200)
    await ipdr(['history', 'team/app', '--forget', '--data-dir', server.dataDir])
    assert.equal((await ask('GET', past('manifest?reference=v1', 1))).status, 400)
    assert.equal((await ask('GET', past(`blob?digest=${sha256(layer)}`, 1))).status, 400)
  })
})
