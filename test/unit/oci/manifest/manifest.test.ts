import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { isDigest } from '../../../../src/oci/digest.ts'
import { parseManifest, parseStoredManifest } from '../../../../src/oci/manifest/manifest.ts'
import * as types from '../../../../src/oci/manifest/media-types.ts'
import { descriptorOf, encode, foreignLayer, ociConfig, ociLayer } from '../../../fixtures/manifests.ts'

const config = descriptorOf(Buffer.from('config'), ociConfig)
const layer = descriptorOf(Buffer.from('layer'), ociLayer)
const foreign = { ...descriptorOf(Buffer.from('foreign'), foreignLayer), urls: ['https://example.org/layer'] }
const child = descriptorOf(Buffer.from('child'), types.OCI_MANIFEST)
const image = { schemaVersion: 2, config, layers: [layer] }
const index = { schemaVersion: 2, manifests: [child] }
const unknownType = 'application/vnd.example.thing+json'

function parse(value: unknown, contentType?: string): ReturnType<typeof parseManifest> {
  return parseManifest(encode(value), contentType)
}

/** @returns the detail of the refusal */
function refused(bytes: Uint8Array, contentType?: string): { field?: string; reason: string } {
  try {
    parseManifest(bytes, contentType)
  } catch (err) {
    const { name, code, status, detail } = err as {
      name: string
      code: string
      status: number
      detail: { field?: string; reason: string }
    }
    assert.deepEqual([name, code, status], ['OciError', 'MANIFEST_INVALID', 400])
    return detail
  }
  assert.fail('it was not refused')
}

describe('what a manifest refers to', () => {
  for (const type of [types.OCI_MANIFEST, types.DOCKER_MANIFEST]) {
    it(`${type}: config and layers, foreign ones apart`, () => {
      const manifest = parse(
        { ...image, mediaType: type, layers: [layer, foreign], annotations: { a: 'b' }, subject: child },
        type,
      )
      assert.deepEqual(manifest, {
        mediaType: type,
        kind: 'image',
        blobs: [config, layer],
        others: [foreign],
        manifests: [],
        subject: child,
        artifactType: ociConfig,
        annotations: { a: 'b' },
      })
    })
  }

  for (const type of [types.OCI_INDEX, types.DOCKER_MANIFEST_LIST]) {
    it(`${type}: manifests`, () => {
      const manifest = parse({ ...index, mediaType: type, artifactType: 'a/b' }, type)
      assert.deepEqual(manifest, {
        mediaType: type,
        kind: 'index',
        blobs: [],
        others: [],
        manifests: [child],
        subject: undefined,
        artifactType: 'a/b',
        annotations: undefined,
      })
    })
  }

  it(`${types.OCI_ARTIFACT}: blobs`, () => {
    assert.deepEqual(parse({ mediaType: types.OCI_ARTIFACT, artifactType: 'a/b', blobs: [layer] }).blobs, [layer])
    assert.deepEqual(parse({ mediaType: types.OCI_ARTIFACT, artifactType: 'a/b' }).blobs, [])
  })

  it('of an index, under a media type that is none of a manifest: a blob', () => {
    const cache = descriptorOf(Buffer.from('cache'), 'application/vnd.buildkit.cacheconfig.v0')
    const { blobs, manifests } = parse({ ...index, manifests: [child, layer, cache] })
    assert.deepEqual([blobs, manifests], [[layer, cache], [child]])
  })

  it('a foreign layer without an address is one like others', () => {
    for (const urls of [undefined, [], 'https://example.org']) {
      const { blobs, others } = parse({ ...image, layers: [{ ...foreign, urls }] })
      assert.deepEqual([blobs.length, others.length], [2, 0])
    }
  })

  it('every other descriptor, in whatever field, once', () => {
    const [a, b, c] = ['a', 'b', 'c'].map(text => descriptorOf(Buffer.from(text), unknownType))
    const { blobs, others } = parse({
      ...image,
      layers: [{ ...layer, extra: { deep: [b, layer] } }],
      blobs: [a, a],
      more: { c, none: { digest: 'sha256:1' } },
      annotations: { digest: a!.digest },
    })
    assert.deepEqual(
      blobs.map(({ digest }) => digest),
      [config.digest, layer.digest],
    )
    assert.deepEqual(others.map(({ digest }) => digest).sort(), [a, b, c].map(item => item!.digest).sort())
  })

  it('of what older versions accepted: everything', () => {
    const { kind, blobs, others, subject } = parseStoredManifest(
      encode({ layers: [layer], subject: child, config }),
      unknownType,
    )
    assert.deepEqual([kind, blobs, subject], [undefined, [], child])
    assert.deepEqual(others.map(({ digest }) => digest).sort(), [config.digest, layer.digest].sort())
  })

  it('keeps what else a descriptor says', () => {
    const rich = {
      ...layer,
      urls: ['https://example.org'],
      annotations: { a: 'b' },
      data: 'e30=',
      platform: { os: 'linux' },
    }
    assert.deepEqual(parse({ ...image, layers: [rich] }).blobs[1], rich)
  })

  it('prefers artifactType to the media type of the config, unless it is empty', () => {
    assert.deepEqual(
      ['a/b', '', null].map(artifactType => parse({ ...image, artifactType }).artifactType),
      ['a/b', ociConfig, ociConfig],
    )
  })
})

