import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { readConfig } from '../../../../../src/registry/overview/content/image-config.ts'
import { encode } from '../../../../fixtures/manifests.ts'

/** Characters of everything that a page gets of one config */
const maxCharacters = 3_000_000

describe('the config of an image', () => {
  it('is read as builders write it', () => {
    const config = readConfig(
      encode({
        os: 'linux',
        architecture: 'arm64',
        variant: 'v8',
        created: '2026-11-28T10:00:00Z',
        config: { User: '1000', WorkingDir: '/app', Entrypoint: ['/x'], Cmd: ['y'], ExposedPorts: { '80/tcp': {} } },
        history: [
          { created_by: 'COPY a /', created: '2026-11-28T10:00:00Z' },
          { comment: 'b', empty_layer: true },
        ],
      }),
    )
    assert.deepEqual(
      [config?.os, config?.variant, config?.user, config?.workingDirectory, config?.entrypoint, config?.command],
      ['linux', 'v8', '1000', '/app', ['/x'], ['y']],
    )
    assert.deepEqual(config?.ports, { items: ['80/tcp'], total: 1 })
    assert.deepEqual(config?.history.items, [
      { command: 'COPY a /', created: '2026-11-28T10:00:00Z', isEmpty: false },
      { command: 'b', created: undefined, isEmpty: true },
    ])
  })

  it('is cut where it is long, and says how long it is', () => {
    const config = readConfig(
      encode({
        author: 'x'.repeat(100_000),
        config: {
          Env: Array(10_000).fill('A=b'),
          Labels: Object.fromEntries(Array.from({ length: 900 }, (_, i) => [`l${i}`, 'v'])),
        },
        history: Array(3000).fill({ created_by: '😀'.repeat(2000) }),
      }),
    )!
    assert.equal(config.author?.length, 2001)
    assert.deepEqual([config.environment.items.length, config.environment.total], [200, 10_000])
    assert.deepEqual([config.labels.items.length, config.labels.total], [200, 900])
    assert.deepEqual([config.history.items.length, config.history.total], [500, 3000])
    assert.ok(config.history.items.every(({ command }) => command.isWellFormed() && command.endsWith('😀…')))
    assert.ok(JSON.stringify(config).length < maxCharacters)
  })

  it('is none where it is not JSON, or holds too much', () => {
    for (const text of [
      '',
      'x',
      '[]',
      'null',
      '5',
      '"x"',
      '\ufeff{',
      `${'['.repeat(100_000)}`,
      `{"a":${'['.repeat(65)}${']'.repeat(65)}}`,
    ]) {
      assert.equal(readConfig(Buffer.from(text)), undefined, text.slice(0, 20))
    }
    assert.equal(readConfig(Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d])), undefined)
  })

  it('is read whatever types its fields have', () => {
    const value = fc.jsonValue({ maxDepth: 3 })
    const keys = ['os', 'created', 'config', 'history'] as const
    fc.assert(
      fc.property(fc.record(Object.fromEntries(keys.map(key => [key, value])), { requiredKeys: [] }), json => {
        const config = readConfig(encode(json))
        assert.ok(config !== undefined)
        assert.ok(config.os === undefined || typeof config.os === 'string')
        assert.ok(config.history.items.every(({ command }) => typeof command === 'string'))
      }),
    )
    const wrong = readConfig(
      encode({ config: { Env: 'x', Labels: ['a'], Cmd: { 0: 'a' }, ExposedPorts: ['80'] }, history: [null, 5, {}] }),
    )
    assert.deepEqual(
      [wrong?.environment.total, wrong?.labels.total, wrong?.command, wrong?.ports.total, wrong?.history.total],
      [0, 0, [], 0, 1],
    )
  })
})
