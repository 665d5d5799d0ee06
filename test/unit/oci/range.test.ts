import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { parseContentRange, parseRange } from '../../../src/oci/range.ts'

const whole = undefined
const refused = 'refused'
const tooMany = 'too many'

function parsed(header: string | undefined, size: number): Array<[number, number]> | string | undefined {
  try {
    return parseRange(header, size)?.map(({ start, end }) => [start, end])
  } catch (err) {
    if ((err as { code: string }).code === 'REQUEST_INVALID') {
      return tooMany
    }
    const { code, status, headers } = err as { code: string; status: number; headers: Record<string, string> }
    assert.deepEqual([code, status, headers['Content-Range']], ['RANGE_INVALID', 416, `bytes */${size}`])
    return refused
  }
}

describe('Range', () => {
  for (const [header, size, expected] of [
    [undefined, 10, whole],
    ['', 10, whole],
    ['bytes', 10, whole],
    ['bytes=', 10, whole],
    ['bytes= ,', 10, whole],
    ['items=0-1', 10, whole],
    ['bytes=a-b', 10, whole],
    ['bytes=1-2-3', 10, whole],
    ['bytes=-', 10, whole],
    ['bytes=--1', 10, whole],
    ['bytes=0-1,x', 10, whole],
    ['bytes 0-1', 10, whole],
    ['bytes=1e1-2', 10, whole],
    ['bytes=0x1-2', 10, whole],
    [`bytes=0-${'9'.repeat(16)}`, 10, whole],
    ['bytes=0-0', 10, [[0, 0]]],
    ['bytes=0-', 10, [[0, 9]]],
    ['bytes=9-', 10, [[9, 9]]],
    ['bytes=0-9', 10, [[0, 9]]],
    ['bytes=0-10', 10, [[0, 9]]],
    ['bytes=5-999', 10, [[5, 9]]],
    [`bytes=0-${'9'.repeat(15)}`, 10, [[0, 9]]],
    ['BYTES=1-2', 10, [[1, 2]]],
    [' bytes=1-2 ', 10, [[1, 2]]],
    ['bytes=01-002', 10, [[1, 2]]],
    ['bytes=-1', 10, [[9, 9]]],
    ['bytes=-10', 10, [[0, 9]]],
    ['bytes=-11', 10, [[0, 9]]],
    ['bytes=-0', 10, refused],
    ['bytes=-00', 10, refused],
    ['bytes=10-', 10, refused],
    ['bytes=10-20', 10, refused],
    ['bytes=500-0', 10, refused],
    ['bytes=5-4', 10, refused],
    ['bytes=0-', 0, refused],
    ['bytes=-5', 0, refused],
    ['bytes=0-0', 0, refused],
    [
      'bytes=0-0,-1',
      10,
      [
        [0, 0],
        [9, 9],
      ],
    ],
    [
      'bytes=0-1, 5-6 ,8-',
      10,
      [
        [0, 1],
        [5, 6],
        [8, 9],
      ],
    ],
    [
      'bytes=5-6,0-1',
      10,
      [
        [5, 6],
        [0, 1],
      ],
    ],
    [
      'bytes=0-1,,2-3',
      10,
      [
        [0, 1],
        [2, 3],
      ],
    ],
    ['bytes=0-1,20-30', 10, [[0, 1]]],
    ['bytes=20-30,40-', 10, refused],
    [
      'bytes=0-5,3-8',
      10,
      [
        [0, 5],
        [3, 8],
      ],
    ],
    [`bytes=${Array(64).fill('0-0').join()}`, 10, Array(64).fill([0, 0])],
    [`bytes=${Array(66).fill('0-0').join()}`, 10, tooMany],
    [`bytes=${Array(1025).fill('20-30').join()}`, 10, tooMany],
  ] as const) {
    it(`${header?.slice(0, 40)} of ${size} bytes`, () => assert.deepEqual(parsed(header, size), expected))
  }

  const bound = fc.oneof(fc.nat(30), fc.maxSafeNat(), fc.constant(''))
  const spec = fc.oneof(
    fc.tuple(bound, bound).map(pair => pair.join('-')),
    fc.string({ maxLength: 5 }),
  )
  const header = fc.oneof(
    fc.array(spec, { maxLength: 70 }).map(specs => `bytes=${specs.join()}`),
    fc.string(),
  )

  it('always means bytes within the body', () => {
    fc.assert(
      fc.property(header, fc.oneof(fc.nat(20), fc.maxSafeNat()), (header, size) => {
        const ranges = parsed(header, size)
        if (Array.isArray(ranges)) {
          assert.ok(ranges.length > 0 && ranges.length <= 1024)
          assert.ok(ranges.every(([start, end]) => Number.isInteger(start) && start >= 0 && start <= end && end < size))
        }
      }),
      { numRuns: 500 },
    )
  })
})

describe('Content-Range', () => {
  for (const [text, expected] of [
    ['0-0', [0, 0]],
    ['0-9', [0, 9]],
    ['10-19', [10, 19]],
    ['bytes 0-9/10', [0, 9]],
    ['bytes 0-9/*', [0, 9]],
    ['bytes=0-9', [0, 9]],
    [' 0-9 ', [0, 9]],
    ['bytes 5-9', [5, 9]],
  ] as const) {
    it(text, () => {
      const { start, end } = parseContentRange(text)
      assert.deepEqual([start, end], expected)
    })
  }

  for (const text of [
    '',
    '-',
    '0-',
    '-5',
    '5-4',
    'a-b',
    '0-9/x',
    'bytes */10',
    '0-1,2-3',
    '1e3-2e3',
    '-1-5',
    `0-${'9'.repeat(16)}`,
    '0 - 9',
    'bytes  0-9',
    '0-9\n0-9',
  ]) {
    it(`refuses ${JSON.stringify(text)}`, () =>
      assert.throws(() => parseContentRange(text), { name: 'OciError', code: 'RANGE_INVALID', status: 416 }))
  }

  it('is a range or an error of ours', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.tuple(fc.nat(), fc.nat()).map(pair => pair.join('-')),
        ),
        text => {
          try {
            const { start, end } = parseContentRange(text)
            assert.ok(Number.isSafeInteger(start) && start >= 0 && start <= end && Number.isSafeInteger(end))
          } catch (err) {
            assert.equal((err as { code: string }).code, 'RANGE_INVALID')
          }
        },
      ),
    )
  })
})
