import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { formatImageName, parseImageName } from '../../../src/oci/image-name.ts'
import { sha256 } from '../../fixtures/images.ts'

const digest = sha256(Buffer.from('x'))

describe('the name of an image', () => {
  for (const [text, host, repository, reference, explicit] of [
    ['x', undefined, 'x', { tag: 'latest' }, false],
    ['a/b/c:v1', undefined, 'a/b/c', { tag: 'v1' }, true],
    ['localhost/x', 'localhost', 'x', { tag: 'latest' }, false],
    ['localhost:5000/x:v1', 'localhost:5000', 'x', { tag: 'v1' }, true],
    ['registry.example/a/b', 'registry.example', 'a/b', { tag: 'latest' }, false],
    ['[::1]:5000/x', '[::1]:5000', 'x', { tag: 'latest' }, false],
    [`x@${digest}`, undefined, 'x', { digest }, true],
  ] as const) {
    it(`may be ${text}`, () => {
      const name = parseImageName(text)
      assert.deepEqual(name, { host, repository, reference, explicit })
      assert.equal(formatImageName(name), explicit ? text : `${text}:latest`)
    })
  }

  it('has a tag that a digest goes over', () =>
    assert.deepEqual(parseImageName(`x:v1@${digest}`).reference, { digest }))

  for (const [text, code] of [
    ['', 'NAME_INVALID'],
    ['/x', 'NAME_INVALID'],
    ['x/', 'NAME_INVALID'],
    ['../x', 'NAME_INVALID'],
    ['a/../b', 'NAME_INVALID'],
    ['X', 'NAME_INVALID'],
    ['a b', 'NAME_INVALID'],
    ['host:port/x', 'NAME_INVALID'],
    ['x:', 'TAG_INVALID'],
    ['x:a/b', 'NAME_INVALID'],
    ['x:..', 'TAG_INVALID'],
    ['x@', 'TAG_INVALID'],
    ['x@v1', 'DIGEST_INVALID'],
    ['x@sha256:abc', 'DIGEST_INVALID'],
    ['x\n', 'NAME_INVALID'],
    ['x:v1\n', 'TAG_INVALID'],
  ] as const) {
    it(`is not ${JSON.stringify(text)}`, () => assert.throws(() => parseImageName(text), { name: 'OciError', code }))
  }
})
