import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Allowance } from '../../../src/scheduling/allowance.ts'

describe('an allowance', () => {
  it('can be taken at once, and then comes back little by little', () => {
    let now = 5
    const allowance = new Allowance({ amount: 4, period: 1000, now: () => now })
    for (let i = 0; i < 4; i++) {
      assert.equal(allowance.wait('a'), 0)
      allowance.take('a', 1)
    }
    assert.equal(allowance.wait('a'), 250)
    assert.equal(allowance.wait('b'), 0, 'nobody waits for another')
    now += 250
    assert.equal(allowance.wait('a'), 0)
    allowance.take('a', 1)
    assert.equal(allowance.wait('a'), 250)
    now += 10_000
    for (let i = 0; i < 4; i++) {
      allowance.take('a', 1)
    }
    assert.equal(allowance.wait('a'), 250, 'what is not taken does not add up')
  })

  it('can be overdrawn, and what was too much is owed', () => {
    let now = 0
    const allowance = new Allowance({ amount: 100, period: 1000, now: () => now })
    allowance.take('a', 99)
    assert.equal(allowance.wait('a'), 0)
    allowance.take('a', 1001)
    assert.equal(allowance.wait('a'), 10_010)
    now = 10_010
    assert.equal(allowance.wait('a'), 0)
  })

  it('remembers only so many takers', () => {
    const allowance = new Allowance({ amount: 1, period: 1e9, now: () => 0 })
    allowance.take('first', 1)
    for (let i = 0; i < 50_000; i++) {
      allowance.take(`other ${i}`, 1)
    }
    assert.equal(allowance.wait('first'), 0)
    assert.ok(allowance.wait('other 0') > 0)
  })
})
