import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { SharedCalls } from '../../../src/scheduling/shared-calls.ts'

interface Started {
  signal: AbortSignal
  resolve: (value: string) => void
  reject: (err: Error) => void
}

/** Calls that end when the test says so */
function calls(): { started: Started[]; call: (signal: AbortSignal) => Promise<string> } {
  const started: Started[] = []
  return {
    started,
    call: async signal => {
      const { promise, reject, resolve } = Promise.withResolvers<string>()
      signal.addEventListener('abort', () => {
        reject(signal.reason as Error)
      })
      started.push({ signal, resolve, reject })
      return await promise
    },
  }
}

describe('shared calls', () => {
  it('make one call for a key, and give its result to all', async () => {
    const shared = new SharedCalls<string>()
    const { call, started } = calls()
    const waiting = ['a', 'a', 'b'].map(async key => await shared.run(key, call))
    started.forEach(({ resolve }, i) => {
      resolve(`result ${i}`)
    })
    assert.deepEqual(await Promise.all(waiting), ['result 0', 'result 0', 'result 1'])
    const later = shared.run('a', call)
    started[2]!.resolve('anew')
    assert.equal(await later, 'anew')
  })

  it('fail for all, and the next call begins anew', async () => {
    const shared = new SharedCalls<string>()
    const { call, started } = calls()
    const waiting = [shared.run('a', call), shared.run('a', call)]
    started[0]!.reject(new Error('no'))
    for (const promise of waiting) {
      await assert.rejects(promise, /^Error: no$/)
    }
    const next = shared.run('a', call)
    started[1]!.resolve('yes')
    assert.equal(await next, 'yes')
  })

  it('go on while anybody waits, and are aborted once nobody does', async () => {
    const shared = new SharedCalls<string>()
    const { call, started } = calls()
    const [first, second] = [new AbortController(), new AbortController()]
    const one = shared.run('a', call, { signal: first.signal })
    const other = shared.run('a', call, { signal: second.signal })
    first.abort(new Error('first left'))
    await assert.rejects(one, /first left/)
    assert.equal(started[0]!.signal.aborted, false)
    second.abort(new Error('second left'))
    await assert.rejects(other, /second left/)
    assert.equal(started[0]!.signal.aborted, true)
    const next = shared.run('a', call)
    started[1]!.resolve('anew')
    assert.equal(await next, 'anew')
  })
})
