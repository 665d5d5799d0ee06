import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { sha256 } from '../fixtures/images.ts'
import { descriptorOf, imageIndex, imageManifest, ociIndex, ociManifest } from '../fixtures/manifests.ts'
import { TestApp, assertError, json, type Reply } from '../fixtures/app.ts'

const manifest = imageManifest()
const subject = descriptorOf(manifest, ociManifest)
const tagNames = ['1', '10', '2', 'A', 'Z', '_', 'a', 'a-b', 'a.b', 'a_b', 'latest', 'v1.0', 'zz']
const repositories = ['a', 'a-b', 'a.b', 'a/b', 'a/b/c', 'a__b', 'ab', 'b/0', 'z'].sort()

let app: TestApp

before(async () => {
  app = await TestApp.start()
  for (const name of repositories) {
    await app.pushEmptyConfig(name)
    await app.pushManifest(name, 'latest', manifest)
  }
  for (const tag of tagNames) {
    await app.pushManifest('a/b', tag, manifest)
  }
})
after(async () => {
  await app[Symbol.asyncDispose]()
})

/** The path in the Link to the next page */
function next({ headers: { link } }: Reply): string | undefined {
  const [, path] = /^<(\/[^>]*)>; rel="next"$/.exec(String(link)) ?? []
  assert.equal(path === undefined, link === undefined, String(link))
  return path
}

/** Follows the links to the end; returns what each page has */
async function pages(path: string, items: (reply: Reply) => string[]): Promise<string[][]> {
  const found: string[][] = []
  for (let at: string | undefined = path; at !== undefined; ) {
    const reply = await app.get(at)
    assert.equal(reply.status, 200)
    found.push(items(reply))
    at = next(reply)
    assert.ok(found.length < 100)
  }
  return found
}

for (const [what, path, all, items] of [
  ['tags', '/v2/a/b/tags/list', tagNames, (reply: Reply) => (json(reply) as { tags: string[] }).tags],
  [
    'repositories',
    '/v2/_catalog',
    repositories,
    (reply: Reply) => (json(reply) as { repositories: string[] }).repositories,
  ],
] as const) {
  describe(`the list of ${what}`, () => {
    it('is sorted, and whole without n', async () => {
      const reply = await app.get(path)
      assert.deepEqual([reply.status, reply.headers.link, items(reply)], [200, undefined, all])
      assert.match(String(reply.headers['content-type']), /^application\/json/)
    })

    for (const n of [1, 2, 3, all.length - 1, all.length, all.length + 1, 1_000_000]) {
      it(`in pages of ${n} leads to its end`, async () => {
        const found = await pages(`${path}?n=${n}`, items)
        assert.deepEqual(found.flat(), all)
        assert.deepEqual(
          found.map(page => page.length),
          Array.from({ length: Math.ceil(all.length / n) }, (_, i) => Math.min(n, all.length - i * n)),
        )
      })
    }

    it('of none is empty and leads nowhere', async () => {
      for (const query of ['n=0', 'n=0&last=a', 'n=000']) {
        const reply = await app.get(`${path}?${query}`)
        assert.deepEqual([reply.status, items(reply), reply.headers.link], [200, [], undefined])
      }
    })

    for (const last of [
      all[0],
      all[3],
      all.at(-1),
      'aa',
      '0',
      '~',
      '%ff',
      '%00',
      '%f0%9f%98%80',
      '%ef%bf%bf',
      'a/',
      'a:',
      '/',
      '..%2f..',
      '%0d%0aX:%20y',
      'x'.repeat(4000),
    ]) {
      it(`goes on after ${last?.slice(0, 20)}, whether or not that is there`, async () => {
        const text = Buffer.from(new URLSearchParams(`last=${last}`).get('last')!)
        const expected = all.filter(name => Buffer.compare(Buffer.from(name), text) > 0)
        assert.deepEqual((await pages(`${path}?n=4&last=${last}`, items)).flat(), expected)
      })
    }

    for (const n of ['-1', '', 'x', '1.5', '1e3', '0x1', '%31x', '9999999999999999', '1&n=2', '%20', '+1']) {
      it(`of n=${n} is refused`, async () => {
        const detail = assertError(await app.get(`${path}?n=${n}`), 'PAGINATION_NUMBER_INVALID')
        assert.deepEqual(Object.keys(detail ?? {}), ['n'])
      })
    }

    it('does not mind what else a query says', async () => {
      assert.deepEqual(items(await app.get(`${path}?x=y&N=1&__proto__=z&last`)), all)
      assert.deepEqual(
        items(await app.get(`${path}?${Array.from({ length: 1200 }, (_, i) => `a${i}`).join('&')}`)),
        all,
      )
    })
  })
}

