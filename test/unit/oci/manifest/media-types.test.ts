import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { isForeignLayer, isMediaType, parseMediaType } from '../../../../src/oci/manifest/media-types.ts'

describe('media types', () => {
  for (const [header, expected] of [
    ['application/json', 'application/json'],
    ['Application/JSON', 'application/json'],
    [' application/json ; charset=utf-8', 'application/json'],
    ['application/vnd.oci.image.index.v1+json', 'application/vnd.oci.image.index.v1+json'],
    ['a/b;c/d', 'a/b'],
    [undefined, undefined],
    ['', undefined],
    [';', undefined],
    ['json', undefined],
    ['a/', undefined],
    ['/b', undefined],
    ['a/b/c', undefined],
    ['a b/c', undefined],
    ['a/b\r\nX: y', undefined],
    ['a/b\n', 'a/b'],
    ['é/b', undefined],
    ['*/*', undefined],
    [`a/${'b'.repeat(127)}`, `a/${'b'.repeat(127)}`],
    [`a/${'b'.repeat(128)}`, undefined],
  ] as const) {
    it(`reads ${JSON.stringify(header)?.slice(0, 50)}`, () => assert.equal(parseMediaType(header), expected))
  }

  it('are checked as a whole', () => {
    assert.deepEqual(['a/b', 'A/B+c', 'a/b; c=d', 'a/b ', ' a/b', 'a/b\n', 'a'].map(isMediaType), [
      true,
      true,
      ...Array(5).fill(false),
    ])
  })

  for (const [type, foreign] of [
    ['application/vnd.docker.image.rootfs.foreign.diff.tar.gzip', true],
    ['application/vnd.oci.image.layer.nondistributable.v1.tar', true],
    ['application/vnd.oci.image.layer.nondistributable.v1.tar+gzip', true],
    ['application/vnd.oci.image.layer.nondistributable.v1.tar+zstd', true],
    ['application/vnd.docker.image.rootfs.diff.tar.gzip', false],
    ['application/vnd.oci.image.layer.v1.tar', false],
    ['x-application/vnd.docker.image.rootfs.foreign.diff', false],
    ['', false],
  ] as const) {
    it(`${type} is ${foreign ? '' : 'not '}foreign`, () => assert.equal(isForeignLayer(type), foreign))
  }
})
