import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Pace } from '../../../src/scheduling/pace.ts'

function work(ms: number): void {
  const end = performance.now() + ms
  while (performance.now() < end) {
    // busy
  }
}

async function restAfter(ms: number, pace: Pace): Promise<number> {
  work(ms)
  const began = performance.now()
  await pace.rest()
  return performance.now() - began
}

describe('work that nobody waits for', () => {
  it('rests about as long as it works', async () => {
    // a timer may be a little early
    assert.ok((await restAfter(40, new Pace())) >= 35)
  })

  it('does not rest for a moment of work, nor where somebody waits', async () => {
    let isHurried = true
    const pace = new Pace({ isHurried: () => isHurried })
    assert.ok((await restAfter(40, pace)) < 35)
    isHurried = false
    assert.ok((await restAfter(40, pace)) >= 35)
  })

  it('ends its rest where it is told to stop', async () => {
    const pace = new Pace()
    work(20)
    await assert.rejects(pace.rest({ signal: AbortSignal.abort() }), { name: 'AbortError' })
  })
})
