import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { EventIds, isEventId } from '../../../src/events/event-id.ts'

describe('the ids of events', () => {
  it('are UUIDs of version 7 that sort in the order in which they were made, whatever the clock does', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 2 ** 47 }), { minLength: 2, maxLength: 50 }), times => {
        let ids = new EventIds()
        const made = times.map((time, i) => {
          const id = ids.next(time)
          if (i % 7 === 3) {
            // a restart
            ids = new EventIds()
            ids.continueAfter(id)
          }
          return id
        })
        assert.ok(made.every(isEventId))
        assert.deepEqual(made.toSorted(), made)
        assert.equal(new Set(made).size, made.length)
      }),
    )
  })

  it('sort also where more are made in a millisecond than it has numbers for', () => {
    const ids = new EventIds()
    const made = Array.from({ length: 10_000 }, () => ids.next(1))
    assert.deepEqual(made.toSorted(), made)
  })

  it('have the time in them', () => {
    assert.match(new EventIds().next(0x0123_4567_89ab), /^01234567-89ab-7000-/)
    for (const text of ['', 'x', '01234567-89ab-4000-8000-000000000000', '01234567-89AB-7000-8000-000000000000']) {
      assert.equal(isEventId(text), false)
    }
  })
})
