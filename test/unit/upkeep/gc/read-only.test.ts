import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { TestRegistry } from '../../../fixtures/registry.ts'

describe('a garbage collection', () => {
  it('that runs when the registry becomes read-only deletes nothing any more', async () => {
    let pause = async (): Promise<void> => {}
    await using stores = await TestRegistry.open({ recent: 0, unreferenced: 0, pause: async () => await pause() })
    const digest = await stores.pushBlob('team/app', Buffer.from('that nothing refers to'))
    const collector = stores.collector()
    let turnedOn: Promise<number> | undefined
    pause = async () => {
      turnedOn ??= stores.readOnly.turnOn('maintenance')
    }
    const { total } = stores.blockstore.space.usage
    await assert.rejects(collector.collect(), {
      code: 'UNSUPPORTED',
      message: 'the registry is read-only: maintenance',
    })
    assert.equal(await turnedOn, 0)
    assert.equal(stores.blockstore.space.usage.total, total)
    await assert.rejects(collector.collect(), { code: 'UNSUPPORTED' })
    assert.equal((await collector.collect({ dryRun: true })).dryRun, true)

    await stores.readOnly.turnOff()
    assert.equal((await collector.collect()).links, 1)
    await assert.rejects(stores.repository('team/app').blob(digest), { code: 'BLOB_UNKNOWN' })
    await collector.stop()
  })
})
