import assert from 'node:assert/strict'
import { describe, it, mock } from 'node:test'
import { StoragePressure } from '../../../../src/upkeep/gc/storage-pressure.ts'
import { recordingLog } from '../../../fixtures/recording-log.ts'

const mebibyte = 1024 * 1024

/** Lets timers that are due run, and what follows them */
async function pass(ms: number): Promise<void> {
  mock.timers.tick(ms)
  await new Promise<void>(resolve => {
    setImmediate(resolve)
  })
}

interface Watched {
  pressure: StoragePressure
  /** What each cycle found to be wanted */
  cycles: Array<number | undefined>
}

function watch(cacheBytes = 100 * mebibyte, cachedAfter = 0): Watched {
  const cycles: Watched['cycles'] = []
  const pressure: StoragePressure = new StoragePressure(
    {
      collect: async () => {
        cycles.push(pressure.begin())
        pressure.end(cachedAfter)
      },
      log: recordingLog(),
    },
    { cacheBytes },
  )
  return { pressure, cycles }
}

describe('pressure on the storage', { concurrency: false }, () => {
  it('begins one cycle for all who find no room, and the next one not at once', async t => {
    mock.timers.enable({ apis: ['setTimeout'] })
    t.after(() => {
      mock.timers.reset()
    })
    const { pressure, cycles } = watch()
    for (const bytes of [10, 30, 20]) {
      pressure.full(bytes)
    }
    await pass(1000)
    assert.deepEqual(cycles, [30])
    pressure.full(5)
    await pass(1000)
    assert.deepEqual(cycles, [30])
    await pass(10_000)
    assert.deepEqual(cycles, [30, 5])
    await pass(60_000)
    assert.deepEqual(cycles, [30, 5])
  })

  it('is taken off by any cycle', async t => {
    mock.timers.enable({ apis: ['setTimeout'] })
    t.after(() => {
      mock.timers.reset()
    })
    const { pressure, cycles } = watch()
    pressure.full(10)
    assert.equal(pressure.begin(), 10)
    assert.equal(pressure.begin(), undefined)
    await pass(60_000)
    assert.deepEqual(cycles, [])
  })

  it('comes of a cache that has clearly outgrown its room, and of no other', async t => {
    mock.timers.enable({ apis: ['setTimeout'] })
    t.after(() => {
      mock.timers.reset()
    })
    const { pressure, cycles } = watch(100 * mebibyte, 90 * mebibyte)
    pressure.fetched(115 * mebibyte)
    await pass(60_000)
    assert.deepEqual(cycles, [])
    pressure.fetched(2 * mebibyte)
    await pass(1000)
    assert.deepEqual(cycles, [0])
    // 90 MiB stayed
    pressure.fetched(25 * mebibyte)
    await pass(60_000)
    assert.deepEqual(cycles, [0])
    pressure.fetched(2 * mebibyte)
    await pass(60_000)
    assert.deepEqual(cycles, [0, 0])
  })

  it('is over with the stop', async t => {
    mock.timers.enable({ apis: ['setTimeout'] })
    t.after(() => {
      mock.timers.reset()
    })
    const { pressure, cycles } = watch()
    pressure.full(10)
    pressure.stop()
    pressure.full(10)
    await pass(60_000)
    assert.deepEqual(cycles, [])
    pressure.start()
    pressure.full(10)
    await pass(60_000)
    assert.deepEqual(cycles, [10])
  })
})
