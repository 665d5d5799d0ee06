import assert from 'node:assert/strict'
import { once } from 'node:events'
import { after, before, beforeEach, describe, it } from 'node:test'
import { CID } from 'multiformats/cid'
import { randomBytes, sha256 } from '../fixtures/images.ts'
import {
  descriptorOf,
  emptyJson,
  foreignLayer,
  imageIndex,
  imageManifest,
  ociIndex,
  ociManifest,
  sha512,
} from '../fixtures/manifests.ts'
import { TestApp, assertError, json, type Reply } from '../fixtures/app.ts'
import { until } from '../fixtures/until.ts'

const dockerManifest = 'application/vnd.docker.distribution.manifest.v2+json'
const manifest = imageManifest({ annotations: { of: 'the test' } })
const digest = sha256(manifest)
const base = '/v2/a/b/manifests'
const maxManifestBytes = 8 * 1024 * 1024

let app: TestApp

before(async () => {
  app = await TestApp.start({ maxManifestBytes })
  await app.pushEmptyConfig('a/b')
})
after(async () => {
  await app[Symbol.asyncDispose]()
})

async function put(
  reference: string,
  body: Uint8Array | string,
  headers: Record<string, string> = { 'Content-Type': ociManifest },
  chunked = false,
): Promise<Reply> {
  return await app.request('PUT', `${base}/${reference}`, { body, headers, chunked })
}

async function tags(): Promise<string[]> {
  return (json(await app.get('/v2/a/b/tags/list')) as { tags: string[] }).tags
}

describe('a manifest', () => {
  beforeEach(async () => {
    await put('latest', manifest)
  })

  it('is put by tag', async () => {
    const { status, headers, body } = await put('latest', manifest)
    const root = (await app.stores.index.manifest('a/b', digest))!.root
    assert.deepEqual(
      [
        status,
        headers.location,
        headers['docker-content-digest'],
        headers['x-ipfs-cid'],
        headers['x-docker-content-id'],
        headers['oci-subject'],
        headers['oci-tag'],
        body.byteLength,
      ],
      [201, `${base}/${digest}`, digest, root, root, undefined, undefined, 0],
    )
  })

  it('comes as it was put, by tag and by digest', async () => {
    const root = (await app.stores.index.manifest('a/b', digest))!.root
    for (const reference of ['latest', digest]) {
      const { status, headers, body } = await app.get(`${base}/${reference}`)
      assert.deepEqual(
        [
          status,
          headers['content-type'],
          headers['content-length'],
          headers['docker-content-digest'],
          headers.etag,
          headers['x-ipfs-cid'],
          headers['x-docker-content-id'],
        ],
        [200, ociManifest, String(manifest.byteLength), digest, `"${digest}"`, root, root],
      )
      assert.ok(body.equals(manifest))
    }
  })

  for (const accept of ['application/json', dockerManifest, 'text/html', '', `${ociIndex};q=1, */*;q=0`]) {
    it(`is sent as it is to who accepts ${accept.slice(0, 60)}`, async () => {
      const { status, headers, body } = await app.get(`${base}/latest`, { Accept: accept })
      assert.deepEqual([status, headers['content-type'], body.equals(manifest)], [200, ociManifest, true])
    })
  }

  it('is not sent again to who has it', async () => {
    for (const method of ['GET', 'HEAD']) {
      const { status, headers, body } = await app.request(method, `${base}/latest`, {
        headers: { 'If-None-Match': `"${digest}"` },
      })
      assert.deepEqual(
        [status, headers.etag, headers['docker-content-digest'], body.byteLength],
        [304, `"${digest}"`, digest, 0],
      )
    }
    assert.equal((await app.get(`${base}/latest`, { 'If-None-Match': '"other"' })).status, 200)
  })

  it('is unknown where it is not', async () => {
    for (const path of [
      `${base}/none`,
      `${base}/${sha256(Buffer.from('none'))}`,
      '/v2/a/manifests/latest',
      `/v2/c/manifests/${digest}`,
    ]) {
      for (const method of ['GET', 'DELETE']) {
        assertError(await app.request(method, path), 'MANIFEST_UNKNOWN')
      }
    }
  })

  it('is deleted by tag, then by digest', async () => {
    await put('other', manifest)
    const { status, body } = await app.request('DELETE', `${base}/latest`)
    assert.deepEqual([status, body.byteLength], [202, 0])
    assertError(await app.get(`${base}/latest`), 'MANIFEST_UNKNOWN')
    assert.equal((await app.get(`${base}/${digest}`)).status, 200)
    assert.equal((await app.request('DELETE', `${base}/${digest}`)).status, 202)
    for (const reference of ['other', digest]) {
      assertError(await app.get(`${base}/${reference}`), 'MANIFEST_UNKNOWN')
    }
    // its blobs are still there
    assert.deepEqual(json(await app.get('/v2/a/b/tags/list')), { name: 'a/b', tags: [] })
  })

  it('may have any algorithm that is known', async () => {
    const reply = await put(sha512(manifest), manifest)
    assert.deepEqual(
      [reply.status, reply.headers['docker-content-digest'], reply.headers.location],
      [201, sha512(manifest), `${base}/${sha512(manifest)}`],
    )
    assert.ok((await app.get(`${base}/${sha512(manifest)}`)).body.equals(manifest))
  })

  it('names its subject, which need not be there', async () => {
    const subject = { ...descriptorOf(Buffer.from('subject'), ociManifest) }
    const { status, headers } = await put('referrer', imageManifest({ subject }))
    assert.deepEqual([status, headers['oci-subject']], [201, subject.digest])
  })

  it('gets the tags of ?tag=, each once', async () => {
    const { status, headers, rawHeaders } = await put(`${digest}?tag=t1&tag=t2&tag=t1`, manifest)
    assert.deepEqual(
      [status, headers['oci-tag'], rawHeaders.filter((_, i) => rawHeaders[i - 1] === 'OCI-Tag')],
      [201, 't1, t2', ['t1', 't2']],
    )
    await put('t3?tag=t4', manifest)
    const tagged = await tags()
    assert.deepEqual(
      ['t1', 't2', 't3', 't4'].filter(tag => !tagged.includes(tag)),
      [],
    )
    for (const query of [
      'tag=',
      'tag=.',
      'tag=a&tag=b/c',
      'tag=%00',
      `tag=${digest}`,
      Array.from({ length: 101 }, (_, i) => `tag=x${i}`).join('&'),
    ]) {
      assertError(await put(`${digest}?${query}`, manifest), 'TAG_INVALID')
    }
    assert.ok(!(await tags()).some(tag => tag === 'a' || tag.startsWith('x')))
  })
})

