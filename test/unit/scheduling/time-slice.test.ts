import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { TimeSlice } from '../../../src/scheduling/time-slice.ts'

/**
 * Microtasks alone, as where everything is in memory
 *
 * @param ms of the processor, however busy the machine is
 */
async function work(slice: TimeSlice | undefined, ms: number): Promise<{ others: number; steps: number }> {
  let others = 0
  let steps = 0
  let running = true
  const other = (): void => {
    others++
    if (running) {
      setImmediate(other)
    }
  }
  setImmediate(other)
  const began = process.cpuUsage()
  const used = (): number => process.cpuUsage(began).user / 1000
  for (; used() < ms; steps++) {
    await slice?.pause()
  }
  running = false
  return { others, steps }
}

describe('work in time slices', () => {
  it('lets others run every few milliseconds', async () => {
    assert.equal((await work(undefined, 100)).others, 0)
    const { others, steps } = await work(new TimeSlice(), 200)
    assert.ok(others >= 4 && others * 10 < steps, `${others} turns in ${steps} steps`)
  })

  it('does not pause where it is short', async () => {
    const slice = new TimeSlice()
    let paused = false
    setImmediate(() => {
      paused = true
    })
    await slice.pause()
    assert.equal(paused, false)
    await slice.end()
    assert.equal(paused, true)
  })
})
