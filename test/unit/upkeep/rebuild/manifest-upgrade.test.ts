import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { addImageRoot } from '../../../../src/registry/image/image-root.ts'
import { contentsOf } from '../../../fixtures/contents.ts'
import { randomBytes, sha256 } from '../../../fixtures/images.ts'
import { descriptorOf, emptyJson, imageManifest, ociIndex } from '../../../fixtures/manifests.ts'
import { TestRegistry } from '../../../fixtures/registry.ts'

const cached = randomBytes(10_000, 'cached layer')
const config = Buffer.from('{"layers":[]}')
const cache = Buffer.from(
  JSON.stringify({
    schemaVersion: 2,
    mediaType: ociIndex,
    manifests: [descriptorOf(cached), descriptorOf(config, 'application/vnd.buildkit.cacheconfig.v0')],
  }),
)

let stores: TestRegistry

beforeEach(async () => {
  stores = await TestRegistry.open({ recent: 0, unreferenced: 0 })
})
afterEach(async () => {
  await stores[Symbol.asyncDispose]()
})

/** A build cache as older versions noted it: under an index they looked for manifests only */
async function pushAsBefore(repository: string): Promise<void> {
  await stores.pushBlob(repository, cached)
  await stores.pushBlob(repository, config)
  await stores.pushManifest(repository, 'cache', cache, ociIndex)
  const record = {
    ...(await stores.index.manifest(repository, sha256(cache)))!,
    blobs: [],
    manifests: [sha256(cached), sha256(config)],
  }
  record.root = await addImageRoot(
    {
      content: stores.content,
      index: {
        ...stores.index,
        blob: async () => undefined,
        isLinked: async () => false,
        manifest: async () => undefined,
      },
    },
    repository,
    { digest: sha256(cache), ...record },
  )
  await stores.index
    .change()
    .putManifest(repository, sha256(cache), record)
    .putCondition({ state: 'whole', since: new Date().toISOString() })
    .commit({ durable: true })
}

describe('records of manifests that older versions wrote', () => {
  it('are brought up to date before garbage is collected', async () => {
    await stores.pushBlob('b', cached)
    await stores.pushBlob('b', config)
    await stores.pushManifest('b', 'cache', cache, ociIndex)
    const { record, root } = (await contentsOf(stores))[`b@${sha256(cache)}`] as { record: unknown; root: string }
    await pushAsBefore('a')
    await stores.pushEmptyConfig('c')
    await stores.pushManifest('c', 'v1', imageManifest({ config: descriptorOf(emptyJson) }))
    await stores.reopen()
    assert.ok(stores.condition.hasOldRecords)
    await stores.collector().collect()
    const after = await contentsOf(stores)
    assert.ok(`a blob ${sha256(cached)}` in after && `a blob ${sha256(config)}` in after)
    const upgraded = after[`a@${sha256(cache)}`] as { record: unknown; root: string }
    assert.deepEqual([upgraded.record, upgraded.root], [record, root])
    await stores.reopen()
    assert.ok(!stores.condition.hasOldRecords)
  })

  it('are no problem to a check', async () => {
    await pushAsBefore('a')
    await stores.reopen()
    const { images, others } = await stores.fsck().run()
    assert.deepEqual([images, others], [[], []])
  })

  it('are tried again where a manifest could not be read, and hold up nothing', async () => {
    await pushAsBefore('a')
    await stores.reopen()
    const { read } = stores.content
    stores.content.read = () => {
      throw Object.assign(new Error('damaged'), { name: 'DamagedBlockError' })
    }
    await stores.upgrade.run(AbortSignal.timeout(10_000))
    assert.ok(stores.condition.hasOldRecords)
    stores.content.read = read
    await stores.upgrade.run(AbortSignal.timeout(10_000))
    assert.ok(!stores.condition.hasOldRecords)
  })

  it('are none in a new index', () => {
    assert.ok(!stores.condition.hasOldRecords)
  })
})
