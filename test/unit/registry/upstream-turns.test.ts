import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Digest } from '../../../src/oci/digest.ts'
import { placeInLine, seedOf } from '../../../src/registry/mirror/fetch/upstream-turns.ts'

const digest: Digest = `sha256:${'ab'.repeat(32)}`
const seeds = Array.from({ length: 8 }, (_, i) => seedOf(digest, `peer ${i}`))
const segments = Array.from({ length: 400 }, (_, i) => i * 4)

/** Which of some appliances is the first to ask upstream for a leaf */
function first(leaf: number, of: readonly number[]): number {
  return of.findIndex(self => placeInLine(leaf, self, without(self, of)) === 0)
}

function without(one: number, seeds: readonly number[]): number[] {
  return seeds.filter(seed => seed !== one)
}

describe('the turns of appliances that fetch the same blob', () => {
  it('are a line for each segment, in which each has a place of its own', () => {
    for (const leaf of segments) {
      const places = seeds.map(self => placeInLine(leaf, self, without(self, seeds)))
      assert.deepEqual(places.toSorted(), [0, 1, 2, 3, 4, 5, 6, 7])
      assert.equal(first(leaf + 3, seeds), first(leaf, seeds))
    }
    assert.equal(placeInLine(0, seeds[0]!, []), 0)
  })

  it('give each about as many segments', () => {
    const counts = seeds.map((_, i) => segments.filter(leaf => first(leaf, seeds) === i).length)
    assert.ok(
      counts.every(count => count > 25 && count < 80),
      counts.join(),
    )
  })

  it('change only for the segments of one that goes', () => {
    const left = seeds.slice(0, 7)
    for (const leaf of segments) {
      const before = first(leaf, seeds)
      assert.ok(before === 7 || first(leaf, left) === before)
    }
  })

  it('differ from blob to blob', () => {
    const others = seeds.map((_, i) => seedOf(`sha256:${'cd'.repeat(32)}`, `peer ${i}`))
    assert.ok(segments.some(leaf => first(leaf, seeds) !== first(leaf, others)))
  })
})
