import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { exceededLimit, type JsonLimits } from '../../../../src/oci/manifest/json-limits.ts'
import { parseManifest } from '../../../../src/oci/manifest/manifest.ts'

const mebibyte = 2 ** 20
const generous: JsonLimits = { depth: 1000, values: 1_000_000, names: 1_000_000 }

/** What there is in JSON, counted on what JSON.parse makes of it */
function count(value: unknown): JsonLimits {
  const names = new Set<string>()
  let depth = 0
  let values = 0
  const walk = (item: unknown, level: number): void => {
    values++
    if (typeof item === 'object' && item !== null) {
      depth = Math.max(depth, level + 1)
      const entries = Object.entries(item)
      values += entries.length === 0 ? 1 : 0
      for (const [name, child] of entries) {
        if (!Array.isArray(item)) {
          names.add(name)
        }
        walk(child, level + 1)
      }
    }
  }
  walk(value, 0)
  return { depth, values, names: names.size }
}

function excess(bytes: Uint8Array, limits: JsonLimits): string | undefined {
  const steps = exceededLimit(bytes, limits)
  for (let step = steps.next(); ; step = steps.next()) {
    if (step.done === true) {
      return step.value
    }
  }
}

const text = (value: string, limits: Partial<JsonLimits>): string | undefined =>
  excess(Buffer.from(value), { ...generous, ...limits })

describe('limits of JSON', () => {
  for (const [json, limits, expected] of [
    ['{}', { depth: 1, values: 2, names: 0 }, undefined],
    ['{}', { depth: 0 }, /deeper than 0/],
    ['[[[]]]', { depth: 3 }, undefined],
    ['[[[]]]', { depth: 2 }, /deeper than 2/],
    ['[[],[],[]]', { depth: 2 }, undefined],
    ['{"a":{"b":[1]}}', { depth: 2 }, /deeper/],
    ['1', { values: 1, depth: 0 }, undefined],
    ['[1,2,3]', { values: 4 }, undefined],
    ['[1,2,3]', { values: 3 }, /more than 3 values/],
    ['{"a":1,"b":2}', { values: 3, names: 2 }, undefined],
    ['{"a":1,"b":2}', { names: 1 }, /more than 1 different/],
    ['{"a":1,"a":2,"a":3}', { names: 1 }, undefined],
    ['["[[[[", "{{{", ",,,,", "::::"]', { depth: 1, values: 5, names: 0 }, undefined],
    ['["\\"[[[[", "\\\\", [[1]]]', { depth: 2 }, /deeper/],
    ['["\\"[[[[\\\\\\"{{{"]', { depth: 1 }, undefined],
    ['{"a\\"":1,"a\\\\":2}', { names: 2, values: 3 }, undefined],
    [' { "a" : [ 1 , 2 ] } ', { depth: 2, values: 4, names: 1 }, undefined],
    ['"never ends', {}, undefined],
    ['"ends with \\', {}, undefined],
    ['', {}, undefined],
    ['['.repeat(mebibyte), { depth: 64 }, /deeper/],
    ['{"a":'.repeat(100_000), { depth: 64 }, /deeper/],
    [']]]][[[[', { depth: 1 }, undefined],
    ['9'.repeat(1000), {}, undefined],
    ['9'.repeat(1001), {}, /number of more than 1000 digits/],
    [`[${'1 '.repeat(2000)}]`, {}, undefined],
    [`[${'12,'.repeat(2000)}1]`, {}, undefined],
  ] as Array<[string, Partial<JsonLimits>, RegExp | undefined]>) {
    it(`${json.slice(0, 30)} within ${JSON.stringify(limits)}`, () => {
      const found = text(json, limits)
      expected === undefined ? assert.equal(found, undefined) : assert.match(String(found), expected)
    })
  }

  it('are those of what JSON.parse makes of it', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 8 }), fc.nat(2), (value, spaces) => {
        const json = JSON.stringify(value, undefined, spaces)
        const found = count(JSON.parse(json))
        assert.equal(text(json, found), undefined, json)
        assert.equal(text(json, { depth: found.depth - 1 }) === undefined, found.depth === 0, json)
        if (found.depth > 0) {
          assert.match(String(text(json, { values: found.values - 1 })), /values/, json)
        }
      }),
      { numRuns: 3000 },
    )
  })

  it('take a few names too many at most', () => {
    const json = JSON.stringify(Object.fromEntries(Array.from({ length: 2000 }, (_, i) => [`name${i}`, i])))
    assert.equal(text(json, { names: 2000 }), undefined)
    assert.match(String(text(json, { names: 1900 })), /names/)
  })

  it('hold for whatever bytes come: what JSON.parse reads of what passes is within them', () => {
    const bytes = fc
      .array(fc.constantFrom(...'[]{},:"\\ 1aé\u{1f600}'), { maxLength: 60 })
      .map(parts => Buffer.from(parts.join('')))
    fc.assert(
      fc.property(
        fc.oneof(bytes, fc.uint8Array({ maxLength: 60 })),
        fc.nat(4),
        fc.integer({ min: 1, max: 8 }),
        (bytes, depth, values) => {
          if (excess(bytes, { ...generous, depth, values }) !== undefined) {
            return
          }
          let value: unknown
          try {
            value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
          } catch {
            return
          }
          const found = count(value)
          assert.ok(found.depth <= depth && found.values <= values)
        },
      ),
      { numRuns: 10_000 },
    )
  })
})

describe('a manifest of 4 MiB', () => {
  const descriptor = (i: number): string =>
    `{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"sha256:${i.toString(16).padStart(64, '0')}","size":1}`
  const many = (item: (i: number) => string, count: number): string =>
    Array.from({ length: count }, (_, i) => item(i)).join()
  const config = descriptor(20_000)

  for (const [what, json] of [
    ['empty lists', `{"a":[${many(() => '[]', 1_300_000)}]}`],
    ['numbers', `{"a":[${many(() => '0', 2_000_000)}]}`],
    ['members', `{${many(i => `"${i}":0`, 350_000)}}`],
    ['objects', `{"a":[${many(() => '{}', 1_300_000)}]}`],
    ['annotations', `{"annotations":{${many(i => `"a${i}":"b"`, 2000)}}}`],
    ['levels', `{"a":${'['.repeat(2 * mebibyte)}${']'.repeat(2 * mebibyte)}}`],
  ] as const) {
    it(`of ${what} is refused`, () => {
      const began = process.threadCpuUsage().user
      assert.throws(() => parseManifest(Buffer.from(json), undefined), { code: 'MANIFEST_INVALID' })
      assert.ok(process.threadCpuUsage().user - began < 500_000, 'long before it was parsed')
    })
  }

  it('of ten thousand layers, or with a thousand annotations, is read', () => {
    const manifest = `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":${config},"layers":[${many(descriptor, 9999)}]}`
    assert.equal(parseManifest(Buffer.from(manifest), undefined).blobs.length, 10_000)
    const annotated = `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":${config},"layers":[${many(descriptor, 100)}],"annotations":{${many(i => `"a${i}":"${'b'.repeat(3000)}"`, 980)}}}`
    assert.equal(Object.keys(parseManifest(Buffer.from(annotated), undefined).annotations ?? {}).length, 980)
  })
})
