import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import type { Caller } from '../../../../src/access/caller.ts'
import { BlockAccess } from '../../../../src/registry/sharing/block-access.ts'
import { Registry } from '../../../../src/registry/repositories/registry.ts'
import { basic, TestAccess } from '../../../fixtures/access.ts'
import { randomBytes, sha256 } from '../../../fixtures/images.ts'
import { descriptorOf, emptyJson, imageManifest } from '../../../fixtures/manifests.ts'
import { readAll, TestRegistry } from '../../../fixtures/registry.ts'

const secret = randomBytes(1024 * 1024 + 1, 'secret layer')
const rules = `
rules:
  - { who: [anonymous], repositories: ['mirror/**'], actions: [pull] }
  - { who: ['user:boss'], repositories: ['**'], actions: [pull] }
`

describe('what a resolver finds, under access rules', () => {
  const resources = new AsyncDisposableStack()
  const roots = new Map<string, string>()
  let stores: TestRegistry
  let registry: Registry
  let access: TestAccess

  async function callerOf(headers: { Authorization?: string }): Promise<Caller> {
    const [authorization, challenge] = [headers.Authorization, () => ({})]
    return await access.access.caller({ authorization, address: undefined, challenge })
  }

  /** As a stranger makes it: any link, under any name */
  async function strangersRoot(manifest: Buffer, blobs: Record<string, string>): Promise<string> {
    const { content } = stores
    const top = await content.add(manifest)
    const link = (cid: string) => ({ cid, size: 0, dagSize: 0 })
    const directory = await content.addDirectory([
      { name: 'manifests', content: await content.addDirectory([{ name: 'latest', content: top }]) },
      {
        name: 'blobs',
        content: await content.addDirectory(Object.entries(blobs).map(([name, cid]) => ({ name, content: link(cid) }))),
      },
    ])
    return directory.cid
  }

  before(async () => {
    stores = resources.use(await TestRegistry.open())
    access = new TestAccess({ log: stores.log })
    await stores.pushBlob('team/app', emptyJson)
    await stores.pushBlob('team/app', secret)
    const manifest = imageManifest({ layers: [descriptorOf(secret)] })
    roots.set('private', (await stores.pushManifest('team/app', 'v1', manifest)).root)
    const { cid } = (await stores.index.blob(sha256(secret)))!
    const own = imageManifest({ layers: [descriptorOf(secret)], annotations: { of: 'a stranger' } })
    const { cid: hello } = await stores.content.add(Buffer.from('hello'))
    roots.set('stranger', await strangersRoot(own, { [sha256(secret)]: cid, [sha256(Buffer.from('hello'))]: hello }))
    await access.start({ rules, users: { boss: 'boss-pw' } })
    registry = new Registry({
      ...{ cached: stores.cached, condition: stores.condition, content: stores.content, index: stores.index },
      ...{ links: stores.links, unreadable: stores.unreadable, uploads: stores.uploads },
      blockAccess: new BlockAccess(stores),
      reader: stores.content,
      names: { resolve: async () => assert.fail('no name is resolved') },
      resolver: { resolve: async (_repository, tag) => roots.get(tag), tags: async () => [...roots.keys()] },
    })
  })
  after(async () => {
    await resources.disposeAsync()
  })

  it('is no way to a private image, by its root or by files of it below another root', async () => {
    const mirror = await registry.repository('mirror/any', await callerOf({}))
    await assert.rejects(mirror.manifest({ tag: 'private' }), { code: 'MANIFEST_UNKNOWN' })
    const { digest } = await mirror.manifest({ tag: 'stranger' })
    await assert.rejects(mirror.blob(sha256(secret)), { code: 'BLOB_UNKNOWN' })
    assert.equal(digest, sha256(await (await mirror.manifest({ digest })).read()))
    const hello = await mirror.blob(sha256(Buffer.from('hello')))
    assert.equal(String(await readAll(hello.read())), 'hello')
  })

  it('is all there for who may pull everything', async () => {
    const mirror = await registry.repository('mirror/any', await callerOf(basic('boss', 'boss-pw')))
    await mirror.manifest({ tag: 'private' })
    const blob = await mirror.blob(sha256(secret))
    assert.ok((await readAll(blob.read())).equals(secret))
  })
})
