import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { maxPageSize, parsePage } from '../../../src/oci/pagination.ts'

describe('pagination', () => {
  for (const [query, limit, last] of [
    [{}, maxPageSize, undefined],
    [{ n: '1' }, 1, undefined],
    [{ n: '0' }, 0, undefined],
    [{ n: '007' }, 7, undefined],
    [{ n: '999999999999999' }, maxPageSize, undefined],
    [{ last: 'a' }, maxPageSize, 'a'],
    [{ last: '' }, maxPageSize, undefined],
    [{ last: ['a', 'b'] }, maxPageSize, undefined],
    [{ n: '2', last: 'é/\0' }, 2, 'é/\0'],
  ] as const) {
    it(`reads ${JSON.stringify(query)}`, () => assert.deepEqual(parsePage(query), { limit, last }))
  }

  for (const n of [
    '',
    '-1',
    '1.5',
    '1e3',
    'x',
    ' 1',
    '1 ',
    '0x10',
    '+1',
    '1234567890123456',
    '١',
    ['1', '2'],
    {},
    null,
    5,
  ]) {
    it(`refuses n=${JSON.stringify(n)}`, () =>
      assert.throws(() => parsePage({ n }), { name: 'OciError', code: 'PAGINATION_NUMBER_INVALID', status: 400 }))
  }

  it('is a page within the limit or an error of ours', () => {
    fc.assert(
      fc.property(fc.record({ n: fc.anything(), last: fc.anything() }, { requiredKeys: [] }), query => {
        try {
          const { limit } = parsePage(query)
          assert.ok(Number.isInteger(limit) && limit >= 0 && limit <= maxPageSize)
        } catch (err) {
          assert.equal((err as { code: string }).code, 'PAGINATION_NUMBER_INVALID')
        }
      }),
    )
  })
})