describe('the media type of a manifest', () => {
  const untyped = Buffer.from(JSON.stringify({ schemaVersion: 2, config: descriptorOf(emptyJson), layers: [] }))

  for (const [type, expected] of [
    [ociManifest, ociManifest],
    [dockerManifest, dockerManifest],
    [`${dockerManifest}; charset=utf-8`, dockerManifest],
    [dockerManifest.toUpperCase(), dockerManifest],
    ...[
      'application/json',
      'nonsense',
      'application/x-www-form-urlencoded',
      'text/plain',
      'application/octet-stream',
    ].map(type => [type, ociManifest] as const),
  ] as const) {
    it(`is ${expected} for ${type}`, async () => {
      assert.equal((await put('typed', untyped, { 'Content-Type': type })).status, 201)
      assert.equal((await app.get(`${base}/typed`)).headers['content-type'], expected)
    })
  }

  it('is guessed where nothing says it', async () => {
    assert.equal((await put('typed', untyped, {})).status, 201)
    assert.equal((await app.get(`${base}/typed`)).headers['content-type'], ociManifest)
  })

  it('is what both say, or refused', async () => {
    assertError(
      await put('typed', untyped, { 'Content-Type': 'application/vnd.example.thing+json' }),
      'MANIFEST_INVALID',
    )
    assert.equal(
      assertError(await put('typed', manifest, { 'Content-Type': dockerManifest }), 'MANIFEST_INVALID')?.['field'],
      'mediaType',
    )
  })

  it('is one that can be sent', async () => {
    for (const mediaType of ['a\r\nX-Evil: 1', 'é', 'x'.repeat(1000)]) {
      assertError(await put('typed', JSON.stringify({ mediaType }), {}), 'MANIFEST_INVALID')
    }
  })
})

