import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { describe, it } from 'node:test'
import type { Request } from 'express'
import { BodyMemory } from '../../../../src/http/bodies/body-memory.ts'
import { readBody } from '../../../../src/http/bodies/whole-body.ts'

const init = {
  maxBytes: 1000,
  tooLarge: 'SIZE_INVALID' as const,
  rate: { bytes: 0, period: 1000 },
  memory: new BodyMemory({ max: 0, maxPerClient: 0 }),
}

function requestOf(chunks: readonly Uint8Array[], httpVersionMajor: number): Request {
  const waiting = [...chunks]
  const body = new Readable({
    highWaterMark: 1,
    read() {
      this.push(waiting.shift() ?? null)
    },
  })
  return Object.assign(body, { httpVersionMajor, socket: {}, get: () => undefined }) as unknown as Request
}

describe('the pieces of a body', () => {
  const [one, other] = ['abc', 'defg'].map(letters => new TextEncoder().encode(letters)) as [Uint8Array, Uint8Array]

  it('of HTTP/2 share their memory with each other, and stay', async () => {
    using body = await readBody(requestOf([one, other], 2), init)
    assert.equal(Buffer.from(body.bytes).toString(), 'abcdefg')
    assert.deepEqual([one.byteLength, other.byteLength], [3, 4])
  })

  it('of HTTP/1 are freed as soon as they are copied', async () => {
    using body = await readBody(requestOf([one, other], 1), init)
    assert.equal(Buffer.from(body.bytes).toString(), 'abcdefg')
    assert.deepEqual([one.byteLength, other.byteLength], [0, 0])
  })

  it('are not freed where something else is in the same memory', async () => {
    const shared = Buffer.from('abcdefg')
    using body = await readBody(requestOf([shared.subarray(0, 3), shared.subarray(3)], 1), init)
    assert.equal(Buffer.from(body.bytes).toString(), 'abcdefg')
    assert.equal(shared.toString(), 'abcdefg')
  })
})
