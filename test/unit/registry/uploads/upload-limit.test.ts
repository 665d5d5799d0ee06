import assert from 'node:assert/strict'
import { it } from 'node:test'
import { TestRegistry } from '../../../fixtures/registry.ts'

it('uploads that were open before a restart count, until they end', async () => {
  await using stores = await TestRegistry.open({ uploads: { max: 2 } })
  const first = await stores.uploads.create('r')
  await stores.uploads.create('r')
  await stores.reopen()
  await stores.uploads.start()
  await assert.rejects(stores.uploads.create('r'), { code: 'UNAVAILABLE', status: 503 })
  await stores.uploads.cancel('r', first)
  await stores.uploads.create('r')
})

it('an upload that could not be begun takes no room', async () => {
  await using stores = await TestRegistry.open({ uploads: { max: 1 } })
  await stores.index.close()
  await assert.rejects(stores.uploads.create('r'), err => (err as { code?: string }).code !== 'UNAVAILABLE')
  await stores.index.open()
  await stores.uploads.create('r')
})
