import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import {
  algorithmOf,
  digestAlgorithms,
  digestFrom,
  hexOf,
  isDigest,
  isDigestAlgorithm,
  parseDigest,
} from '../../../src/oci/digest.ts'

const hex = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'
const valid = fc
  .record({ algorithm: fc.constantFrom(...digestAlgorithms), bytes: fc.uint8Array() })
  .map(({ algorithm, bytes }) => ({ algorithm, hex: createHash(algorithm).update(bytes).digest('hex') }))

describe('digest', () => {
  it('takes every digest of a known algorithm apart and together', () => {
    fc.assert(
      fc.property(valid, ({ algorithm, hex }) => {
        const digest = parseDigest(`${algorithm}:${hex}`)
        assert.deepEqual([algorithmOf(digest), hexOf(digest), digestFrom(algorithm, hex)], [algorithm, hex, digest])
      }),
    )
  })

  for (const [why, text] of [
    ['empty', ''],
    ['no algorithm', hex],
    ['empty algorithm', `:${hex}`],
    ['unknown algorithm', `md5:${hex}`],
    ['upper-case algorithm', `SHA256:${hex}`],
    ['upper-case hex', `sha256:${hex.toUpperCase()}`],
    ['short', `sha256:${hex.slice(1)}`],
    ['long', `sha256:${hex}0`],
    ['not hex', `sha256:${hex.slice(1)}g`],
    ['sha512 with the length of sha256', `sha512:${hex}`],
    ['two colons', `sha256::${hex.slice(1)}`],
    ['a space before', ` sha256:${hex}`],
    ['a line after', `sha256:${hex}\n`],
    ['a NUL', `sha256:${hex.slice(1)}\0`],
    ['a path', `sha256:${'../'.repeat(21)}a`],
    ['a name of every object', 'constructor:abc'],
    ['another', '__proto__:abc'],
    ['no text', undefined],
    ['null', null],
    ['a number', 5],
    ['an array', [`sha256:${hex}`]],
    ['an object', { toString: () => `sha256:${hex}` }],
  ] as const) {
    it(`refuses what is not one: ${why}`, () => {
      assert.equal(isDigest(text), false)
      assert.throws(() => parseDigest(text), { name: 'OciError', code: 'DIGEST_INVALID', status: 400 })
    })
  }

  it('never throws anything else, and tells only a part of a long text', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string({ maxLength: 1000 }), fc.anything()), text => {
        try {
          parseDigest(text)
          assert.ok(isDigest(text))
        } catch (err) {
          const { name, detail } = err as Error & { detail: { digest: string | null } }
          assert.equal(name, 'OciError')
          assert.ok((detail.digest?.length ?? 0) <= 200)
        }
      }),
    )
  })

  it('knows the algorithms by their exact names', () => {
    assert.deepEqual(
      ['sha256', 'sha512', 'sha1', 'SHA256', 'toString', '__proto__', '', undefined, 5].map(isDigestAlgorithm),
      [true, true, ...Array(7).fill(false)],
    )
  })
})
