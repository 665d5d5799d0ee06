/** What is acknowledged is on disk by then, and nothing is that needs what is not */
import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { randomBytes, sha256 } from '../../fixtures/images.ts'
import { descriptorOf, imageManifest } from '../../fixtures/manifests.ts'
import { Power } from '../../fixtures/power.ts'
import { stream, TestRegistry } from '../../fixtures/registry.ts'

const layer = randomBytes(1_500_000, 'layer')
const digest = sha256(layer)
const manifest = imageManifest({ layers: [descriptorOf(layer)] })

describe('a power failure after the answer takes nothing', () => {
  let stores: TestRegistry
  let power: Power

  beforeEach(async () => {
    stores = await TestRegistry.open()
    await stores.pushEmptyConfig('a')
    await stores.pushBlob('a', layer)
    power = new Power(stores)
  })
  afterEach(async () => {
    await stores[Symbol.asyncDispose]()
  })

  it('of a blob', async () => {
    await stores.pushBlob('a', randomBytes(3_000_000, 'other'))
    assert.deepEqual(power.atRisk, [])
  })

  it('of a blob that came in several requests', async () => {
    const id = await stores.uploads.create('a')
    await stores.uploads.append('a', id, stream(layer.subarray(0, 700_000)))
    await stores.uploads.append('a', id, stream(layer.subarray(700_000)))
    await stores.uploads.commit('a', id, digest, stream(Buffer.alloc(0)))
    assert.deepEqual(power.atRisk, [])
  })

  it('of a blob that was there already', async () => {
    await stores.pushBlob('b', layer)
    assert.deepEqual(power.atRisk, [])
  })

  it('of a blob that is mounted', async () => {
    // what came from a peer is not synced
    const { cid } = await stores.content.add(Buffer.from('from a peer'))
    assert.equal(power.atRisk.length, 1)
    assert.ok(await stores.repository('b').mountBlob(digest, 'a'))
    assert.deepEqual(power.atRisk, [], `${cid} would be lost`)
  })

  it('of a manifest', async () => {
    await stores.pushManifest('a', 'v1', manifest)
    assert.deepEqual(power.atRisk, [])
  })

  it('of a tag that moves', async () => {
    await stores.pushManifest('a', 'v1', manifest)
    await stores.pushManifest('a', 'v1', imageManifest({ annotations: { other: 'one' } }))
    assert.deepEqual(power.atRisk, [])
  })

  it('of a tag that is deleted', async () => {
    await stores.pushManifest('a', 'v1', manifest)
    await stores.repository('a').deleteManifest({ tag: 'v1' })
    assert.deepEqual(power.atRisk, [])
  })

  it('of a manifest that is deleted', async () => {
    await stores.pushManifest('a', 'v1', manifest)
    await stores.repository('a').deleteManifest({ digest: sha256(manifest) })
    assert.deepEqual(power.atRisk, [])
  })

  it('of a blob that is deleted', async () => {
    await stores.repository('a').deleteBlob(digest)
    assert.deepEqual(power.atRisk, [])
  })
})
