import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { Slots } from '../../../src/scheduling/slots.ts'

describe('slots', () => {
  it('let a fixed number of calls run at a time, the others in their order', async () => {
    const slots = new Slots(2)
    const [started, ends] = [[] as number[], [] as Array<() => void>]
    const calls = Array.from({ length: 4 }, async (_, number) => {
      await slots.run(async () => {
        started.push(number)
        await new Promise<void>(resolve => ends.push(resolve))
      })
    })
    assert.deepEqual(started, [0, 1])
    ends[1]!()
    await setImmediate()
    assert.deepEqual(started, [0, 1, 2])
    ends[0]!()
    await setImmediate()
    assert.deepEqual(started, [0, 1, 2, 3])
    ends.forEach(end => end())
    await Promise.all(calls)
  })

  it('are free again after a call that failed', async () => {
    const slots = new Slots(1)
    await assert.rejects(
      slots.run(async () => Promise.reject(new Error('no'))),
      { message: 'no' },
    )
    assert.equal(await slots.run(async () => 'next'), 'next')
  })

  it('are taken until they are disposed of, and whoever stops waiting leaves the queue', async () => {
    const slots = new Slots(1)
    const first = await slots.take()
    const controller = new AbortController()
    const impatient = slots.take({ signal: controller.signal })
    const patient = slots.take()
    controller.abort(new Error('enough'))
    await assert.rejects(impatient, /enough/)
    first[Symbol.dispose]()
    first[Symbol.dispose]()
    const second = await patient
    let ran = false
    const run = slots.run(async () => {
      ran = true
    })
    await setImmediate()
    assert.equal(ran, false)
    second[Symbol.dispose]()
    await run
    assert.equal(ran, true)
  })
})
