import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import fc from 'fast-check'
import { Catalogue } from '../../../../../src/registry/overview/catalogue/catalogue.ts'
import type { IndexListener } from '../../../../../src/index/index.ts'
import { sha256 } from '../../../../fixtures/images.ts'
import { TestRegistry } from '../../../../fixtures/registry.ts'

const digests = [1, 2, 3].map(i => sha256(Buffer.from(String(i))))

describe('the catalogue', () => {
  let registry: TestRegistry
  before(async () => {
    registry = await TestRegistry.open()
  })
  after(async () => {
    await registry[Symbol.asyncDispose]()
  })

  async function tagsOf(catalogue: Catalogue): Promise<string[]> {
    return (await catalogue.entries()).flatMap(({ name, tags }) =>
      tags.map(({ tag, digest, updated }) => `${name}:${tag} ${digest} ${new Date(updated).toISOString()}`),
    )
  }

  async function put(repository: string, tag: string, updated: string, digest = digests[0]!): Promise<void> {
    const change = registry.index.change().putRepository(repository).putTag(repository, tag, { digest, updated })
    await change.commit({ durable: false })
  }

  it('has what was set last first, and repositories without a tag last', async () => {
    await put('a', 'old', '2026-01-01T00:00:00.000Z')
    await put('b', 'new', '2026-01-03T00:00:00.000Z')
    await put('a', 'newer', '2026-01-02T00:00:00.000Z')
    await registry.index.change().putRepository('none').commit({ durable: false })
    const catalogue = new Catalogue(registry)
    assert.deepEqual(
      (await catalogue.entries()).map(({ name, tags }) => [name, tags.map(({ tag }) => tag)]),
      [
        ['b', ['new']],
        ['a', ['newer', 'old']],
        ['none', []],
      ],
    )
    assert.deepEqual(await catalogue.tagsOf('a', digests[0]!, { may: () => true }), ['newer', 'old'])
    assert.equal(await catalogue.entry('c'), undefined)
  })

  it('follows every change, also those that come while it is read: the same as one that is read afterwards', async () => {
    const operation = fc.record({
      kind: fc.constantFrom('put', 'delete', 'gone'),
      repository: fc.constantFrom('x', 'x/y', 'z'),
      tag: fc.constantFrom('1', '2', '3'),
      digest: fc.constantFrom(...digests),
      updated: fc.integer({ min: 0, max: 1000 }).map(ms => new Date(ms).toISOString()),
      look: fc.boolean(),
    })
    await fc.assert(
      fc.asyncProperty(fc.array(operation, { minLength: 1, maxLength: 12 }), async operations => {
        const catalogue = new Catalogue(registry)
        const looks: Promise<unknown>[] = []
        for (const { digest, kind, look, repository, tag, updated } of operations) {
          if (look) {
            // not awaited: the change comes while the first look reads
            looks.push(catalogue.entries())
          }
          const change = registry.index.change()
          if (kind === 'put') {
            change.putRepository(repository).putTag(repository, tag, { digest, updated })
          } else if (kind === 'delete') {
            change.deleteTag(repository, tag)
          } else {
            for (const each of ['1', '2', '3']) {
              change.deleteTag(repository, each)
            }
            change.deleteRepository(repository)
          }
          await change.commit({ durable: false })
        }
        await Promise.all(looks)
        const followed = await tagsOf(catalogue)
        assert.deepEqual(followed, await tagsOf(new Catalogue(registry)))
      }),
      { numRuns: 60 },
    )
  })

  it('is forgotten when nobody has asked for ten minutes, and read again then', async t => {
    const listeners: (IndexListener | undefined)[] = []
    const index = {
      listen: (listener: IndexListener | undefined) => void listeners.push(listener),
      repositories: registry.index.repositories.bind(registry.index),
      tags: registry.index.tags.bind(registry.index),
    }
    t.mock.timers.enable({ apis: ['setTimeout'] })
    const catalogue = new Catalogue({ index })
    assert.deepEqual(listeners, [])
    await catalogue.entries()
    t.mock.timers.tick(9 * 60_000)
    await catalogue.entries()
    t.mock.timers.tick(9 * 60_000)
    assert.equal(listeners.length, 1)
    t.mock.timers.tick(60_001)
    assert.equal(listeners.at(-1), undefined)
    assert.equal(listeners.length, 2)
    await catalogue.entries()
    assert.notEqual(listeners.at(-1), undefined)
  })
})
