import assert from 'node:assert/strict'
import { test } from 'node:test'
import { blockMessage } from '../../../../../src/ipfs/node/patches/block-messages.ts'
import { MessageMeter } from '../../../../../src/ipfs/node/patches/message-meter.ts'

const prefix = Buffer.from('01551220', 'hex')

test('a message has an empty want list, and a block with its prefix and bytes', () => {
  const data = Buffer.alloc(300, 'x')
  const message = Buffer.from(blockMessage({ prefix, data }).subarray())
  // lengths of two bytes: 314, 309 and 300
  assert.equal(message.toString('hex'), `ba02${'0a00'}${'1ab502'}${'0a0401551220'}${'12ac02'}${data.toString('hex')}`)
})

test('a message is as long as it says, whatever the length of its block', () => {
  for (const length of [0, 1, 115, 116, 127, 128, 16_383, 16_384, 1024 * 1024, 2 * 1024 * 1024]) {
    const meter = new MessageMeter()
    const message = blockMessage({ prefix, data: Buffer.alloc(length) }).subarray()
    meter.take(message.subarray(0, -1))
    assert.notEqual(meter.held, 0)
    meter.take(message.subarray(-1))
    assert.equal(meter.held, 0)
  }
})

test('the bytes of a block are not copied', () => {
  const data = Buffer.alloc(1000)
  assert.equal([...blockMessage({ prefix, data })].at(-1), data)
})
