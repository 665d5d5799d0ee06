import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { compareVersions, parseSemanticVersion } from '../../../src/oci/semantic-version.ts'

describe('a semantic version', () => {
  /** In their order, as semver.org has it */
  const ordered = [
    '0.0.1-0',
    '0.0.1',
    'v0.2.0',
    '1.0.0-1',
    '1.0.0-alpha',
    '1.0.0-alpha.1',
    '1.0.0-alpha.beta',
    '1.0.0-beta',
    '1.0.0-beta.2',
    '1.0.0-beta.11',
    'v1.0.0-rc.1',
    '1.0.0',
    '1.9.9',
    '1.10.0',
    '2.0.0-x-y.--.0a',
    'V2.0.0',
    '2.1.1',
    '99999999999999999999.0.0',
    '99999999999999999999.0.1',
  ]

  it('is lower or higher than others', () => {
    for (const [position, tag] of ordered.entries()) {
      for (const [other, otherTag] of ordered.entries()) {
        const result = compareVersions(parseSemanticVersion(tag)!, parseSemanticVersion(otherTag)!)
        assert.equal(Math.sign(result), Math.sign(position - other), `${tag} and ${otherTag}`)
      }
    }
  })

  it('is the same with a v, and with metadata of the build', () => {
    for (const tag of ['v1.2.3-rc.1', '1.2.3-rc.1_build.5', 'v1.2.3-rc.1_linux-amd64']) {
      assert.deepEqual(parseSemanticVersion(tag), parseSemanticVersion('1.2.3-rc.1'), tag)
    }
  })

  it('is not what only looks like one', () => {
    for (const tag of [
      '1',
      '1.2',
      '1.2.3.4',
      '01.2.3',
      '1.2.3-',
      '1.2.3-01',
      '1.2.3-a..b',
      'latest',
      'x1.2.3',
      'vv1.2.3',
    ]) {
      assert.equal(parseSemanticVersion(tag), undefined, tag)
    }
  })
})
