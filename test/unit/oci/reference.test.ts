import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { isTag, maxNameLength, parseName, parseReference, parseTag } from '../../../src/oci/reference.ts'

const letter = fc.constantFrom(...'abcxyz019')
const word = fc.string({ unit: letter, minLength: 1, maxLength: 6 })
const separator = fc.oneof(fc.constantFrom('.', '_', '__', '-', '--', '-----'))
const component = fc
  .tuple(word, fc.array(fc.tuple(separator, word), { maxLength: 3 }))
  .map(([first, rest]) => first + rest.flat().join(''))
const name = fc.array(component, { minLength: 1, maxLength: 5 }).map(parts => parts.join('/'))

describe('repository names', () => {
  it('are whatever the grammar makes', () => {
    fc.assert(
      fc.property(name, text => {
        fc.pre(text.length <= maxNameLength)
        assert.equal(parseName(text), text)
      }),
    )
  })

  for (const text of [
    'a',
    'library/alpine',
    'a/b/c/d/e/f',
    '0',
    'a.b',
    'a_b',
    'a__b',
    'a---b',
    'ipfs/bafy',
    'a'.repeat(maxNameLength),
    'blobs/uploads',
    'v2',
  ]) {
    it(`may be ${text.slice(0, 30)}`, () => assert.equal(parseName(text), text))
  }

  for (const text of [
    '',
    '/',
    '/a',
    'a/',
    'a//b',
    'A',
    'aB',
    'a b',
    'a.',
    '.a',
    'a..b',
    '..',
    '.',
    '../a',
    'a/../b',
    '-a',
    'a-',
    '_a',
    'a_',
    'a___b',
    'a._b',
    'a:b',
    'a@b',
    'a\\b',
    'a\n',
    '\na',
    'a\0',
    'a%2fb',
    'é',
    'а',
    'a/_catalog',
    '*',
    'a'.repeat(maxNameLength + 1),
    'ａ',
    undefined,
    null,
    7,
    ['a'],
    { toString: () => 'a' },
  ]) {
    it(`may not be ${JSON.stringify(text)?.slice(0, 30)}`, () => {
      assert.throws(() => parseName(text), { name: 'OciError', code: 'NAME_INVALID', status: 400 })
    })
  }

  it('are checked in no time, however they are meant to slow it down', () => {
    const started = performance.now()
    for (const text of [
      `${'a'.repeat(253)}!`,
      `${'a-'.repeat(127)}`,
      `${'a__'.repeat(84)}!`,
      'a/'.repeat(127),
      '-'.repeat(1_000_000),
    ]) {
      assert.throws(() => parseName(text), { code: 'NAME_INVALID' })
    }
    assert.ok(performance.now() - started < 200)
  })
})

describe('tags', () => {
  for (const text of ['latest', 'v1.0', '_x', 'A-b_C.9', '1', 'a'.repeat(128)]) {
    it(`may be ${text.slice(0, 20)}`, () => {
      assert.equal(parseTag(text), text)
      assert.deepEqual(parseReference(text), { tag: text })
    })
  }

  for (const text of ['', '.a', '-a', 'a/b', 'a b', 'a\n', 'a\0', 'é', 'a'.repeat(129), '..', undefined, 5, ['a']]) {
    it(`may not be ${JSON.stringify(text)?.slice(0, 20)}`, () => {
      assert.equal(isTag(text), false)
      assert.throws(() => parseTag(text), { code: 'TAG_INVALID', status: 400 })
      assert.throws(() => parseReference(text), { code: 'TAG_INVALID' })
    })
  }
})

describe('references', () => {
  it('are digests where they have a colon', () => {
    const digest = `sha256:${'a'.repeat(64)}`
    assert.deepEqual(parseReference(digest), { digest })
    for (const text of ['sha256:', ':', 'a:b', `sha256:${'A'.repeat(64)}`, `sha1:${'a'.repeat(40)}`]) {
      assert.throws(() => parseReference(text), { code: 'DIGEST_INVALID' })
    }
  })

  it('are a tag, a digest or an error of ours', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.anything()), text => {
        try {
          const { tag, digest } = parseReference(text)
          assert.equal(tag ?? digest, text)
        } catch (err) {
          assert.ok(['TAG_INVALID', 'DIGEST_INVALID'].includes((err as { code: string }).code))
        }
      }),
    )
  })
})