describe('the media type of a manifest', () => {
  for (const [own, contentType, expected] of [
    [types.OCI_MANIFEST, undefined, types.OCI_MANIFEST],
    [types.OCI_MANIFEST, types.OCI_MANIFEST, types.OCI_MANIFEST],
    [undefined, types.DOCKER_MANIFEST, types.DOCKER_MANIFEST],
    ['', types.DOCKER_MANIFEST, types.DOCKER_MANIFEST],
    [undefined, undefined, types.OCI_MANIFEST],
    [undefined, 'application/json', types.OCI_MANIFEST],
    [types.DOCKER_MANIFEST, 'application/json', types.DOCKER_MANIFEST],
    [types.OCI_MANIFEST.toUpperCase(), types.OCI_MANIFEST, types.OCI_MANIFEST.toUpperCase()],
    ...['application/x-www-form-urlencoded', 'text/plain', 'application/octet-stream'].flatMap(
      type =>
        [
          [undefined, type, types.OCI_MANIFEST],
          [types.DOCKER_MANIFEST, type, types.DOCKER_MANIFEST],
        ] as const,
    ),
  ] as const) {
    it(`is ${expected} for ${own} in ${contentType}`, () =>
      assert.equal(parse({ ...image, mediaType: own }, contentType).mediaType, expected))
  }

  it('is guessed from the fields', () => {
    assert.equal(parse(index).mediaType, types.OCI_INDEX)
    assert.equal(refused(encode({ schemaVersion: 2 })).field, 'mediaType')
    assert.equal(refused(encode({ schemaVersion: 2, layers: [] }), 'application/json').field, 'mediaType')
  })

  it('is that of a manifest', () => {
    for (const [own, contentType] of [
      [unknownType, undefined],
      [unknownType, unknownType],
      [undefined, unknownType],
      ['text/html', 'text/html'],
      [undefined, 'text/html'],
    ] as const) {
      for (const value of [image, index]) {
        assert.equal(refused(encode({ ...value, mediaType: own }), contentType).field, 'mediaType')
      }
    }
  })

  it('is one that the fields agree with', () => {
    assert.equal(refused(encode(image), types.OCI_INDEX).field, 'mediaType')
    assert.equal(refused(encode(index), types.DOCKER_MANIFEST).field, 'mediaType')
    assert.equal(refused(encode(image), types.OCI_ARTIFACT).field, 'mediaType')
  })

  it('is one only: what the request says is what the manifest says', () => {
    assert.equal(refused(encode({ ...image, mediaType: types.OCI_MANIFEST }), types.DOCKER_MANIFEST).field, 'mediaType')
  })

  for (const type of ['a', 'a/b; c=d', 'a/b\r\nX-Evil: 1', 'a/\u{1f600}', ' a/b', '*/*', `a/${'b'.repeat(200)}`]) {
    it(`can't be ${JSON.stringify(type).slice(0, 30)}`, () =>
      assert.equal(refused(encode({ ...image, mediaType: type })).field, 'mediaType'))
  }

  it('is not evaded by capitals', () =>
    assert.equal(refused(encode({ mediaType: types.OCI_MANIFEST.toUpperCase() })).field, 'schemaVersion'))

  for (const type of [types.DOCKER_MANIFEST_V1, types.DOCKER_MANIFEST_V1_SIGNED]) {
    it(`can't be ${type}`, () => {
      for (const contentType of [type, undefined, 'application/json', 'text/plain']) {
        assert.match(refused(encode({ schemaVersion: 1, fsLayers: [] }), contentType).reason, /schema 1/)
      }
    })
  }

  it('makes it an image or an index, never both', () => {
    assert.equal(refused(encode({ ...image, mediaType: types.OCI_MANIFEST, manifests: [] })).field, 'manifests')
    assert.equal(refused(encode({ ...index, layers: [] }), types.OCI_INDEX).field, 'layers')
    assert.equal(refused(encode({ ...index, config }), types.DOCKER_MANIFEST_LIST).field, 'config')
    assert.equal(refused(encode({ ...image, ...index })).field, 'config')
  })
})

