import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { readParts } from '../../../../src/http/responses/range-parts.ts'
import { randomBytes } from '../../../fixtures/images.ts'

const mebibyte = 1024 * 1024
const body = randomBytes(3 * mebibyte + 7, 'body')

/** Reads the ranges of the body in chunks of this size; each chunk is overwritten after it was used */
async function read(
  ranges: ReadonlyArray<readonly [start: number, end: number]>,
  chunkSize: number,
): Promise<{ sent: Buffer; reads: number; bytesRead: number }> {
  let reads = 0
  let bytesRead = 0
  const sent: Buffer[] = []
  const source = async function* ({ start, end }: { start: number; end: number }): AsyncGenerator<Uint8Array> {
    reads++
    const chunk = new Uint8Array(chunkSize)
    for (let offset = start; offset <= end; offset += chunkSize) {
      const length = Math.min(chunkSize, end + 1 - offset)
      bytesRead += length
      chunk.set(body.subarray(offset, offset + length))
      yield chunk.subarray(0, length)
      chunk.fill(0)
    }
  }
  for await (const bytes of readParts(
    source,
    ranges.map(([start, end], i) => ({ header: `<${i}>`, range: { start, end } })),
  )) {
    sent.push(Buffer.from(bytes))
  }
  return { sent: Buffer.concat(sent), reads, bytesRead }
}

function expected(ranges: ReadonlyArray<readonly [number, number]>): Buffer {
  return Buffer.concat(ranges.flatMap(([start, end], i) => [Buffer.from(`<${i}>`), body.subarray(start, end + 1)]))
}

describe('the bytes of several ranges', () => {
  const range = fc
    .tuple(fc.integer({ min: 0, max: body.byteLength - 1 }), fc.integer({ min: 0, max: 200_000 }))
    .map(([start, length]) => [start, Math.min(start + length, body.byteLength - 1)] as const)

  it('are those that were asked for, in that order, however they come', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(range, { minLength: 1, maxLength: 12 }),
        fc.boolean(),
        fc.constantFrom(1000, 65_536, mebibyte),
        async (ranges, isSorted, chunkSize) => {
          const asked = isSorted ? ranges.toSorted(([a], [b]) => a - b) : ranges
          assert.ok((await read(asked, chunkSize)).sent.equals(expected(asked)))
        },
      ),
      { numRuns: 200 },
    )
  })

  it('are read once where they lie close to each other', async () => {
    const near = Array.from({ length: 1000 }, (_, i) => [i * 1000, i * 1000 + 9] as const)
    const { reads, bytesRead, sent } = await read(near, 65_536)
    assert.deepEqual([reads, bytesRead], [1, 999 * 1000 + 10])
    assert.ok(sent.equals(expected(near)))
  })

  it('are read apart where much lies between them, or they overlap', async () => {
    for (const ranges of [
      [
        [0, 9],
        [2 * mebibyte, 2 * mebibyte + 9],
      ],
      [
        [0, 9],
        [9, 12],
      ],
      [
        [100, 109],
        [0, 9],
      ],
    ] as const) {
      const { reads, sent } = await read(ranges, 65_536)
      assert.equal(reads, 2)
      assert.ok(sent.equals(expected(ranges)))
    }
  })
})