describe('tags', () => {
  it('are those of the repository', async () => {
    assert.deepEqual(json(await app.get('/v2/a/tags/list')), { name: 'a', tags: ['latest'] })
    assert.deepEqual(json(await app.get('/v2/a/b/c/tags/list')), { name: 'a/b/c', tags: ['latest'] })
  })

  it('are none where there are blobs only', async () => {
    await app.pushBlob('blobs/only', Buffer.from('x'))
    assert.deepEqual(json(await app.get('/v2/blobs/only/tags/list')), { name: 'blobs/only', tags: [] })
    // another repository's name that begins in the same way
    assertError(await app.get('/v2/blobs/tags/list'), 'NAME_UNKNOWN')
  })

  it('are unknown where there is no repository', async () => {
    for (const name of ['none', 'a/b/c/d']) {
      for (const query of ['', '?n=0', '?n=1&last=a']) {
        assert.deepEqual(assertError(await app.get(`/v2/${name}/tags/list${query}`), 'NAME_UNKNOWN'), { name })
      }
    }
  })

  it('may be none', async () => {
    await app.pushEmptyConfig('untagged')
    await app.pushManifest('untagged', sha256(manifest), manifest)
    assert.deepEqual(json(await app.get('/v2/untagged/tags/list')), { name: 'untagged', tags: [] })
    await app.request('DELETE', `/v2/untagged/manifests/${sha256(manifest)}`)
  })

  it('do not follow the spelling of a path', async () => {
    assert.deepEqual(next(await app.get('/v2/a%2Fb/tags/list?n=1')), '/v2/a%2Fb/tags/list?n=1&last=1')
  })
})

describe('referrers', () => {
  const path = `/v2/a/referrers/${subject.digest}`
  const descriptors = Array.from({ length: 9 }, (_, i) => {
    const artifactType = i % 3 === 0 ? 'application/spdx+json' : 'application/vnd.example.signature'
    const annotations = { i: String(i) }
    const bytes =
      i % 2 === 0
        ? imageManifest({ subject, artifactType, annotations })
        : imageIndex([], { subject, artifactType, annotations })
    const mediaType = i % 2 === 0 ? ociManifest : ociIndex
    return { bytes, descriptor: { ...descriptorOf(bytes, mediaType), artifactType, annotations } }
  }).sort((a, b) => (a.descriptor.digest < b.descriptor.digest ? -1 : 1))
  const all = descriptors.map(({ descriptor }) => descriptor)
  const signatures = all.filter(({ artifactType }) => artifactType === 'application/vnd.example.signature')
  const items = (reply: Reply): typeof all => (json(reply) as { manifests: typeof all }).manifests
  const digests = (reply: Reply): string[] => items(reply).map(({ digest }) => digest)

  before(async () => {
    for (const { bytes, descriptor } of descriptors) {
      const { status, headers } = await app.pushManifest('a', descriptor.digest, bytes, descriptor.mediaType)
      assert.deepEqual([status, headers['oci-subject']], [201, subject.digest])
    }
  })

  it('are an image index', async () => {
    const reply = await app.get(path)
    assert.deepEqual(
      [reply.status, reply.headers['content-type'], reply.headers['oci-filters-applied'], reply.headers.link],
      [200, ociIndex, undefined, undefined],
    )
    assert.deepEqual(json(reply), { schemaVersion: 2, mediaType: ociIndex, manifests: all })
  })

  it('are none, but never an error, of what has none', async () => {
    for (const none of [
      `/v2/a/referrers/${sha256(Buffer.from('none'))}`,
      `/v2/none/referrers/${subject.digest}`,
      `/v2/a/b/referrers/${subject.digest}`,
      `/v2/a/referrers/sha512:${'a'.repeat(128)}`,
    ]) {
      const reply = await app.get(none)
      assert.deepEqual(
        [reply.status, reply.headers['content-type'], json(reply)],
        [200, ociIndex, { schemaVersion: 2, mediaType: ociIndex, manifests: [] }],
      )
    }
  })

  it('are filtered by their type', async () => {
    const reply = await app.get(`${path}?artifactType=application/vnd.example.signature`)
    assert.deepEqual([reply.headers['oci-filters-applied'], items(reply)], ['artifactType', signatures])
    assert.deepEqual(items(await app.get(`${path}?artifactType=application%2Fvnd.example.none`)), [])
    for (const query of ['artifactType=', 'artifactType', 'artifactType=a&artifactType=b', 'artifacttype=x']) {
      const reply = await app.get(`${path}?${query}`)
      assert.deepEqual([reply.headers['oci-filters-applied'], items(reply).length], [undefined, all.length])
    }
  })

  it('come in pages that lead to the end', async () => {
    assert.deepEqual(
      (await pages(`${path}?n=4`, digests)).map(page => page.length),
      [4, 4, 1],
    )
    const found = await pages(`${path}?n=2&artifactType=application/vnd.example.signature`, digests)
    assert.deepEqual(
      [found.map(page => page.length), found.flat()],
      [[2, 2, 2], signatures.map(({ digest }) => digest)],
    )
    assertError(await app.get(`${path}?n=x`), 'PAGINATION_NUMBER_INVALID')
  })

  it('go when they are deleted', async () => {
    const bytes = imageManifest({ subject: descriptorOf(Buffer.from('gone'), ociManifest) })
    const path = `/v2/a/referrers/${sha256(Buffer.from('gone'))}`
    await app.pushManifest('a', 'gone', bytes)
    assert.equal(items(await app.get(path)).length, 1)
    await app.request('DELETE', `/v2/a/manifests/${sha256(bytes)}`)
    assert.equal(items(await app.get(path)).length, 0)
  })
})