describe('what is refused, and for which field', () => {
  for (const [field, value] of [
    ['schemaVersion', { ...image, schemaVersion: 1 }],
    ['schemaVersion', { ...image, schemaVersion: '2' }],
    ['schemaVersion', { config, layers: [] }],
    ['config', { ...image, config: null }],
    ['config', { ...image, config: [] }],
    ['config', { ...image, config: 'x' }],
    ['config.mediaType', { ...image, config: { ...config, mediaType: undefined } }],
    ['config.mediaType', { ...image, config: { ...config, mediaType: 1 } }],
    ['config.digest', { ...image, config: { ...config, digest: 'sha256:abc' } }],
    ['config.digest', { ...image, config: { ...config, digest: `md5:${'a'.repeat(32)}` } }],
    ...[-1, 1.5, '5', null, 2 ** 53, true].map(
      size => ['config.size', { ...image, config: { ...config, size } }] as const,
    ),
    ['layers[1]', { ...image, layers: [layer, null] }],
    ['layers[1].digest', { ...image, layers: [layer, { ...layer, digest: undefined }] }],
    ['manifests', { schemaVersion: 2, mediaType: types.OCI_INDEX, manifests: {} }],
    ['manifests', { schemaVersion: 2, mediaType: types.OCI_INDEX }],
    ['manifests[0].size', { ...index, manifests: [{ ...child, size: -1 }] }],
    ['blobs', { mediaType: types.OCI_ARTIFACT, blobs: 'x' }],
    ['subject', { ...image, subject: 'x' }],
    ['subject.digest', { ...image, subject: { ...child, digest: 5 } }],
    ['annotations', { ...image, annotations: [] }],
    ['annotations', { ...image, annotations: { a: 1 } }],
    ['annotations', { ...image, annotations: { a: null } }],
    ['artifactType', { ...image, artifactType: 5 }],
    ['mediaType', { ...image, mediaType: {} }],
  ] as const) {
    it(`${field} of ${JSON.stringify(value).slice(0, 60)}`, () => assert.equal(refused(encode(value)).field, field))
  }

  it('layers that are not a list', () =>
    assert.equal(refused(encode({ ...image, layers: {} }), types.OCI_MANIFEST).field, 'layers'))

  for (const [what, bytes] of [
    ['nothing', Buffer.alloc(0)],
    ['no JSON', Buffer.from('{')],
    ['two values', Buffer.from('{}{}')],
    ['no object', Buffer.from('[]')],
    ['null', Buffer.from('null')],
    ['a text', Buffer.from('"a"')],
    ['a byte order mark', Buffer.from('\ufeff{}')],
    ['no UTF-8', Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d])],
    ['UTF-16', Buffer.from('{}', 'utf16le')],
    ['gzip', Buffer.from([0x1f, 0x8b, 8, 0])],
  ] as const) {
    it(what, () => assert.match(refused(bytes, types.OCI_MANIFEST).reason, /JSON/))
  }

  it('deep nesting, however deep', () => {
    const nested = (depth: number): Buffer => Buffer.from(`{"a":${'['.repeat(depth)}${']'.repeat(depth)}}`)
    assert.equal(parseStoredManifest(nested(63), unknownType).mediaType, unknownType)
    for (const depth of [64, 1000, 1_000_000]) {
      assert.match(refused(nested(depth), unknownType).reason, /nested/)
    }
    assert.match(refused(Buffer.from('{"a":'.repeat(100_000))).reason, /nested/)
  })
})

