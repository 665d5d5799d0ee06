import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import type { BlockKey } from '../../../../src/ipfs/blocks/block-set.ts'
import { RecentSet } from '../../../../src/ipfs/blockstore/recent-set.ts'

const keyOf = (i: number): BlockKey => [i, i, i, i]

describe('a set of what was noted lately', () => {
  it('never drops a key within the period or while it is held, and drops it in the end', () => {
    const step = fc.oneof(
      fc.record({ kind: fc.constant('note' as const), value: fc.integer({ min: 1, max: 5 }) }),
      fc.record({ kind: fc.constant('wait' as const), value: fc.integer({ min: 1, max: 80 }) }),
      fc.record({ kind: fc.constant('hold' as const), value: fc.constant(0) }),
      fc.record({ kind: fc.constant('release' as const), value: fc.nat({ max: 3 }) }),
    )
    fc.assert(
      fc.property(fc.constantFrom(0, 100), fc.array(step, { maxLength: 60 }), (period, steps) => {
        let now = 0
        const set = new RecentSet({ period, now: () => now })
        const noted = new Map<number, number>()
        const holds: Array<{ hold: Disposable; since: number }> = []
        // moments in order, as several things happen in one millisecond
        let moment = 0
        const notedAt = new Map<number, number>()
        for (const { kind, value } of steps) {
          moment++
          if (kind === 'note') {
            set.note(keyOf(value))
            noted.set(value, now)
            notedAt.set(value, moment)
          } else if (kind === 'wait') {
            now += value
          } else if (kind === 'hold') {
            holds.push({ hold: set.hold(), since: moment })
          } else {
            const [released] = holds.splice(value, 1)
            released?.hold[Symbol.dispose]()
            released?.hold[Symbol.dispose]()
          }
          for (const [value, at] of noted) {
            if (now - at < period || holds.some(({ since }) => since < notedAt.get(value)!)) {
              assert.ok(set.has(keyOf(value)), `${value} is gone`)
            }
          }
        }
        holds.forEach(({ hold }) => {
          hold[Symbol.dispose]()
        })
        now += 10 * period + 1
        assert.deepEqual(
          [1, 2, 3, 4, 5].filter(value => set.has(keyOf(value))),
          [],
        )
      }),
    )
  })

  it('keeps nothing for longer than the period and a quarter', () => {
    let now = 0
    const set = new RecentSet({ period: 100, now: () => now })
    set.note(keyOf(1))
    now = 24
    set.note(keyOf(2))
    now = 123
    assert.ok(set.has(keyOf(2)))
    now = 125
    assert.ok(!set.has(keyOf(1)) && !set.has(keyOf(2)))
  })
})

describe('a shorter period than usual', () => {
  it('leaves out what was noted before it, but nothing that is held', () => {
    let now = 0
    const set = new RecentSet({ period: 1000, now: () => now })
    const [old, held, recent] = [1, 2, 3].map(i => [i, i, i, i] as const)
    set.note(old!)
    now = 300
    const hold = set.hold()
    set.note(held!)
    now = 600
    set.note(recent!)
    assert.deepEqual(
      [old, held, recent].map(key => set.has(key!, 0)),
      [false, true, true],
    )
    hold[Symbol.dispose]()
    assert.deepEqual(
      [old, held, recent].map(key => set.has(key!, 0)),
      [false, false, false],
    )
    assert.deepEqual(
      [old, held, recent].map(key => set.has(key!)),
      [true, true, true],
    )
  })
})
