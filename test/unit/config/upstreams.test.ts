import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { loadConfig, parseConfig } from '../../../src/config/load.ts'
import { problemsOf } from '../../fixtures/config-problems.ts'

const defaults = { repositories: ['**'], platforms: [], tagTtl: 60, maxRate: 0, maxRequests: 32 }

describe('upstreams of the configuration', () => {
  const hub = { ...defaults, name: 'docker.io', url: 'https://registry-1.docker.io' }

  it('are a list, or a mapping of names', () => {
    const more = { repositories: ['library/*'], platforms: ['linux/amd64'], tagTtl: '5m', maxRate: '50MiB' }
    const quay = {
      ...defaults,
      name: 'quay.io:443',
      url: 'https://q.example',
      ...more,
      tagTtl: 300,
      maxRate: 52_428_800,
    }
    const lists = [
      ['docker.io', { name: 'quay.io:443', url: 'https://q.example', ...more }],
      { 'docker.io': null, 'quay.io:443': { url: 'https://q.example', ...more } },
    ]
    for (const upstreams of lists) {
      assert.deepEqual(parseConfig({ upstreams }).upstreams, [hub, quay])
    }
    assert.deepEqual(parseConfig({ upstreams: { 'ghcr.io': 'http://127.0.0.1:5300' } }).upstreams, [
      { ...defaults, name: 'ghcr.io', url: 'http://127.0.0.1:5300' },
    ])
  })

  it('are prefetched as globs say, every hour or as it says', () => {
    const names = ['library/node:22*', '**', `a/b@sha256:${'0'.repeat(64)}`]
    for (const [given, every] of [
      [{ names }, 3600],
      [{ names, every: '1d' }, 86_400],
    ] as const) {
      const [upstream] = parseConfig({ upstreams: { 'docker.io': { prefetch: given, platforms: ['all'] } } }).upstreams
      assert.deepEqual([upstream?.prefetch, upstream?.platforms], [{ names, every }, ['all']])
    }
  })

  it('are flags and a variable', () => {
    const flags = { upstreams: ['docker.io', 'a.example=http://127.0.0.1:5300'] }
    const env = { IPDR_UPSTREAMS: 'docker.io,a.example=http://127.0.0.1:5300' }
    const expected = [hub, { ...defaults, name: 'a.example', url: 'http://127.0.0.1:5300' }]
    assert.deepEqual(loadConfig({ flags, env: {}, systemFile: '/none' }).upstreams, expected)
    assert.deepEqual(loadConfig({ env, systemFile: '/none' }).upstreams, expected)
  })

  const refused: Array<[unknown, RegExp]> = [
    [['Docker.io'], /^upstreams\[0\]\.name: must be the host of a registry .*, got "Docker.io"/],
    [['docker.io=ftp://a.example'], /^upstreams\[0\]\.url: must be an http or https URL/],
    [['docker.io=https://a.example/path'], /^upstreams\[0\]\.url: must be an http or https URL/],
    [['docker.io=https://u:secret@a.example'], /^upstreams\[0\]\.url: must be an http or https URL(?!.*secret)/],
    [[5], /^upstreams\[0\]: must be NAME=URL, or a mapping with name and url, got 5/],
    [[null], /^upstreams\[0\]: must be NAME=URL, or a mapping/],
    [['docker.io', 'docker.io=http://a.example'], /^upstreams\[1\]\.name: is listed twice/],
    [5, /^upstreams: must be a list or a mapping of names, got 5/],
    [{ 'a.b': { tagTtl: 'soon' } }, /^upstreams\.a\.b\.tagTtl: must be a duration such as 1m, got "soon"/],
    [{ 'a.b': { maxRate: '1KiB' } }, /^upstreams\.a\.b\.maxRate: must be a size such as 50MiB, from 64KiB, or off/],
    [{ 'a.b': { tagTTL: '1m' } }, /^upstreams\.a\.b: has an unknown key, tagTTL/],
    [{ 'a.b': { platforms: ['amd64'] } }, /^upstreams\.a\.b\.platforms\[0\]: must be a platform such as linux\/amd64/],
    [{ 'a.b': { prefetch: ['x'] } }, /^upstreams\.a\.b\.prefetch: must be a mapping with names and every/],
    [{ 'a.b': { prefetch: { names: [] } } }, /^upstreams\.a\.b\.prefetch\.names: must not be empty/],
    [
      { 'a.b': { prefetch: { names: ['x:y:z'] } } },
      /^upstreams\.a\.b\.prefetch\.names\[0\]: must be a repository with a tag/,
    ],
    [
      { 'a.b': { prefetch: { names: ['x'], every: '1s' } } },
      /^upstreams\.a\.b\.prefetch\.every: must be a duration such as 1h/,
    ],
    [{ 'a.b': { prefetch: { name: ['x'], names: ['x'] } } }, /^upstreams\.a\.b\.prefetch: has an unknown key, name/],
    [{ 'a.b': { repositories: 'x' } }, /^upstreams\.a\.b\.repositories: must be a list, got "x"/],
    [
      { 'a.b': { credentials: '/a', credentialHelper: 'pass' } },
      /^upstreams\.a\.b\.credentialHelper: must not be set beside credentials/,
    ],
  ]
  for (const [upstreams, message] of refused) {
    it(`are refused as ${JSON.stringify(upstreams)}`, () => assert.match(problemsOf({ upstreams }), message))
  }

  it('have the one that registryMirror names', () => {
    assert.equal(parseConfig({ upstreams: ['docker.io'], registryMirror: 'docker.io' }).registryMirror, 'docker.io')
    for (const upstreams of [undefined, ['ghcr.io'], [null]]) {
      assert.match(problemsOf({ upstreams, registryMirror: 'docker.io' }), /registryMirror: must be the name of one of/)
    }
  })
})
