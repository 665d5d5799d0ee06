import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { MessageMeter } from '../../../../../src/ipfs/node/patches/message-meter.ts'
import { blockMessage, field, framed, wantMessage } from '../../../../fixtures/bitswap-messages.ts'

const digest = Buffer.alloc(32, 1)
const messages = [
  wantMessage([digest, digest]),
  blockMessage([1, 0x55, 0x12, 32], Buffer.alloc(5000, 0x0a)),
  framed(Buffer.alloc(0)),
  framed(Buffer.concat([field(1, Buffer.alloc(0)), field(3, Buffer.alloc(0))])),
]

describe('the meter of messages', () => {
  it('holds what is not whole, however the bytes come in pieces', () => {
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom(...messages), { minLength: 1, maxLength: 5 }),
        fc.array(fc.integer({ min: 1, max: 3000 })),
        fc.integer({ min: 0, max: 40 }),
        (sent, cuts, more) => {
          const meter = new MessageMeter()
          const begun = blockMessage([1, 0x55, 0x12, 32], Buffer.alloc(1000)).subarray(0, 2 + more)
          let bytes = Buffer.concat([...sent, begun])
          for (const cut of cuts) {
            meter.take(bytes.subarray(0, cut))
            bytes = bytes.subarray(cut)
          }
          meter.take(bytes)
          assert.equal(meter.held, more)
        },
      ),
    )
  })

  for (const [what, message] of [
    ['wants', framed(field(1, Buffer.concat(Array(30_000).fill(field(1, Buffer.alloc(0))))))],
    ['blocks', framed(Buffer.concat(Array(30_000).fill(field(3, Buffer.alloc(0)))))],
    ['want lists', framed(Buffer.concat(Array(30_000).fill(field(1, Buffer.alloc(0)))))],
    ['numbers', framed(Buffer.alloc(60_000, Buffer.of(5 << 3, 1)))],
  ] as const) {
    it(`refuses a message of very many ${what}`, () => {
      assert.throws(() => {
        new MessageMeter().take(message)
      }, /more than 20000 fields/)
    })
  }

  it('counts anew for each message', () => {
    const meter = new MessageMeter()
    for (let i = 0; i < 5; i++) {
      meter.take(framed(field(1, Buffer.concat(Array(15_000).fill(field(1, Buffer.alloc(0)))))))
    }
    assert.equal(meter.held, 0)
  })

  it('reads or refuses whatever comes, in a time that grows with its length', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), bytes => {
        const meter = new MessageMeter()
        try {
          meter.take(bytes)
          assert.ok(meter.held >= 0 && meter.held <= bytes.length)
        } catch (err) {
          assert.match((err as Error).message, /bitswap message/)
        }
      }),
      { numRuns: 1000 },
    )
  })
})
