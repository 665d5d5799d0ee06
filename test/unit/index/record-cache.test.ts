import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import fc from 'fast-check'
import { RecordCache } from '../../../src/index/record-cache.ts'

describe('a cache of records', () => {
  it('asks once for what is asked for again, or at the same time', async () => {
    const cache = new RecordCache(10)
    let reads = 0
    const read = async (): Promise<{ value: number }> => {
      await setImmediate()
      return { value: ++reads }
    }
    assert.deepEqual(await Promise.all([cache.get('a', read), cache.get('a', read)]), [{ value: 1 }, { value: 1 }])
    assert.deepEqual(await cache.get('a', read), { value: 1 })
  })

  it('asks again for what is not there, and after a failure', async () => {
    const cache = new RecordCache(10)
    const broken = new Error('broken')
    assert.equal(await cache.get('a', async () => undefined), undefined)
    await assert.rejects(
      cache.get('a', async () => {
        throw broken
      }),
      broken,
    )
    assert.deepEqual(await cache.get('a', async () => ({ value: 1 })), { value: 1 })
  })

  it('never gives a record from before a write that is over', async () => {
    const key = fc.constantFrom('a', 'b')
    const action = fc.oneof(
      fc.record({ do: fc.constant('get' as const), key }),
      fc.record({ do: fc.constant('write' as const), key }),
      fc.record({ do: fc.constant('wait' as const), key }),
    )
    await fc.assert(
      fc.asyncProperty(fc.array(action, { maxLength: 40 }), fc.scheduler(), async (actions, scheduler) => {
        const cache = new RecordCache(10)
        const stored = new Map([
          ['a', { version: 0 }],
          ['b', { version: 0 }],
        ])
        const acknowledged = new Map([
          ['a', 0],
          ['b', 0],
        ])
        let versions = 0
        const work = actions.map(async ({ do: what, key }) => {
          await scheduler.schedule(Promise.resolve(), what)
          if (what === 'get') {
            const atLeast = acknowledged.get(key)!
            const record = await cache.get(key, async () => {
              await scheduler.schedule(Promise.resolve(), 'before the read')
              const found = stored.get(key)!
              await scheduler.schedule(Promise.resolve(), 'after the read')
              return found
            })
            assert.ok(record!.version >= atLeast, `${record!.version} after ${atLeast} was written`)
          } else if (what === 'write') {
            const version = ++versions
            await cache.write([key], async () => {
              await scheduler.schedule(Promise.resolve(), 'before the write')
              // a queue of writes: the last one that ran is what stays
              stored.set(key, { version: Math.max(version, stored.get(key)!.version) })
              await scheduler.schedule(Promise.resolve(), 'after the write')
            })
            acknowledged.set(key, Math.max(version, acknowledged.get(key)!))
          }
        })
        await scheduler.waitAll()
        await Promise.all(work)
        for (const [key, { version }] of stored) {
          assert.equal((await cache.get(key, async () => stored.get(key)))?.version, version)
        }
      }),
      { numRuns: 300 },
    )
  })
})
