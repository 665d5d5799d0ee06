import assert from 'node:assert/strict'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { after, before, describe, it } from 'node:test'
import fc from 'fast-check'
import { jsonLine, line, printable, printableContext, printableLines } from '../../../../src/cli/output/printable.ts'
import { table } from '../../../../src/cli/output/table.ts'
import { fakeServer, type FakeServer } from '../../../fixtures/fake-server.ts'
import { sha256 } from '../../../fixtures/images.ts'
import { encode } from '../../../fixtures/manifests.ts'
import { temporaryDirectory, type TemporaryDirectory } from '../../../fixtures/temporary.ts'
import { fakeContext } from '../fake-context.ts'
import { ipdr } from '../ipdr.ts'

/** Nothing of this moves a cursor, and no terminal takes any of it for a command */
const harmful = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/u
const harmfulInLines = /[[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]--[\n\t]]/v
/** Clears the screen, sets the title, writes to the clipboard, begins lines, reverses, hides; by C0, C1 and Unicode */
const evil =
  '\x1b[2J\x1b]0;title\x07\x1b]52;c;YQ==\x1b\\\r\nforged: line\u009b31m\u0085\u2028\u202egnp.\u2066\u200b\ufeff\u{e0041}\x7f\b\0'

const texts = fc
  .array(
    fc.oneof(
      fc.string({ unit: 'binary', maxLength: 8 }),
      fc.constantFrom(
        '\x1b[2J',
        '\r',
        '\n',
        '\r\n',
        '\t',
        '\u009b',
        '\u202e',
        '\u{e0041}',
        '\ud800',
        'a',
        'é',
        '中',
        '\\',
        '"',
      ),
    ),
    { maxLength: 8 },
  )
  .map(parts => parts.join(''))

describe('a text that is printed', () => {
  it('has no control characters, whatever it was', () => {
    fc.assert(
      fc.property(texts, text => {
        assert.doesNotMatch(printable(text), harmful)
        assert.doesNotMatch(printableLines(text), harmfulInLines)
        assert.match(line`a ${text}\nb ${text}`, /^a .*\nb .*\n$/)
        assert.equal(printable(printable(text)), printable(text))
      }),
      { numRuns: 5000 },
    )
  })

  it('stays as it is where it has none', () => {
    for (const text of ['', 'sha256:0a', 'linux/arm64', 'Grüße, 中文, العربية 🙂', 'a\\nb']) {
      assert.equal(printable(text), text)
      assert.equal(printableLines(`${text}\n\t${text}\n`), `${text}\n\t${text}\n`)
    }
  })

  it('shows what it had', () => {
    assert.equal(printable('a\x1b[2J\n\u{e0041}'), 'a\\u001b[2J\\n\\udb40\\udc41')
  })

  it('is the same value as JSON', () => {
    fc.assert(
      fc.property(fc.oneof(texts, fc.jsonValue(), fc.dictionary(texts, texts)), value => {
        const text = jsonLine(value)
        assert.doesNotMatch(text.slice(0, -1), harmful)
        assert.deepEqual(JSON.parse(text), JSON.parse(JSON.stringify(value)))
      }),
      { numRuns: 5000 },
    )
  })

  it('keeps rows of a table apart', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(texts, texts), { minLength: 1, maxLength: 5 }), rows => {
        const text = table(rows)
        assert.doesNotMatch(text, /[[\p{Cc}\p{Cf}]--\n]/v)
        assert.equal(text.split('\n').length, rows.length + 1)
      }),
    )
  })

  it('is one for each command', () => {
    const context = fakeContext()
    const { stderr, stdout } = printableContext(context)
    stdout.write(evil)
    stderr.write(Buffer.from(evil))
    for (const { text } of [context.stdout, context.stderr]) {
      assert.doesNotMatch(text, harmfulInLines)
    }
  })
})

