import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { parseChallenges, type Challenge } from '../../../../src/remote/registry/challenges.ts'

describe('a WWW-Authenticate header', () => {
  const table: [string, Challenge[]][] = [
    ['', []],
    ['Basic', [{ scheme: 'basic', params: {} }]],
    ['Basic realm="a b"', [{ scheme: 'basic', params: { realm: 'a b' } }]],
    [
      'Bearer realm="https://h/t",service="s",scope="repository:a:pull,push repository:b:pull", Basic realm="s"',
      [
        {
          scheme: 'bearer',
          params: { realm: 'https://h/t', service: 's', scope: 'repository:a:pull,push repository:b:pull' },
        },
        { scheme: 'basic', params: { realm: 's' } },
      ],
    ],
    [
      'BASIC Realm = x , bearer REALM=y',
      [
        { scheme: 'basic', params: { realm: 'x' } },
        { scheme: 'bearer', params: { realm: 'y' } },
      ],
    ],
    ['Basic realm="say \\"hi\\""', [{ scheme: 'basic', params: { realm: 'say "hi"' } }]],
    // the first of two counts, so that what stands behind can't redirect
    ['Bearer realm="a",realm="b"', [{ scheme: 'bearer', params: { realm: 'a' } }]],
    ['realm="nobody\'s"', []],
    [', ,,', []],
    ['"=="', []],
  ]
  for (const [header, expected] of table) {
    it(`may be ${header}`, () => {
      assert.deepEqual(parseChallenges(header), expected)
    })
  }

  it('of any length is read in one go', () => {
    for (const text of [',', ' ', '"', 'a=', 'a="\\', 'Basic ']) {
      const started = performance.now()
      parseChallenges(text.repeat(10_000))
      assert.ok(performance.now() - started < 1000, text)
    }
  })
})
