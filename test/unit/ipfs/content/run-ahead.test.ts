import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { setImmediate, setTimeout as sleep } from 'node:timers/promises'
import { runAhead } from '../../../../src/ipfs/content/run-ahead.ts'

describe('tasks that run ahead', () => {
  it('give their results in order, whichever is ready first', async () => {
    const tasks = (async function* () {
      for (const ms of [20, 1, 10, 0, 5]) {
        yield async () => await sleep(ms, ms)
      }
    })()
    assert.deepEqual(await Array.fromAsync(runAhead(tasks, 3)), [20, 1, 10, 0, 5])
  })

  it('are held up by whoever takes the results', async () => {
    let started = 0
    const tasks = (async function* () {
      for (let i = 0; i < 100; i++) {
        yield async () => ++started
      }
    })()
    const results = runAhead(tasks, 4)
    const reached: number[] = []
    for (let i = 0; i < 5; i++) {
      await results.next()
      await sleep(5)
      reached.push(started)
    }
    // with each result more may run ahead, up to four
    assert.deepEqual(reached, [2, 4, 7, 8, 9])
    await results.return(undefined)
    await sleep(5)
    assert.equal(started, 9)
  })

  it('fail in their turn, and unseen where nobody takes the result', async () => {
    const tasks = (async function* () {
      yield async () => 1
      yield async () => {
        throw new Error('second')
      }
      yield async () => {
        throw new Error('third')
      }
    })()
    const results = runAhead(tasks, 4)
    assert.equal((await results.next()).value, 1)
    await assert.rejects(results.next(), { message: 'second' })
    await setImmediate()
  })

  it('end with what lists them', async () => {
    const tasks = (async function* () {
      yield async () => 1
      throw new Error('no more')
    })()
    await assert.rejects(Array.fromAsync(runAhead(tasks, 4)), { message: 'no more' })
  })
})
