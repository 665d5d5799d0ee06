import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { TimeSlice } from '../../../src/scheduling/time-slice.ts'

/** Microtasks alone, as where everything is in memory */
async function work(slice: TimeSlice | undefined, ms: number): Promise<number> {
  let others = 0
  let running = true
  const other = (): void => {
    others++
    if (running) {
      setImmediate(other)
    }
  }
  setImmediate(other)
  for (const end = performance.now() + ms; performance.now() < end; ) {
    await slice?.pause()
  }
  running = false
  return others
}

describe('work in time slices', () => {
  it('lets others run every few milliseconds', async () => {
    assert.equal(await work(undefined, 100), 0)
    const others = await work(new TimeSlice(), 200)
    assert.ok(others >= 4 && others < 100, `${others} turns`)
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