describe('what a stranger says', () => {
  let scratch: TemporaryDirectory
  /** Answers everything with what it can of the text above */
  let server: FakeServer
  const config = encode({})
  const blob = { mediaType: evil, digest: sha256(config), size: config.length, annotations: { [evil]: evil } }
  const image = encode({
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    artifactType: evil,
    config: blob,
    layers: [blob],
  })
  const child = {
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    digest: sha256(image),
    size: image.length,
    platform: { os: evil, architecture: evil, variant: evil },
  }
  const index = encode({
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.index.v1+json',
    manifests: [child, { ...child, digest: sha256(config), size: config.length }],
  })
  const progress = {
    phase: 'index',
    roots: evil,
    blocks: evil,
    bytes: 1,
    bad: evil,
    repaired: evil,
    manifests: evil,
    blobs: evil,
    repositories: evil,
  }
  const hurt = {
    repository: evil,
    digest: evil,
    tags: [evil],
    blocks: [evil],
    problem: evil,
    what: evil,
    tag: evil,
    cid: evil,
    reason: evil,
  }
  const result = {
    dryRun: true,
    keptTags: evil,
    manifests: evil,
    links: evil,
    cached: evil,
    blocks: evil,
    bytes: 1,
    seconds: evil,
    images: [hurt],
    others: [hurt],
    unlisted: evil,
    missing: evil,
    damaged: evil,
    repair: true,
    repaired: evil,
    unneeded: evil,
    whole: true,
    tags: evil,
    blobs: evil,
    recovered: [evil],
    partial: evil,
    problems: [hurt],
    absent: [hurt],
    root: evil,
    repositories: evil,
  }
  const items = [{ action: 'delete', repository: evil, tag: evil, digest: evil, why: evil }]
  const lines = [{ progress }, { items }, { result }].map(value => `${JSON.stringify(value)}\n`).join('')

  before(async () => {
    scratch = await temporaryDirectory('printable')
    server = await fakeServer(({ method, url }, res) => {
      res.setHeader('X-Ipfs-Cid', '\u009b2J\u0085')
      const [, , , what, reference] = url.split('/')
      if (method === 'POST' && /gc|fsck|retention|signatures|prefetch|rebuild|restore/.test(url)) {
        res.end(lines)
      } else if (url === '/ipdr/v1/peers') {
        res.end(
          JSON.stringify(
            method === 'GET'
              ? { peers: [{ peer: evil, address: evil, direction: evil, limited: true, latency: 1 }] }
              : { peer: evil },
          ),
        )
      } else if (url === '/ipdr/v1/publish' || url.startsWith('/ipdr/v1/resolve')) {
        res.end(JSON.stringify({ name: evil, cid: evil, path: [evil] }))
      } else if (url.startsWith('/dig')) {
        res.end(url.endsWith('false') ? JSON.stringify({ evil }, undefined, '\r\n') : evil)
      } else if (url === '/v2/_catalog') {
        res.end('{"repositories":["a"]}')
      } else if (what === 'tags') {
        res.end('{"name":"a","tags":["v1"]}')
      } else if (what === 'manifests' && method === 'GET') {
        res.writeHead(reference === sha256(config) ? 404 : 200).end(reference === child.digest ? image : index)
      } else if (what === 'blobs' || url === '/v2/') {
        res.end(method === 'HEAD' ? undefined : config)
      } else {
        res
          .writeHead(method === 'PUT' ? 201 : 500)
          .end(JSON.stringify({ errors: [{ code: evil, message: evil, detail: { reason: evil } }] }))
      }
    })
    await mkdir(join(scratch.path, 'saved'))
    await writeFile(join(scratch.path, 'saved/manifest.json'), encode([{ Config: evil, RepoTags: [evil], Layers: [] }]))
    await mkdir(join(scratch.path, 'layout'))
    await writeFile(
      join(scratch.path, 'layout/index.json'),
      encode({
        schemaVersion: 2,
        manifests: [{ ...child, annotations: { 'org.opencontainers.image.ref.name': evil } }, blob],
      }),
    )
  })

  after(async () => {
    await server[Symbol.asyncDispose]()
    await scratch[Symbol.asyncDispose]()
  })

  const k51 = 'k51qzi5uqu5dgdah039jpvmdidn6t55oz1ej69tshgdzlrkfsyj2asns47ukbj'
  const commands = [
    ['ls'],
    ['ls', 'a'],
    ['inspect', 'a:v1'],
    ['dig', 'a:v1'],
    ['dig', 'a'],
    ['dig', 'a:v1', '--short=false'],
    ['resolve', k51],
    ['peers'],
    ['peers', 'connect', '/ip4/1.2.3.4/tcp/1'],
    ['publish'],
    ['retention'],
    ['retention', '--dry-run'],
    ['signatures'],
    ['gc'],
    ['gc', '--dry-run'],
    ['fsck'],
    ['fsck', '--rebuild'],
    ['prefetch', 'a/b'],
  ]
  for (const args of commands) {
    it(`is text alone by ${args.join(' ')}`, async () => {
      for (const json of [[], ['--json']]) {
        const { err, out } = await ipdr([...args, ...json, '--docker-registry-host', server.host])
        assert.doesNotMatch(out + err, harmfulInLines)
        // a list of tags has a line for each, whatever it is called
        assert.ok(args.join(' ') === 'dig a' || !/^forged/m.test(out))
        assert.doesNotMatch(err, /^forged|bug/m)
        if (json.length > 0 || args.includes('--short=false')) {
          JSON.parse(out)
        }
      }
    })
  }

  for (const args of [
    ['push', 'x', '--from', 'saved'],
    ['push', 'x', '--from', 'oci:layout:v1'],
    ['push', 'x', '--from', 'layout'],
    ['push', '-s', 'x', '--from', 'registry'],
    ['push', 'x', '--from', 'registry'],
    ['pull', 'a', '--platform', 'linux/s390x', '--output', 'out'],
    ['pull', 'nope/a/b', '--output', 'out'],
    ['ls', evil],
    ['push', 'x', '--from', evil],
    [evil],
    ['ls', `--${evil}`],
  ]) {
    it(`is text alone by ${printable(args.join(' ').slice(0, 60))}`, async () => {
      const places = args.map(arg =>
        arg === 'registry'
          ? `${server.host}/a:v1`
          : arg.replace(/^(oci:)?(saved|layout|out)\b/, `$1${scratch.path}/$2`),
      )
      const { err, out } = await ipdr([
        ...places,
        ...(args[0] === 'push' || args[0] === 'pull' ? ['--docker-registry-host', server.host] : []),
      ])
      assert.notEqual(err + out, '')
      assert.doesNotMatch(out + err, harmfulInLines)
      assert.doesNotMatch(out + err, /^forged|bug/m)
    })
  }

  it('is text alone by commands that think of nothing', async () => {
    const { code, out } = await ipdr(['config', 'show', '--data-dir', 'a\u202e\u009b'])
    assert.equal(code, 0)
    assert.match(out, /a\\u202e\\u009b/)
    assert.doesNotMatch(out, harmfulInLines)
  })

  it('keeps to its line beside progress', async () => {
    const { showCopyProgress } = await import('../../../../src/cli/output/copy-progress.ts')
    const stderr = Object.assign(new PassThrough(), { isTTY: true })
    using progress = showCopyProgress({ ...fakeContext(), stderr }, { silent: false })
    progress.blob?.({ ...blob, digest: evil as `sha256:${string}` }, false)
    assert.match(String(stderr.read()), /K1 blobs, 0 B$/)
  })
})
