import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { forEach } from '../../../src/scheduling/for-each.ts'

describe('work on several items at a time', () => {
  it('is done for each once, and for no more than the limit at a time', async () => {
    let running = 0
    let most = 0
    const done: number[] = []
    await forEach([1, 2, 3, 4, 5], 2, undefined, async item => {
      most = Math.max(most, ++running)
      await setImmediate()
      running--
      done.push(item)
    })
    assert.deepEqual([done.sort(), most], [[1, 2, 3, 4, 5], 2])
  })

  it('ends with the first failure, when all that runs has ended', async () => {
    const ended: number[] = []
    await assert.rejects(
      forEach([1, 2, 3, 4], 2, undefined, async (item, signal) => {
        if (item === 1) {
          throw new Error('first')
        }
        await setImmediate()
        assert.ok(signal.aborted)
        ended.push(item)
        throw new Error('second')
      }),
      /first/,
    )
    assert.deepEqual(ended, [2])
  })

  it('takes the items one by one as it gets to them, and no more after a failure', async () => {
    let taken = 0
    let ended = false
    async function* items(): AsyncGenerator<number> {
      try {
        for (;;) {
          yield taken++
        }
      } finally {
        ended = true
      }
    }
    await assert.rejects(
      forEach(items(), 2, undefined, async item => {
        await setImmediate()
        if (item === 4) {
          throw new Error('enough')
        }
      }),
      /enough/,
    )
    assert.ok(ended)
    assert.ok(taken <= 6, `${taken} were taken`)
  })

  it('ends with the failure of whoever gives the items', async () => {
    async function* items(): AsyncGenerator<number> {
      yield 1
      throw new Error('no more')
    }
    await assert.rejects(
      forEach(items(), 2, undefined, async () => {}),
      /no more/,
    )
  })

  it('does not begin once the signal is aborted', async () => {
    await assert.rejects(
      forEach([1], 2, AbortSignal.abort(new Error('stop')), () => assert.fail()),
      /stop/,
    )
  })
})