describe('hostile manifests', () => {
  it('reach no prototype', () => {
    const bytes = Buffer.from(
      JSON.stringify({ ...image, layers: [{ ...layer, extra: 1 }] })
        .replace('"extra":1', '"__proto__":{"polluted":true}')
        .replace('{', '{"__proto__":{"subject":1},'),
    )
    const manifest = parseManifest(bytes, undefined)
    assert.equal(manifest.subject, undefined)
    assert.equal((manifest.blobs[1] as { polluted?: boolean }).polluted, undefined)
    assert.equal(({} as { polluted?: boolean }).polluted, undefined)
    assert.equal(Object.getPrototypeOf(manifest.blobs[1]), Object.prototype)
  })

  it('get nothing from the prototype of objects', () => {
    for (const key of ['constructor', 'toString', 'hasOwnProperty', '__proto__']) {
      assert.equal(refused(encode({ schemaVersion: 2, [key]: layer })).field, 'mediaType')
    }
  })

  it('are read or refused, whatever bytes come', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 200 }),
        fc.option(fc.string(), { nil: undefined }),
        (bytes, contentType) => {
          try {
            parseManifest(bytes, contentType)
          } catch (err) {
            assert.equal((err as Error).name, 'OciError')
          }
        },
      ),
    )
  })

  const field = <T>(good: T): fc.Arbitrary<unknown> =>
    fc.oneof({ weight: 4, arbitrary: fc.constant<unknown>(good) }, { weight: 1, arbitrary: fc.jsonValue() })
  const anyDescriptor = fc.record(
    { mediaType: field(ociLayer), digest: field(layer.digest), size: field(5), annotations: fc.jsonValue() },
    { requiredKeys: [] },
  )
  const anyManifest = fc.record(
    {
      schemaVersion: field(2),
      mediaType: fc.oneof(
        fc.constantFrom(...Object.values(types).filter(type => typeof type === 'string')),
        fc.jsonValue(),
      ),
      config: field(config),
      layers: fc.oneof(fc.array(anyDescriptor), fc.jsonValue()),
      manifests: fc.oneof(fc.array(anyDescriptor), fc.jsonValue()),
      blobs: fc.array(anyDescriptor),
      subject: fc.oneof(anyDescriptor, fc.jsonValue()),
      annotations: fc.jsonValue(),
      artifactType: fc.jsonValue(),
    },
    { requiredKeys: [] },
  )

  it('are read or refused, whatever JSON comes; what is read is well formed', () => {
    fc.assert(
      fc.property(
        fc.oneof(anyManifest, fc.jsonValue()),
        fc.constantFrom(undefined, types.OCI_MANIFEST, types.OCI_INDEX, unknownType),
        (value, contentType) => {
          let manifest: ReturnType<typeof parse>
          try {
            manifest = parse(value, contentType)
          } catch (err) {
            assert.equal((err as { code?: string }).code, 'MANIFEST_INVALID')
            return
          }
          assert.ok(types.isMediaType(manifest.mediaType))
          for (const { digest, size, mediaType } of [
            ...manifest.blobs,
            ...manifest.others,
            ...manifest.manifests,
            ...(manifest.subject === undefined ? [] : [manifest.subject]),
          ]) {
            assert.ok(isDigest(digest) && Number.isSafeInteger(size) && size >= 0 && typeof mediaType === 'string')
          }
        },
      ),
      { numRuns: 1000 },
    )
  })
})
