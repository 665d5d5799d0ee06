import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { sha256 } from '../fixtures/images.ts'
import type { Digest } from '../../src/oci/digest.ts'
import { parseSearch } from '../../src/registry/overview/filter.ts'
import type { ImageContent } from '../../src/registry/overview/content/image-details.ts'
import { ImageSearches } from '../../src/registry/overview/image-facts.ts'

const { signal } = new AbortController()
const linux = { os: 'linux', architecture: 'arm64', variant: undefined }

describe('the text of a search', () => {
  it('has conditions anywhere, and the rest is a name', () => {
    for (const [search, text, platforms, annotations] of [
      ['team/App:v1', 'team/app:v1', [], []],
      ['platform:linux/arm64', '', [linux], []],
      [' App  PLATFORM:Linux/ARM64/v8 ', 'app', [{ ...linux, variant: 'v8' }], []],
      ['annotation:org.X=Y app', 'app', [], [['org.X', 'Y']]],
      [
        'annotation:a="b c" annotation:d= platform:linux/arm64',
        '',
        [linux],
        [
          ['a', 'b c'],
          ['d', ''],
        ],
      ],
      ['annotation:a=b=c', '', [], [['a', 'b=c']]],
      // repositories with a tag, as before
      ['platform:v1', 'platform:v1', [], []],
      ['annotation:v1', 'annotation:v1', [], []],
      ['my-platform:linux/arm64', 'my-platform:linux/arm64', [], []],
      ['platform:linux/arm64/v8/x', 'platform:linux/arm64/v8/x', [], []],
    ] as const) {
      const isFilter = platforms.length + annotations.length > 0
      assert.deepEqual(parseSearch(search), { text, filter: isFilter ? { platforms, annotations } : undefined }, search)
    }
  })

  it('is read in a moment, whatever it is', () => {
    const began = performance.now()
    for (const part of ['platform:', 'annotation:', 'annotation:a="', ' ', 'platform:a/', '"']) {
      parseSearch(part.repeat(300))
    }
    assert.ok(performance.now() - began < 200)
  })
})

/** Images that each have an annotation `n` */
function images(count: number): {
  digests: Digest[]
  read: string[]
  content: () => Promise<ImageContent>
} {
  const digests = Array.from({ length: count }, (_, i) => sha256(Buffer.from(`image ${i}`)))
  const read: string[] = []
  return {
    digests,
    read,
    content: async (...[, reference]: unknown[]) => {
      const { digest } = reference as { digest: Digest }
      read.push(digest)
      const annotations = { n: String(digests.indexOf(digest)) }
      return { manifest: { annotations, manifests: [] }, layers: [] } as unknown as ImageContent
    },
  }
}

async function find(searches: ImageSearches, digests: readonly Digest[], n: number): Promise<[number[], number]> {
  const filter = { platforms: [], annotations: [['n', String(n)] as const] }
  return await searches.run(filter, signal, async search => {
    const found: number[] = []
    for (const [i, digest] of digests.entries()) {
      if (await search.fits('app', digest)) {
        found.push(i)
      }
    }
    return [found, search.unsearched]
  })
}

describe('a search by what images are like', () => {
  it('reads so many at most, says how many are left, and goes on with these', async () => {
    const stored = images(25)
    const searches = new ImageSearches({ images: stored }, { maxReads: 10 })
    assert.deepEqual(await find(searches, stored.digests, 22), [[], 15])
    assert.deepEqual(await find(searches, stored.digests, 22), [[], 5])
    assert.deepEqual(await find(searches, stored.digests, 22), [[22], 0])
    assert.deepEqual(await find(searches, [...stored.digests, stored.digests[3]!], 3), [[3, 25], 0])
    assert.equal(stored.read.length, 25)
  })

  it('goes on where images can not be read', async () => {
    const stored = images(6)
    const content = async (): Promise<never> => {
      throw new Error('missing')
    }
    const searches = new ImageSearches({ images: { content } }, { maxReads: 3 })
    assert.deepEqual(await find(searches, stored.digests, 1), [[], 3])
    assert.deepEqual(await find(searches, stored.digests, 1), [[], 0])
  })

  it('ends where nobody waits for it', async () => {
    const stored = images(3)
    const searches = new ImageSearches({ images: stored })
    const filter = { platforms: [], annotations: [] }
    const work = async (search: { fits: (...args: ['app', Digest]) => Promise<boolean> }): Promise<boolean> =>
      await search.fits('app', stored.digests[0]!)
    await assert.rejects(searches.run(filter, AbortSignal.abort(), work), { name: 'AbortError' })
    assert.equal(await searches.run(filter, signal, work), true)
  })

  it('knows platforms of indexes and of images, and passes over annotations that are too many', async () => {
    const many = Object.fromEntries(Array.from({ length: 2000 }, (_, i) => [`name-${i}`, 'x'.repeat(100)]))
    const contents: Record<string, unknown>[] = [
      { manifest: { manifests: [{ platform: { os: 'linux', architecture: 'arm64', variant: 'v8' } }, {}] } },
      { manifest: { manifests: [], annotations: many }, config: { os: 'linux', architecture: 'arm64' } },
      { manifest: undefined },
      { manifest: { manifests: [{ platform: { os: '<b>', architecture: {} } }] }, config: { os: 'Linux/' } },
    ]
    const digests = contents.map((_, i) => sha256(Buffer.from(String(i))))
    const content = async (...[, reference]: unknown[]): Promise<ImageContent> =>
      contents[digests.indexOf((reference as { digest: Digest }).digest)] as unknown as ImageContent
    const searches = new ImageSearches({ images: { content } })
    const found = async (search: string): Promise<boolean[]> =>
      await searches.run(parseSearch(search).filter!, signal, async ({ fits }) => [
        await fits('app', digests[0]!),
        await fits('app', digests[1]!),
        await fits('app', digests[2]!),
        await fits('app', digests[3]!),
      ])
    assert.deepEqual(await found('platform:linux/arm64'), [true, true, false, false])
    assert.deepEqual(await found('platform:linux/arm64/v8'), [true, false, false, false])
    assert.deepEqual(await found(`annotation:name-1=${'x'.repeat(100)}`), [false, false, false, false])
  })
})
