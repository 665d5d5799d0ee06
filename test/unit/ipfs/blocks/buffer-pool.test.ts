import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { BufferPool } from '../../../../src/ipfs/blocks/buffer-pool.ts'

const second = 1000

function burst(pool: BufferPool, size: number): Uint8Array[] {
  const taken = Array.from({ length: size }, () => pool.take())
  taken.forEach(buffer => {
    pool.give(buffer)
  })
  return taken
}

describe('a pool of buffers', () => {
  it('makes no new ones for bursts that follow each other, and drops what nobody needs any more', t => {
    t.mock.timers.enable({ apis: ['setTimeout'] })
    const pool = new BufferPool(10, 2)
    const first = new Set(burst(pool, 20))
    for (let i = 0; i < 30; i++) {
      t.mock.timers.tick(second)
      assert.ok(burst(pool, 20).every(buffer => first.has(buffer)))
    }
    for (let i = 0; i < 30; i++) {
      t.mock.timers.tick(second)
      burst(pool, 5)
    }
    assert.equal(pool.free, 5)
    t.mock.timers.tick(10 * second)
    t.mock.timers.tick(10 * second)
    assert.equal(pool.free, 2)
  })
})
