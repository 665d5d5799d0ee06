import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { blockKey, BlockMap, BlockSet, type BlockKey } from '../../../../src/ipfs/blocks/block-set.ts'

/** Few values, so that keys differ in one word only, share a part, and are all zeros now and then */
const key = fc.tuple(...Array.from({ length: 4 }, () => fc.constantFrom(0, 1, 255, 256, 0xffffffff))) as fc.Arbitrary<
  [number, number, number, number]
>

describe('a set of blocks', () => {
  it('is a set', () => {
    fc.assert(
      fc.property(fc.array(key, { maxLength: 200 }), fc.array(key), (added, asked) => {
        const set = new BlockSet()
        const model = new Set<string>()
        for (const key of added) {
          assert.equal(set.add(key), !model.has(key.join()))
          model.add(key.join())
        }
        assert.equal(set.size, model.size)
        for (const key of [...added, ...asked]) {
          assert.equal(set.has(key), model.has(key.join()))
        }
      }),
    )
  })

  it('holds many', () => {
    const keyOf = (i: number): BlockKey => [Math.imul(i, 2654435761) >>> 0, Math.imul(i, 40503) >>> 0, i, 7]
    const set = new BlockSet()
    for (let i = 0; i < 100_000; i++) {
      set.add(keyOf(i))
    }
    assert.equal(set.size, 100_000)
    for (let i = 0; i < 100_000; i++) {
      assert.ok(set.has(keyOf(i)))
      assert.ok(!set.has(keyOf(100_000 + i)))
    }
  })

  it('takes the first 16 bytes of a digest, however long that is', () => {
    assert.deepEqual(
      blockKey(Uint8Array.from([255, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 99, 99])),
      [0xff000001, 0x02030405, 0x06070809, 0x0a0b0c0d],
    )
    assert.deepEqual(blockKey(Uint8Array.from([1, 2])), [0x01020000, 0, 0, 0])
  })
})

describe('a map of blocks', () => {
  it('is a map, but for the key that nobody has', () => {
    const value = fc.record({ exact: fc.maxSafeNat(), small: fc.nat({ max: 2 ** 32 - 1 }) })
    fc.assert(
      fc.property(fc.array(fc.tuple(key, value), { maxLength: 200 }), fc.array(key), (set, asked) => {
        const map = new BlockMap()
        const model = new Map<string, unknown>()
        for (const [key, { exact, small }] of set) {
          map.set(key, exact, small)
          model.set(key.join(), { exact, small })
        }
        model.delete('0,0,0,0')
        for (const key of [...set.map(([key]) => key), ...asked]) {
          assert.deepEqual(map.get(key), model.get(key.join()))
        }
      }),
    )
  })
})
