import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { sortInSlices } from '../../../src/scheduling/sort-in-slices.ts'

describe('sorting in slices', () => {
  it('is stable, and gives what toSorted gives', async () => {
    const item = fc.record({ rank: fc.nat(20), at: fc.nat() })
    await fc.assert(
      fc.asyncProperty(fc.array(item, { maxLength: 3000, size: 'max' }), async items => {
        const compare = (a: { rank: number }, b: { rank: number }): number => a.rank - b.rank
        assert.deepEqual(await sortInSlices(items, compare), items.toSorted(compare))
      }),
      { numRuns: 30 },
    )
  })

  it('lets others have their turn', async () => {
    let turns = 0
    const timer = setInterval(() => turns++, 1)
    try {
      const values = Array.from({ length: 200_000 }, (_, i) => (i * 7919) % 200_000)
      await sortInSlices(values, (a, b) => a - b)
    } finally {
      clearInterval(timer)
    }
    assert.ok(turns > 2, `${turns} turns`)
  })
})
