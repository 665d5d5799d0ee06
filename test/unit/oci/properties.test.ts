/**
 * The grammars of the specifications beside ours, what is written and read again, and texts that are meant to take long
 */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { CID } from 'multiformats/cid'
import { parseRoot, toDockerFormat, toIpfsFormat } from '../../../src/oci/cid.ts'
import { parseDigest } from '../../../src/oci/digest.ts'
import { formatImageName, parseImageName } from '../../../src/oci/image-name.ts'
import { parseManifest } from '../../../src/oci/manifest/manifest.ts'
import { isMediaType, parseMediaType } from '../../../src/oci/manifest/media-types.ts'
import { parsePage } from '../../../src/oci/pagination.ts'
import { parseContentRange, parseRange } from '../../../src/oci/range.ts'
import { parseName, parseReference, parseTag } from '../../../src/oci/reference.ts'

/** Whether a parser takes a text; what it throws has to be an error for the client */
function takes(parse: () => unknown): boolean {
  try {
    parse()
    return true
  } catch (err) {
    assert.equal((err as Error).name, 'OciError')
    return false
  }
}

/** Texts of the letters that matter to a grammar: half of them near to what it takes */
function near(letters: string, most: number, ...good: string[]): fc.Arbitrary<string> {
  const letter = fc.constantFrom(...letters)
  const some = fc.string({ unit: letter, maxLength: most })
  const changed = fc.tuple(fc.constantFrom(...good), fc.nat(), letter).map(([text, at, other]) => {
    const place = at % (text.length + 1)
    return text.slice(0, place) + other + text.slice(place + (at % 2))
  })
  return fc.oneof(some, changed, fc.constantFrom(...good), fc.string())
}

const hex = 'a1'.repeat(32)

