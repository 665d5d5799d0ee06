import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, it } from 'node:test'
import { FairRate } from '../../../src/scheduling/fair-rate.ts'

/** Lets whoever waits go on */
const settle = async (): Promise<void> => await sleep(10)

describe('a rate that is shared', () => {
  it('is waited for once something was taken', async () => {
    const rate = new FairRate({ bytesPerSecond: 10_000 })
    const began = performance.now()
    for (let i = 0; i < 4; i++) {
      await rate.run('a', 1000, async () => {
        rate.take('a', 1000)
      })
    }
    const took = performance.now() - began
    assert.ok(took >= 290, `${took} ms`)
  })

  it('gives turns by rotation, however many one waits for', async () => {
    const turns: string[] = []
    let now = 0
    const rate = new FairRate({ bytesPerSecond: 100_000, now: () => now })
    const run = async (taker: string): Promise<void> => {
      await rate.run(taker, 1000, async () => {
        turns.push(taker)
        rate.take(taker, 1000)
        // by then the next one may begin, and all wait since the first turn
        now += 1000
      })
    }
    await Promise.all([...Array.from({ length: 8 }, async () => await run('a')), run('b'), run('c'), run('b')])
    assert.deepEqual(turns.slice(0, 6).join(''), 'aabcab')
    assert.equal(turns.length, 11)
  })

  it('reserves for a turn what it may take, and gives back what it did not', async () => {
    let now = 0
    const rate = new FairRate({ bytesPerSecond: 1000, now: () => now })
    const first = Promise.withResolvers<void>()
    const done = rate.run('a', 500, async () => await first.promise)
    let second = false
    const other = rate.run('b', 1, async () => {
      second = true
    })
    await settle()
    assert.equal(second, false)
    now = 1
    first.resolve()
    await done
    await other
    assert.ok(second)
  })

  it('does not owe a turn to whom it was idle', async () => {
    let now = 0
    const rate = new FairRate({ bytesPerSecond: 1000, now: () => now })
    now = 100_000
    rate.take('c', 1000)
    let ran = false
    const done = rate.run('a', 0, async () => {
      ran = true
    })
    await settle()
    assert.equal(ran, false)
    now += 1001
    await Promise.all([done, rate.run('b', 0, async () => {})])
  })

  it('counts once what a turn takes of what was reserved for it', async () => {
    let now = 0
    const rate = new FairRate({ bytesPerSecond: 1000, now: () => now })
    const [first, second] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
    const done = rate.run('a', 500, async () => {
      rate.take('a', 500)
      await first.promise
    })
    now = 501
    // although the first one has not ended
    await rate.run('b', 1, async () => {
      second.resolve()
    })
    await second.promise
    first.resolve()
    await done
  })

  it('goes on after a turn that failed', async () => {
    const rate = new FairRate({ bytesPerSecond: 1000 })
    await assert.rejects(
      rate.run('a', 1_000_000, async () => {
        throw new Error('failed')
      }),
    )
    await rate.run('b', 1, async () => {})
  })
})
