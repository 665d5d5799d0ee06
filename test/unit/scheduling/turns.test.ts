import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Turns } from '../../../src/scheduling/turns.ts'

/** Microtasks alone, as where everything is in memory */
async function work(turns: Turns | undefined, ms: number): Promise<number> {
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
    await turns?.pause()
  }
  running = false
  return others
}

describe('work that takes turns', () => {
  it('lets others have theirs, every few milliseconds', async () => {
    assert.equal(await work(undefined, 100), 0)
    const others = await work(new Turns(), 200)
    assert.ok(others >= 4 && others < 100, `${others} turns`)
  })

  it('does not pause where it is short', async () => {
    const turns = new Turns()
    let paused = false
    setImmediate(() => {
      paused = true
    })
    await turns.pause()
    assert.equal(paused, false)
    await turns.end()
    assert.equal(paused, true)
  })
})