describe('what we take is what the specification takes', () => {
  // spec.md, "Pulling manifests": the two expressions as they stand there
  const specName = /^[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(\/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*$/
  const specTag = /^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$/
  // image-spec, descriptor.md, "Digests", with what it says of the registered algorithms
  const specDigest = /^[a-z0-9]+(?:[.+_-][a-z0-9]+)*:[a-zA-Z0-9=_-]+$/
  const registered = /^(?:sha256:[a-f0-9]{64}|sha512:[a-f0-9]{128})$/

  for (const [what, texts, parse, isRight] of [
    [
      'names',
      near('ab0._-/AZ :@', 12, 'a/b', 'a.b-c__d/e', '0--1'),
      parseName,
      text => text.length <= 255 && specName.test(text),
    ],
    ['tags', near('aZ0._-/ :é', 130, 'latest', '_x', 'x'.repeat(128)), parseTag, text => specTag.test(text)],
    [
      'digests',
      near('0af9gGsha256:.-', 80, `sha256:${hex}`, `sha512:${hex}${hex}`, `sha512:${hex}`),
      parseDigest,
      text => specDigest.test(text) && registered.test(text),
    ],
    [
      'references',
      near('aZ0._-:sha256', 80, 'latest', `sha256:${hex}`, 'a:b'),
      parseReference,
      text => registered.test(text) || specTag.test(text),
    ],
    // RFC 6838, section 4.2
    [
      'media types',
      near('aZ0/.+-;! ', 20, 'a/b', 'application/vnd.x+json'),
      text => {
        if (!isMediaType(text)) {
          parseName('/')
        }
      },
      text => /^[A-Za-z0-9][A-Za-z0-9!#$&\-^_.+]{0,126}\/[A-Za-z0-9][A-Za-z0-9!#$&\-^_.+]{0,126}$/.test(text),
    ],
    [
      'content ranges',
      near('0123456789- /*byte', 12, '0-9', 'bytes 0-9/10', '5-4'),
      parseContentRange,
      text => {
        const [, first, last] = /^(?:bytes[ =])?(\d{1,15})-(\d{1,15})(?:\/(?:\d+|\*))?$/.exec(text.trim()) ?? []
        return first !== undefined && Number(first) <= Number(last)
      },
    ],
  ] as Array<[string, fc.Arbitrary<string>, (text: string) => unknown, (text: string) => boolean]>) {
    it(what, () => {
      fc.assert(
        fc.property(texts, text => {
          assert.equal(
            takes(() => parse(text)),
            isRight(text),
            text,
          )
        }),
        { numRuns: 3000 },
      )
    })
  }

  it('ranges: the bytes that RFC 9110 means', () => {
    const bound = fc.nat({ max: 12 })
    const spec = fc.oneof(
      fc.tuple(bound, bound).map(pair => pair.join('-')),
      bound.map(first => `${first}-`),
      bound.map(last => `-${last}`),
    )
    fc.assert(
      fc.property(fc.array(spec, { minLength: 1, maxLength: 4 }), fc.nat({ max: 10 }), (specs, size) => {
        const body = Array.from({ length: size }, (_, i) => i)
        const wanted = specs
          .map(text => {
            const [first = '', last = ''] = text.split('-')
            return first === ''
              ? body.slice(size - Math.min(size, Number(last)))
              : body.filter(i => i >= Number(first) && (last === '' || i <= Number(last)))
          })
          .filter(bytes => bytes.length > 0)
        let ranges: ReturnType<typeof parseRange> = []
        const taken = takes(() => {
          ranges = parseRange(`bytes=${specs.join(',')}`, size)
        })
        assert.equal(taken, wanted.length > 0)
        assert.deepEqual(
          ranges?.map(({ start, end }) => body.slice(start, end + 1)),
          wanted,
        )
      }),
      { numRuns: 2000 },
    )
  })
})

describe('what is written is read again', () => {
  const name = fc.stringMatching(/^[a-z0-9]{1,8}([._-][a-z0-9]{1,8}){0,2}(\/[a-z0-9]{1,8}){0,3}$/)
  const tag = fc.stringMatching(/^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,20}$/)
  const digest = fc.oneof(
    fc.stringMatching(/^[a-f0-9]{64}$/).map(text => `sha256:${text}`),
    fc.stringMatching(/^[a-f0-9]{128}$/).map(text => `sha512:${text}`),
  )

  it('the name of an image', () => {
    const host = fc.constantFrom(
      undefined,
      'localhost',
      'localhost:5000',
      'registry.example',
      'r.example:443',
      '[::1]:5000',
      '192.0.2.1:80',
    )
    fc.assert(
      fc.property(host, name, fc.oneof(tag, digest), (host, repository, text) => {
        fc.pre(host !== undefined || !/^([^/]*\.[^/]*|localhost)\//.test(repository))
        const reference = parseReference(text)
        const { explicit, ...read } = parseImageName(formatImageName({ host, repository, reference }))
        assert.deepEqual(read, { host, repository, reference })
        assert.ok(explicit)
      }),
      { numRuns: 1000 },
    )
  })

  it('a range of bytes', () => {
    fc.assert(
      fc.property(
        fc.maxSafeNat().map(n => n % 1e15),
        fc.nat(),
        (start, length) => {
          fc.pre(start + length < 1e15)
          const range = { start, end: start + length }
          assert.deepEqual(parseContentRange(`${range.start}-${range.end}`), range)
          assert.deepEqual(parseContentRange(`bytes ${range.start}-${range.end}/*`), range)
          assert.deepEqual(parseRange(`bytes=${range.start}-${range.end}`, Number.MAX_SAFE_INTEGER), [range])
        },
      ),
    )
  })

  it('a manifest: each descriptor as it stands there, whatever else does', () => {
    const descriptor = fc.record({
      mediaType: fc.constantFrom('a/b', 'application/vnd.oci.image.layer.v1.tar'),
      digest,
      size: fc.maxSafeNat(),
      annotations: fc.dictionary(fc.string(), fc.string()),
    })
    const extra = fc.dictionary(
      fc
        .string()
        .filter(
          key =>
            ![
              'schemaVersion',
              'mediaType',
              'config',
              'layers',
              'manifests',
              'subject',
              'annotations',
              'artifactType',
              'blobs',
            ].includes(key),
        ),
      fc.jsonValue({ maxDepth: 3 }),
    )
    fc.assert(
      fc.property(
        descriptor,
        fc.array(descriptor, { maxLength: 5 }),
        fc.option(descriptor, { nil: undefined }),
        extra,
        (config, layers, subject, more) => {
          const value = JSON.parse(
            JSON.stringify({
              ...more,
              schemaVersion: 2,
              mediaType: 'application/vnd.oci.image.manifest.v1+json',
              config,
              layers,
              subject,
            }),
          )
          const manifest = parseManifest(Buffer.from(JSON.stringify(value)), undefined)
          assert.deepEqual(manifest.blobs, [value.config, ...value.layers])
          assert.deepEqual(manifest.subject, value.subject)
        },
      ),
    )
  })

  it('a CID, or nothing at all: no text makes an error', () => {
    const cid = 'bafybeihntvt5jkdp32qt36ooilcjgmln3c2jxnov4brhzpuke35dtmwa5m'
    fc.assert(
      fc.property(
        near(
          'abf27kzQmipfsn:/.',
          70,
          cid,
          `/ipfs/${cid}`,
          `ipns://${cid}`,
          'Qmc2ot2NQadXmbvPbsidyjYDvPfPwKZmovzNpfRPKxXUrL',
          'ipns/example.com',
        ),
        text => {
          const root = parseRoot(text)
          if (root?.cid !== undefined) {
            assert.equal(CID.parse(root.cid).toString(), root.cid)
          }
          for (const written of [toDockerFormat(text), toIpfsFormat(text)]) {
            assert.deepEqual(written === undefined ? undefined : parseRoot(written), root)
          }
        },
      ),
      { numRuns: 3000 },
    )
  })
})

describe('a text that is meant to take long does not', () => {
  const length = 200_000
  const texts = [
    'a',
    '-',
    '_',
    '.',
    '/',
    'a-',
    'a__',
    'a/',
    '0',
    '0-',
    '0-0,',
    ',',
    ' ',
    'a.',
    ':',
    '@',
    '[',
    '1',
    'z',
    'Q',
    '\t',
    '%',
    'é',
    ';',
    'a.a',
  ].flatMap(piece => {
    const long = piece.repeat(Math.ceil(length / piece.length))
    return [
      long,
      `${long}!`,
      `bytes=${long}`,
      `bytes ${long}`,
      `/ipfs/${long}`,
      `/ipns/${long}`,
      `sha256:${long}`,
      `${long}\n`,
    ]
  })

  for (const [what, parse] of [
    ['name', parseName],
    ['tag', parseTag],
    ['digest', parseDigest],
    ['reference', parseReference],
    ['range', text => parseRange(text, 1000)],
    ['content range', parseContentRange],
    ['media type', parseMediaType],
    ['page', n => parsePage({ n })],
    ['CID', parseRoot],
    ['docker format', toDockerFormat],
    ['image name', parseImageName],
    ['manifest', text => parseManifest(Buffer.from(text), 'a/b')],
  ] as Array<[string, (text: string) => unknown]>) {
    it(what, () => {
      const began = performance.now()
      texts.forEach(text => takes(() => parse(text)))
      // in a time that grows with the square of the length, one of them alone would take a minute
      assert.ok(performance.now() - began < 15_000)
    })
  }
})
