import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { Ordered } from '../../../../../src/registry/overview/catalogue/ordered.ts'

interface Item {
  key: string
  rank: number
}

const compare = (a: Item, b: Item): number => a.rank - b.rank || (a.key < b.key ? -1 : 1)

describe('values in an order', () => {
  it('are those of a list that is sorted anew with each change', () => {
    const key = fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f')
    const action = fc.oneof(
      fc.record({ kind: fc.constant('set' as const), key, rank: fc.nat(5) }),
      fc.record({ kind: fc.constant('delete' as const), key }),
      // the value stays and changes its place
      fc.record({ kind: fc.constant('move' as const), key, rank: fc.nat(5) }),
      fc.record({ kind: fc.constant('look' as const) }),
    )
    fc.assert(
      fc.property(fc.array(action, { maxLength: 60 }), actions => {
        const [ordered, model] = [new Ordered<Item>(compare), new Map<string, Item>()]
        for (const one of [...actions, { kind: 'look' as const }]) {
          if (one.kind === 'set') {
            const item = { key: one.key, rank: one.rank }
            ordered.set(one.key, item)
            model.set(one.key, item)
          } else if (one.kind === 'delete') {
            ordered.delete(one.key)
            model.delete(one.key)
          } else if (one.kind === 'move') {
            const item = model.get(one.key)
            if (item !== undefined) {
              item.rank = one.rank
              ordered.set(one.key, item)
            }
          } else {
            assert.deepEqual(ordered.all, [...model.values()].sort(compare))
          }
        }
      }),
      { numRuns: 2000 },
    )
  })
})
