import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { checkClock } from '../../../../src/appliance/doctor/check-clock.ts'
import { clockSkew } from '../../../../src/remote/http/clock-skew.ts'

describe('the check of the clock', () => {
  it('takes a difference for certain only where the whole seconds of a date and the time of the answer leave no doubt', () => {
    const date = Date.parse('2026-11-30T10:00:00Z')
    const headers = new Headers({ Date: new Date(date).toUTCString() })
    assert.equal(clockSkew(headers, date + 500, date + 700), 0)
    assert.equal(clockSkew(headers, date - 300, date + 5000), 0)
    assert.equal(clockSkew(headers, date - 60_000, date - 59_000), 59_000)
    assert.equal(clockSkew(headers, date + 60_000, date + 61_000), -59_000)
    assert.equal(clockSkew(new Headers(), 0, 0), undefined)
    assert.equal(clockSkew(new Headers({ Date: 'yesterday' }), 0, 0), undefined)
  })

  it('warns of more than 30 seconds, and says who is ahead', () => {
    assert.deepEqual(
      checkClock([
        { whose: 'the server', skew: 30_000 },
        { whose: 'upstream a.test', skew: 31_000 },
        { whose: 'upstream b.test', skew: -90_000 },
      ]).map(({ found, outcome }) => [outcome, found.split(',')[0]]),
      [
        ['warning', 'this machine is 31 s behind upstream a.test'],
        ['warning', 'this machine is 90 s ahead of upstream b.test'],
      ],
    )
    assert.deepEqual(checkClock([{ whose: 'the server', skew: -500 }]), [
      { check: 'clock', outcome: 'ok', found: 'agrees with the server' },
    ])
    assert.equal(checkClock([])[0]!.outcome, 'ok')
  })
})
