import assert from 'node:assert/strict'
import { it } from 'node:test'
import { imageMatcher } from '../../../src/oci/image-globs.ts'

it('globs of images are about repositories, or some of their tags', () => {
  const matcher = imageMatcher(['prod/**', '*/app:v*', 'one:latest'])
  const cases: Array<[string, string, tag: boolean, repository: boolean, whole: boolean]> = [
    ['prod/a/b', 'x', true, true, true],
    ['dev/app', 'v1.2', true, true, false],
    ['dev/app', 'latest', false, true, false],
    ['dev/x/app', 'v1', false, false, false],
    ['prod/app', 'v1', true, true, true],
    ['one', 'latest', true, true, false],
    ['one', 'latest2', false, true, false],
    ['two', 'latest', false, false, false],
  ]
  for (const [repository, tag, ...expected] of cases) {
    assert.deepEqual(
      [matcher.has(repository, tag), matcher.hasRepository(repository), matcher.hasWhole(repository)],
      expected,
      `${repository}:${tag}`,
    )
  }
})
