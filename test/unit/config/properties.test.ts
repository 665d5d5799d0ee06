import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { stringify, parse } from 'yaml'
import { loadConfig, parseConfig } from '../../../src/config/load.ts'
import { parseDuration, parseSize } from '../../../src/config/units.ts'

const sizes = {
  B: 1,
  kB: 1e3,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
  TiB: 2 ** 40,
}
const durations = { ms: 0.001, s: 1, m: 60, h: 3600, d: 86_400 }

/** Values that are right, of some keys of each kind */
const values = fc.record(
  {
    host: fc.constantFrom('127.0.0.1', '::1', 'localhost'),
    port: fc.integer({ min: 1, max: 4000 }),
    network: fc.constantFrom('offline', 'lan', 'public'),
    ipfsGateways: fc.array(fc.webUrl({ validSchemes: ['http', 'https'] }), { maxLength: 3 }),
    storage: fc.record({ fsync: fc.boolean() }),
    limits: fc.record(
      {
        manifestBytes: fc.integer({ min: 1, max: 64 }).map(count => `${count}MiB`),
        jsonDepth: fc.integer({ min: 8, max: 1000 }),
        uploads: fc.integer({ min: 0, max: 1_000_000 }),
        idleTimeout: fc.integer({ min: 1, max: 86_400 }).map(count => `${count}s`),
      },
      { requiredKeys: [] },
    ),
  },
  { requiredKeys: [] },
)

describe('a configuration', () => {
  it('is the same after it was written and read again', () => {
    fc.assert(
      fc.property(values, some => {
        const config = parseConfig(some)
        assert.deepEqual(parseConfig(parse(stringify(config))), config)
        assert.deepEqual(parseConfig(JSON.parse(JSON.stringify(config))), config)
      }),
    )
  })

  it('by variables is the same as by a file', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 4000 }),
        fc.integer({ min: 8, max: 1000 }),
        fc.integer({ min: 1, max: 3600 }),
        (port, depth, seconds) => {
          const env = {
            IPDR_PORT: String(port),
            IPDR_LIMITS_JSON_DEPTH: String(depth),
            IPDR_LIMITS_IDLE_TIMEOUT: `${seconds}s`,
          }
          assert.deepEqual(
            loadConfig({ env }),
            parseConfig({ port, limits: { jsonDepth: depth, idleTimeout: seconds } }),
          )
        },
      ),
    )
  })
})

describe('an amount', () => {
  for (const [what, units, read] of [
    ['size', sizes, parseSize],
    ['duration', durations, parseDuration],
  ] as const) {
    it(`is a ${what} by its unit`, () => {
      fc.assert(
        fc.property(fc.nat({ max: 8000 }), fc.constantFrom(...Object.entries(units)), (count, [unit, factor]) => {
          assert.equal(read(`${count}${unit}`), count * factor)
        }),
      )
    })

    it(`is no ${what} where the text is anything else`, () => {
      const right = new RegExp(`^\\d{1,15}(\\.\\d{1,6})?(${Object.keys(units).join('|')})?$`)
      fc.assert(
        fc.property(fc.oneof(fc.string(), fc.string({ unit: fc.constantFrom(...'0159.kKMGiBmshd -e') })), text => {
          assert.ok(right.test(text) || read(text) === undefined, text)
        }),
        { numRuns: 2000 },
      )
    })
  }

  it('does not take long to read, however long it is', () => {
    const began = performance.now()
    for (const text of [
      '1'.repeat(1_000_000),
      `${'1'.repeat(15)}.${'1'.repeat(1_000_000)}`,
      '1s'.repeat(500_000),
      's'.repeat(1_000_000),
    ]) {
      assert.deepEqual([parseSize(text), parseDuration(text)], [undefined, undefined])
    }
    assert.ok(performance.now() - began < 5000)
  })
})
