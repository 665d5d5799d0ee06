import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { loadConfig, parseConfig } from '../../../src/config/load.ts'
import { problemsOf } from '../../fixtures/config-problems.ts'

describe('policies of the configuration', () => {
  it('are none by default', () => {
    const { immutableTags, retention, retentionInterval } = parseConfig({})
    assert.deepEqual(
      { immutableTags, retention, retentionInterval },
      { immutableTags: [], retention: [], retentionInterval: 86_400 },
    )
  })

  it('have rules of retention, with durations in seconds', () => {
    const retention = [
      {
        images: 'dev/**:pr-*',
        keep: { last: 3, pushedWithin: '3d', pulledWithin: '1h', tags: 'x', versions: 2, releases: 1 },
      },
      { images: ['a', 'b'], untagged: '7d' },
      { images: ['prod/**'], protect: true },
    ]
    assert.deepEqual(parseConfig({ retention }).retention, [
      {
        images: ['dev/**:pr-*'],
        keep: { last: 3, pushedWithin: 259_200, pulledWithin: 3600, tags: ['x'], versions: 2, releases: 1 },
      },
      { images: ['a', 'b'], untagged: 604_800 },
      { images: ['prod/**'], protect: true },
    ])
  })

  it('have rules as texts, too, for flags and a variable', () => {
    const env = { IPDR_RETENTION: 'dev/**:pr-*=last:10+pulledWithin:7d+tags:main, a=untagged:1d,prod/**=protect' }
    assert.deepEqual(loadConfig({ env, systemFile: '/none' }).retention, [
      { images: ['dev/**:pr-*'], keep: { last: 10, pulledWithin: 604_800, tags: ['main'] } },
      { images: ['a'], untagged: 86_400 },
      { images: ['prod/**'], protect: true },
    ])
  })

  it('take globs of immutable tags from flags and a variable', () => {
    const expected = ['prod/**', 'app/*:v*']
    assert.deepEqual(
      loadConfig({ flags: { immutableTags: expected }, env: {}, systemFile: '/none' }).immutableTags,
      expected,
    )
    const env = { IPDR_IMMUTABLE_TAGS: expected.join(',') }
    assert.deepEqual(loadConfig({ env, systemFile: '/none' }).immutableTags, expected)
  })

  it('have quotas, with sizes in bytes', () => {
    const quotas = [{ repositories: 'team-a/**', bytes: '1KiB', ownBytes: 5, tags: 3 }, 'b=tags:7', 'c=ownBytes:2MiB']
    assert.deepEqual(parseConfig({ quotas }).quotas, [
      { repositories: ['team-a/**'], bytes: 1024, ownBytes: 5, tags: 3 },
      { repositories: ['b'], tags: 7 },
      { repositories: ['c'], ownBytes: 2_097_152 },
    ])
  })

  it('have repositories whose images must be signed', () => {
    const onlySigned = [
      { repositories: 'prod/**', keys: 'release.pub', refuse: ['tags'], copies: true },
      'a=b.pub',
      { repositories: 'corp/**', authorities: 'corp.crt', identities: 'CN=release, O=Example' },
    ]
    assert.deepEqual(parseConfig({ onlySigned }).onlySigned, [
      { repositories: ['prod/**'], keys: ['release.pub'], refuse: ['tags'], copies: true },
      { repositories: ['a'], keys: ['b.pub'], refuse: ['pulls'], copies: false },
      {
        repositories: ['corp/**'],
        authorities: ['corp.crt'],
        identities: ['CN=release, O=Example'],
        refuse: ['pulls'],
        copies: false,
      },
    ])
  })

  const refused: Array<[unknown, RegExp]> = [
    [{ retention: 'x' }, /^retention: must be a list, got "x"/],
    [{ retention: ['x'] }, /^retention\[0\]: must be IMAGES=CONDITIONS such as .*, got "x"/],
    [{ retention: ['a=last'] }, /^retention\[0\]\.keep: must have at least one of/],
    [{ retention: ['a=last:x'] }, /^retention\[0\]\.keep\.last: must be a whole number/],
    [{ retention: ['a=lst:3'] }, /^retention\[0\]\.keep: has an unknown key, lst/],
    [{ retention: ['a=protect:no'] }, /^retention\[0\]\.protect: must be true, or left out/],
    [{ retention: ['=last:3'] }, /^retention\[0\]\.images\[0\]: must be a repository/],
    [{ retention: [{ keep: { last: 1 } }] }, /^retention\[0\]\.images: must be a list/],
    [{ retention: [{ images: [], keep: { last: 1 } }] }, /^retention\[0\]\.images: must not be empty/],
    [
      { retention: [{ images: 'a:b:c', keep: { last: 1 } }] },
      /^retention\[0\]\.images\[0\]: must be a repository .* "a:b:c"/,
    ],
    [
      { retention: [{ images: ['a', 'b c'], keep: { last: 1 } }] },
      /^retention\[0\]\.images\[1\]: must be a repository/,
    ],
    [{ retention: [{ images: 'a' }] }, /^retention\[0\]\.keep: must be set, unless the rule has untagged or protect/],
    [{ retention: [{ images: 'a', keep: {} }] }, /^retention\[0\]\.keep: must have at least one of last, pushedWithin/],
    [{ retention: [{ images: 'a', keep: 3 }] }, /^retention\[0\]\.keep: must be a mapping with at least one of last/],
    [{ retention: [{ images: 'a', keep: { lst: 1 } }] }, /^retention\[0\]\.keep: has an unknown key, lst/],
    [{ retention: [{ images: 'a', keep: { last: 0 } }] }, /^retention\[0\]\.keep\.last: must be a whole number from 1/],
    [
      { retention: [{ images: 'a', keep: { pushedWithin: 'soon' } }] },
      /^retention\[0\]\.keep\.pushedWithin: must be a duration .*"soon"/,
    ],
    [
      { retention: [{ images: 'a', keep: { tags: ['a:b'] } }] },
      /^retention\[0\]\.keep\.tags\[0\]: must be a tag or a glob/,
    ],
    [
      { retention: [{ images: 'a', protect: false }] },
      /^retention\[0\]\.protect: must be true, or left out, got false/,
    ],
    [
      { retention: [{ images: 'a', protect: true, untagged: '7d' }] },
      /^retention\[0\]\.protect: must not be set beside/,
    ],
    [
      { retention: [{ images: 'a', untagged: '1s' }] },
      /^retention\[0\]\.untagged: must be a duration such as 30d, from 1m/,
    ],
    [{ retention: [{ images: 'a', protect: true, every: '7d' }] }, /^retention\[0\]: has an unknown key, every/],
    [
      { retentionInterval: '30d' },
      /^retentionInterval: must be a duration such as 24h, at most 20d, or off, got "30d"/,
    ],
    [{ quotas: ['a'] }, /^quotas\[0\]: must be REPOSITORIES=LIMITS such as .*, got "a"/],
    [{ quotas: ['a=foo:1'] }, /^quotas\[0\]: has an unknown key, foo/],
    [{ quotas: [{ repositories: 'a' }] }, /^quotas\[0\]: must have at least one of bytes, ownBytes, tags/],
    [
      { quotas: [{ repositories: 'a', bytes: 'much' }] },
      /^quotas\[0\]\.bytes: must be a size such as 100GiB, got "much"/,
    ],
    [{ quotas: [{ repositories: 'a', ownBytes: 0 }] }, /^quotas\[0\]\.ownBytes: must be a size/],
    [{ quotas: [{ repositories: 'a', tags: 0 }] }, /^quotas\[0\]\.tags: must be a whole number from 1/],
    [{ quotas: [{ repositories: [], tags: 1 }] }, /^quotas\[0\]\.repositories: must not be empty/],
    [{ deprecated: ['a'] }, /^deprecated\[0\]: must be IMAGES=MESSAGE such as .*, got "a"/],
    [{ deprecated: ['a='] }, /^deprecated\[0\]\.message: must be 1 to 200 characters of ASCII/],
    [{ deprecated: [{ images: 'a', message: 'a "b"' }] }, /^deprecated\[0\]\.message: must be 1 to 200 characters/],
    [{ deprecated: [{ images: 'a', message: 'a\r\nb' }] }, /^deprecated\[0\]\.message: must be 1 to 200 characters/],
    [{ deprecated: [{ images: 'a:b:c', message: 'x' }] }, /^deprecated\[0\]\.images\[0\]: must be a repository/],
    [{ onlySigned: ['a'] }, /^onlySigned\[0\]: must be REPOSITORIES=KEYFILE such as .*, got "a"/],
    [{ onlySigned: ['a='] }, /^onlySigned\[0\]\.keys\[0\]: must be a path/],
    [
      { onlySigned: [{ repositories: 'a' }] },
      /^onlySigned\[0\]\.keys: must be a list, unless the rule has authorities/,
    ],
    [{ onlySigned: [{ repositories: 'a', authorities: [] }] }, /^onlySigned\[0\]\.authorities: must not be empty/],
    [
      { onlySigned: [{ repositories: 'a', keys: 'k', identities: 'CN=x' }] },
      /^onlySigned\[0\]\.identities: must not be set without authorities/,
    ],
    [
      { onlySigned: [{ repositories: 'a', authorities: 'c', identities: 'release' }] },
      /^onlySigned\[0\]\.identities\[0\]: must be fields of the subject of a certificate/,
    ],
    [{ onlySigned: [{ repositories: 'a', keys: [] }] }, /^onlySigned\[0\]\.keys: must not be empty/],
    [
      { onlySigned: [{ repositories: 'a', keys: 'k', refuse: ['pushes'] }] },
      /^onlySigned\[0\]\.refuse\[0\]: must be pulls or tags, got "pushes"/,
    ],
    [{ onlySigned: [{ repositories: 'a', key: 'k', keys: 'k' }] }, /^onlySigned\[0\]: has an unknown key, key/],
    [{ immutableTags: ['a b'] }, /^immutableTags\[0\]: must be a repository or a glob.*"a b"/],
  ]
  for (const [values, message] of refused) {
    it(`refuses ${JSON.stringify(values)}`, () => assert.match(problemsOf(values), message))
  }
})
