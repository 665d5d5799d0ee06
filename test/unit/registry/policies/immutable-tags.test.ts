import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { OCI_ERRORS } from '../../../../src/oci/errors.ts'
import { ImmutableTags } from '../../../../src/registry/policies/immutable-tags.ts'
import { sha256 } from '../../../fixtures/images.ts'
import {
  descriptorOf,
  emptyJson,
  imageIndex,
  imageManifest,
  ociIndex,
  ociManifest,
} from '../../../fixtures/manifests.ts'
import { TestRegistry } from '../../../fixtures/registry.ts'

const [first, second] = ['first', 'second'].map(name => imageManifest({ annotations: { name } })) as [Buffer, Buffer]
const refused = (tag = 'v1', reason = 'it can be neither moved nor deleted'): object => ({
  code: 'DENIED',
  status: OCI_ERRORS.DENIED.status,
  message: `tag ${tag} of prod/app is immutable: ${reason}`,
  detail: { name: 'prod/app', tag },
})
const needed = refused('v1', 'what it needs can not be deleted')

let stores: TestRegistry
beforeEach(async () => {
  stores = await TestRegistry.open({ immutableTags: ['prod/**:v*'] })
  for (const repository of ['prod/app', 'dev/app']) {
    await stores.pushEmptyConfig(repository)
    await stores.pushManifest(repository, 'v1', first)
    await stores.pushManifest(repository, 'latest', first)
  }
})
afterEach(async () => {
  await stores[Symbol.asyncDispose]()
})

describe('an immutable tag', () => {
  it('is neither moved nor deleted', async () => {
    const { repository } = stores
    const app = repository.call(stores, 'prod/app')
    await assert.rejects(stores.pushManifest('prod/app', 'v1', second), refused())
    const put = { reference: { tag: 'latest' }, bytes: second, contentType: ociManifest, tags: ['v1'] }
    await assert.rejects(app.putManifest(put), refused())
    await assert.rejects(app.deleteManifest({ tag: 'v1' }), refused())
    await assert.rejects(app.deleteManifest({ digest: sha256(first) }), needed)
    for (const tag of ['v1', 'latest']) {
      assert.equal((await app.manifest({ tag })).digest, sha256(first), tag)
    }
    assert.equal(await stores.index.manifest('prod/app', sha256(second)), undefined)
  })

  it('is set, and set again to what it leads to', async () => {
    await stores.pushManifest('prod/app', 'v1', first)
    await stores.pushManifest('prod/app', 'v2', second)
    await assert.rejects(stores.pushManifest('prod/app', 'v2', first), refused('v2'))
  })

  it('keeps the platforms, configs and layers that it needs', async () => {
    const index = imageIndex([descriptorOf(second, ociManifest)])
    const app = stores.repository('prod/app')
    await stores.pushManifest('prod/app', sha256(second), second)
    await stores.pushManifest('prod/app', 'v1-all', index, ociIndex)
    await assert.rejects(app.deleteManifest({ digest: sha256(second) }), {
      ...needed,
      message: /^tag v1-all of prod/,
      detail: { name: 'prod/app', tag: 'v1-all' },
    })
    await assert.rejects(app.deleteBlob(sha256(emptyJson)), needed)
    assert.equal((await app.manifest({ digest: sha256(second) })).digest, sha256(second))
    await app.blob(sha256(emptyJson))
  })

  it('is another one than those beside it, or of the same name elsewhere', async () => {
    await stores.pushManifest('prod/app', 'latest', second)
    await stores.repository('prod/app').deleteManifest({ tag: 'latest' })
    await stores.repository('prod/app').deleteManifest({ digest: sha256(second) })
    await stores.pushManifest('dev/app', 'v1', second)
    await stores.repository('dev/app').deleteManifest({ tag: 'v1' })
    await stores.repository('dev/app').deleteManifest({ digest: sha256(first) })
    await stores.repository('dev/app').deleteBlob(sha256(emptyJson))
  })

  it('is told by globs alone', () => {
    const tags = new ImmutableTags(stores, ['a', 'b:1.*'])
    assert.deepEqual(
      [tags.has('a', 'x'), tags.has('a/b', 'x'), tags.has('b', '1.0'), tags.has('b', '2.0')],
      [true, false, true, false],
    )
  })
})
