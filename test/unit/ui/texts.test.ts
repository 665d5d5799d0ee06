import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { count, formatAge, formatSize, plain, shortDigest } from '../../../ui/parts/texts.ts'

describe('texts of pages', () => {
  it('show what can not be seen by its code', () => {
    assert.equal(plain('a\u202eb\u200bc\u0000d\ufeff'), 'a⟨U+202E⟩b⟨U+200B⟩c⟨U+0000⟩d⟨U+FEFF⟩')
    assert.equal(plain('two\nlines\t<b>ä שלום</b> 😀'), 'two\nlines\t<b>ä שלום</b> 😀')
  })

  it('write sizes with three digits', () => {
    const sizes = [0, 1, 999, 1000, 12_345, 999_499, 3_000_000, 123_456_789, 5e12, 2 ** 53]
    assert.deepEqual(sizes.map(formatSize), [
      '0 bytes',
      '1 byte',
      '999 bytes',
      '1.00 kB',
      '12.3 kB',
      '999 kB',
      '3.00 MB',
      '123 MB',
      '5.00 TB',
      '9.01 PB',
    ])
  })

  it('write how long ago something was', () => {
    const now = Date.parse('2026-11-30T12:00:00Z')
    const ages = [10, 120, 7200, 86_400, 40 * 86_400, 800 * 86_400].map(s => formatAge(new Date(now - s * 1000), now))
    assert.deepEqual(ages, ['just now', '2 minutes ago', '2 hours ago', 'yesterday', 'last month', '2 years ago'])
  })

  it('count and shorten', () => {
    assert.deepEqual(
      [
        count(1, 'tag'),
        count(1234, 'tag'),
        count(2, 'repository', 'repositories'),
        shortDigest(`sha256:${'ab'.repeat(32)}`),
      ],
      ['1 tag', '1,234 tags', '2 repositories', 'sha256:abababababab'],
    )
  })
})