describe('what is no manifest', () => {
  for (const [what, body] of [
    ['nothing', ''],
    ['text', 'hello'],
    ['half of one', manifest.subarray(0, 100)],
    ['an array', '[]'],
    ['no object', '5'],
    ['bytes', Buffer.from([0xff, 0xfe])],
    ['nested deeply', `{"a":${'['.repeat(100_000)}${']'.repeat(100_000)}}`],
    ['without a config', JSON.stringify({ schemaVersion: 2, layers: [] })],
  ] as const) {
    it(`is refused: ${what}`, async () => {
      assertError(await put('refused', body), 'MANIFEST_INVALID')
      assertError(await app.get(`${base}/refused`), 'MANIFEST_UNKNOWN')
    })
  }

  it('is refused: another than its digest says', async () => {
    assert.deepEqual(assertError(await put(sha256(Buffer.from('other')), manifest), 'DIGEST_INVALID'), {
      digest: sha256(Buffer.from('other')),
      actual: digest,
    })
    assertError(await put(sha512(Buffer.from('other')), manifest), 'DIGEST_INVALID')
  })

  it('is refused: one without its blobs', async () => {
    const [config, layer] = [descriptorOf(Buffer.from('no config')), descriptorOf(Buffer.from('no layer'))]
    const detail = assertError(
      await put(
        'refused',
        imageManifest({
          config,
          layers: [layer, { ...descriptorOf(Buffer.from('foreign'), foreignLayer), urls: ['https://example.org'] }],
        }),
      ),
      'MANIFEST_BLOB_UNKNOWN',
    )
    assert.deepEqual(detail, { digests: [config.digest, layer.digest] })
    assertError(await app.request('PUT', '/v2/elsewhere/manifests/latest', { body: manifest }), 'MANIFEST_BLOB_UNKNOWN')
    assert.equal(
      (
        await put('sparse', imageIndex([descriptorOf(Buffer.from('nothing'), ociManifest)]), {
          'Content-Type': ociIndex,
        })
      ).status,
      201,
    )
  })
})

describe('the size of a manifest', () => {
  const sized = (size: number): Buffer => Buffer.concat([imageManifest(), Buffer.alloc(size, ' ')]).subarray(0, size)

  for (const chunked of [false, true]) {
    it(`has a limit${chunked ? ', with no length to tell it' : ''}`, async () => {
      const largest = sized(maxManifestBytes)
      assert.equal((await put('largest', largest, undefined, chunked)).status, 201)
      assert.ok((await app.get(`${base}/largest`)).body.equals(largest))
      for (const size of [maxManifestBytes + 1, maxManifestBytes * 3]) {
        assert.deepEqual(assertError(await put('too-large', sized(size), undefined, chunked), 'MANIFEST_TOO_LARGE'), {
          maxBytes: maxManifestBytes,
        })
      }
      assertError(await app.get(`${base}/too-large`), 'MANIFEST_UNKNOWN')
    })
  }

  it('beyond the limit is known from the length, before anything is sent', async () => {
    const socket = app.connect()
    socket.write(`PUT ${base}/too-large HTTP/1.1\r\nHost: a\r\nContent-Length: 999999999999\r\n\r\n`)
    const [data] = await once(socket, 'data')
    assert.match(String(data), /^HTTP\/1.1 413 /)
    socket.destroy()
  })

  it('that is shorter than it was to be makes no manifest', async () => {
    const short = imageManifest({ annotations: { short: 'yes' } })
    for (const head of [
      `Content-Length: ${short.byteLength + 1}\r\n\r\n`,
      `Transfer-Encoding: chunked\r\n\r\n${short.byteLength.toString(16)}\r\n`,
    ]) {
      const socket = app.connect()
      socket.write(`PUT ${base}/short HTTP/1.1\r\nHost: a\r\nX-Request-Id: short\r\n${head}`)
      socket.write(short)
      socket.resume().end()
      await once(socket, 'close')
    }
    assertError(await app.get(`${base}/short`), 'MANIFEST_UNKNOWN')
    assertError(await app.get(`${base}/${sha256(short)}`), 'MANIFEST_UNKNOWN')
  })
})

describe('a manifest that is damaged', () => {
  it('is unavailable, never another', async () => {
    await put('damaged', imageManifest({ annotations: { damaged: randomBytes(20, 'd').toString('hex') } }))
    const { digest } = (await app.stores.index.tag('a/b', 'damaged'))!
    const { cid } = (await app.stores.index.manifest('a/b', digest))!
    await app.stores.blockstore.delete(CID.parse(cid))
    const reply = await app.get(`${base}/damaged`)
    assertError(reply, 'UNAVAILABLE')
    assert.equal(reply.headers.etag, undefined)
    await app.stores.blockstore.put(CID.parse(cid), Buffer.from('{}'))
    assertError(await app.get(`${base}/damaged`), 'UNAVAILABLE')
  })

  it('is unknown to who looks whether it has to be pushed, until it is pushed again', async () => {
    const bytes = imageManifest({ annotations: { lost: 'yes' } })
    const look = async (): Promise<number> => (await app.request('HEAD', `${base}/lost`)).status
    await put('lost', bytes)
    assert.equal(await look(), 200)
    await app.stores.blockstore.delete(CID.parse((await app.stores.index.manifest('a/b', sha256(bytes)))!.cid))
    assertError(await app.get(`${base}/lost`), 'UNAVAILABLE')
    await until('nobody has it', async () => (await look()) === 404)
    await put('lost', bytes)
    assert.equal(await look(), 200)
    assert.deepEqual((await app.get(`${base}/lost`)).body, bytes)
  })
})
