import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { rm } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import * as dagPb from '@ipld/dag-pb'
import { CID } from 'multiformats/cid'
import { blockKey, type BlockKey } from '../../../../src/ipfs/blocks/block-set.ts'
import { hashBlock } from '../../../../src/ipfs/dag/encode-node.ts'
import { Publisher, type PublisherComponents, type PublisherInit } from '../../../../src/registry/tags/publisher.ts'
import { imageManifest } from '../../../fixtures/manifests.ts'
import { readAll, TestRegistry } from '../../../fixtures/registry.ts'
import { until } from '../../../fixtures/until.ts'

describe('publisher', () => {
  let stores: TestRegistry
  let published: string[]
  let publisher: Publisher
  const names = {
    publish: async (cid: string) => {
      published.push(cid)
      return { name: 'k51', sequence: published.length }
    },
  }

  beforeEach(async () => {
    stores = await TestRegistry.open({ missingBlobs: 'accept' })
    published = []
    publisher = make()
  })
  afterEach(async () => {
    await publisher.stop()
    await stores[Symbol.asyncDispose]()
  })

  function make(init: Partial<PublisherInit> = {}, components: Partial<PublisherComponents> = {}): Publisher {
    const { condition, content, index, log } = stores
    return new Publisher(
      { condition, content, index, names, log, ...components },
      { automatic: false, delay: 20, interval: 100, ...init },
    )
  }

  async function push(repository: string, tag: string, content = tag): Promise<string> {
    const { root } = await stores.pushManifest(repository, tag, imageManifest({ annotations: { content } }))
    publisher.tagged(repository)
    return root
  }

  /** What lies below the published root, files with their text and links to images with their CID */
  async function contents(root: string, depth = 8): Promise<Record<string, unknown>> {
    const found: Record<string, unknown> = {}
    for await (const { name, cid } of stores.content.list(root)) {
      const { type, size } = (await stores.content.find(cid, []))!
      const isImage = (await stores.content.find(cid, ['oci-layout']).catch(() => undefined)) !== undefined
      found[name] =
        type === 'file'
          ? size < 100
            ? String(await readAll(stores.content.read(cid)))
            : size
          : isImage
            ? cid
            : await contents(cid, depth - 1)
    }
    return found
  }

  it('publishes nothing while not every peer may see the tags', async () => {
    await publisher.stop()
    let isOpen = false
    publisher = make(
      { automatic: true },
      { audience: () => ({ everything: isOpen, something: isOpen, mayPull: () => isOpen }) },
    )
    await publisher.start()
    await push('team/app', 'v1')
    await assert.rejects(publisher.publish(), { code: 'DENIED' })
    await sleep(200)
    assert.deepEqual(published, [])
    isOpen = true
    await push('team/app', 'v2')
    await until('both tags are published', () => published.length > 0)
    const found = JSON.stringify(await contents(published.at(-1)!))
    assert.ok(found.includes('v1') && found.includes('v2'))
  })

  describe('under access rules', () => {
    /** What every peer may pull: repositories, or repositories with a tag */
    let open: Set<string>
    let access: { published: { has: (key: BlockKey) => boolean } | undefined }
    const makeGuarded = (automatic: boolean): Publisher =>
      make(
        { automatic },
        {
          blockAccess: access,
          audience: () => ({
            everything: false,
            something: open.size > 0,
            mayPull: (repository, tag) =>
              open.has(repository) && (tag === undefined || open.has(`${repository}:${tag}`)),
          }),
        },
      )
    const isServed = (cid: string): boolean => access.published?.has(blockKey(CID.parse(cid).multihash.digest)) === true
    const openTags = (...tags: string[]): void => {
      open = new Set(tags.flatMap(tag => [tag, tag.split(':')[0]!]))
      publisher.rulesChanged()
    }

    beforeEach(async () => {
      await publisher.stop()
      open = new Set()
      access = { published: undefined }
      publisher = makeGuarded(true)
      await publisher.start()
    })

    it('publishes the tags that every peer may pull, and again when the rules change', async () => {
      const root = await push('public/app', 'v1')
      await push('public/app', 'hidden')
      await push('secret/app', 'v1', 'secret')
      openTags('public/app:v1')
      await until('the public tag is published', () => published.length > 0)
      assert.deepEqual(await contents(published[0]!), {
        cids: { public: { app: { v1: root } } },
        images: { public: { app: { v1: root } } },
      })
      assert.ok(publisher.isPublic && isServed(published[0]!))

      openTags('secret/app:v1')
      assert.ok(!publisher.isPublic && !isServed(published[0]!))
      await until('the other one is published', () => published.length > 1)
      assert.ok(!JSON.stringify(await contents(published[1]!)).includes('public'))
      assert.ok(publisher.isPublic && isServed(published[1]!) && !isServed(published[0]!))

      openTags()
      assert.ok(!publisher.isPublic && !isServed(published[1]!))
      await assert.rejects(publisher.publish(), { code: 'DENIED' })
      openTags('none/here:v1')
      await assert.rejects(publisher.publish(), { code: 'DENIED' })
      assert.ok(!publisher.isPublic)
      assert.equal(published.length, 2)
    })

    it('stores the directory anew where the rules change meanwhile', async () => {
      await push('a', 'v1')
      await push('b', 'v1')
      const find = stores.content.find.bind(stores.content)
      let changes = 0
      stores.content.find = async (...args) => {
        if (changes++ === 0) {
          openTags('b:v1')
        }
        return await find(...args)
      }
      openTags('a:v1')
      await until('a directory is published', () => published.length > 0)
      await publisher.stop()
      for (const root of published) {
        assert.deepEqual(Object.keys((await contents(root))['cids'] as object), ['b'])
      }
      assert.ok(isServed(published.at(-1)!))
    })

    it('knows after a restart whether what was published last is still public', async () => {
      await push('a', 'v1')
      openTags('a:v1')
      await until('the tag is published', () => published.length > 0)
      await publisher.stop()
      for (const [tag, isPublic] of [
        ['a:v1', true],
        ['b:v1', false],
      ] as const) {
        access.published = undefined
        publisher = makeGuarded(false)
        open = new Set([tag, tag.split(':')[0]!])
        await publisher.start()
        await (isPublic ? until('it is recognized', () => publisher.isPublic) : sleep(200))
        await publisher.stop()
        assert.deepEqual([publisher.isPublic, isServed(published[0]!)], [isPublic, isPublic])
      }
    })

    it('published by hand is still public after the rules change, unless they no longer allow it', async () => {
      await push('a', 'v1')
      await publisher.stop()
      publisher = makeGuarded(false)
      await publisher.start()
      openTags('a:v1')
      const { cid } = await publisher.publish()
      openTags('a:v1', 'b:v1')
      assert.ok(!publisher.isPublic && !isServed(cid), 'until that is known')
      await until('it is recognized', () => publisher.isPublic && isServed(cid))
      openTags('b:v1')
      await sleep(200)
      assert.ok(!publisher.isPublic && !isServed(cid))
    })

    it('is whole after a start that looked at it and a garbage collection', async () => {
      await push('a', 'v1')
      await push('b', 'v1')
      openTags('a:v1')
      await until('the first tag is published', () => published.length > 0)
      await publisher.stop()
      open = new Set(['a', 'b', 'a:v1', 'b:v1'])
      publisher = makeGuarded(false)
      await publisher.start()
      await sleep(200)
      await stores.collector().collect({ grace: 0 })
      const { cid } = await publisher.publish()
      assert.deepEqual(Object.keys((await contents(cid))['cids'] as object), ['a', 'b'])
    })
  })

  it('is cut short by the stop, however long a directory takes', async () => {
    await push('team/app', 'v1')
    let begun = false
    const content: ConstructorParameters<typeof Publisher>[0]['content'] = {
      add: stores.content.add.bind(stores.content),
      find: stores.content.find.bind(stores.content),
      sync: stores.content.sync.bind(stores.content),
      addDirectory: async (_entries, { signal } = {}) => {
        begun = true
        return await new Promise<never>((_resolve, reject) => {
          signal?.addEventListener('abort', () => {
            reject(signal.reason)
          })
        })
      },
    }
    publisher = new Publisher(
      { condition: stores.condition, content, index: stores.index, names, log: stores.log },
      { automatic: false },
    )
    await publisher.start()
    const publishing = assert.rejects(publisher.publish(), /stops/)
    await until('the directory is begun', () => begun)
    await publisher.stop()
    await publishing
  })

  it('publishes all tags, also where the root of an image is missing', async () => {
    const lost = await push('team/app', 'v1')
    await rm(stores.files.path(CID.parse(lost)))
    const v2 = await push('other', 'v2')
    const { cid } = await publisher.publish()
    assert.equal(
      String(await readAll(stores.content.read((await stores.content.find(cid, ['cids', 'team', 'app', 'v1']))!.cid))),
      lost,
    )
    assert.equal((await stores.content.find(cid, ['images', 'other', 'v2']))?.cid, v2)
  })

  it("publishes all tags, also where the root of an image can't be walked", async () => {
    const bad = (
      await stores.blockstore.put(await hashBlock(dagPb.code, Buffer.from('garbage')), Buffer.from('garbage'))
    ).toString()
    await push('team/app', 'v1')
    const { digest, record } = (await Array.fromAsync(stores.index.manifests('team/app')))[0]!
    await stores.index
      .change()
      .putManifest('team/app', digest, { ...record, root: bad })
      .commit({ durable: true })
    const v2 = await push('other', 'v2')
    const { cid } = await publisher.publish()
    assert.equal((await stores.content.find(cid, ['images', 'other', 'v2']))?.cid, v2)
  })

  it('makes a directory of CIDs and one of images', async () => {
    const v1 = await push('team/app', 'v1')
    const v2 = await push('team/app', 'v2')
    const x = await push('x', 'latest')
    const { name, cid } = await publisher.publish()
    assert.equal(name, 'k51')
    const tree = { team: { app: { v1, v2 } }, x: { latest: x } }
    assert.deepEqual(await contents(cid), { cids: tree, images: tree })
    assert.equal((await stores.index.published())?.root, cid)
  })

  it('makes the same one after any order of changes, and after a restart', async () => {
    await push('team/app', 'v1')
    await push('team/other', 'v1')
    await push('x', 'latest')
    const { cid } = await publisher.publish()
    await push('team/app', 'v2')
    await push('y/z', 'v1')
    assert.notEqual((await publisher.publish()).cid, cid)
    for (const repository of ['team/app', 'y/z']) {
      await stores.repository(repository).deleteManifest({ tag: repository === 'y/z' ? 'v1' : 'v2' })
      publisher.tagged(repository)
    }
    assert.equal((await publisher.publish()).cid, cid)
    publisher = make()
    assert.equal((await publisher.publish()).cid, cid)
  })

  it('is right about tags of which it was not told in the beginning', async () => {
    await push('team/app', 'v1')
    publisher = make()
    const added = await push('team/app', 'v2')
    const { cid } = await publisher.publish()
    assert.equal((await stores.content.find(cid, ['images', 'team', 'app', 'v2']))?.cid, added)
    assert.ok(await stores.content.find(cid, ['images', 'team', 'app', 'v1']))
  })

  it('gives a place that two want to the repository', async () => {
    await push('a', 'b')
    const c = await push('a/b', 'c')
    const d = await push('a', 'd')
    const { cid } = await publisher.publish()
    assert.deepEqual((await contents(cid))['cids'], { a: { b: { c }, d } })
    await stores.repository('a/b').deleteManifest({ tag: 'c' })
    publisher.tagged('a/b')
    const b = (await stores.repository('a').manifest({ tag: 'b' })).root
    assert.deepEqual((await contents((await publisher.publish()).cid))['cids'], { a: { b, d } })
  })

  it('publishes by itself, once for changes that come together', async () => {
    publisher = make({ automatic: true, delay: 50, interval: 5000 })
    await publisher.start()
    await sleep(100)
    assert.equal(published.length, 0, 'nothing before the first tag')
    for (let i = 0; i < 5; i++) {
      await stores.pushManifest('team/app', `v${i}`, imageManifest({ annotations: { content: `v${i}` } }))
    }
    // however long the pushes take, the publisher hears of them at once
    for (let i = 0; i < 5; i++) {
      publisher.tagged('team/app')
    }
    await until('it is published', () => published.length === 1)
    await sleep(100)
    assert.equal(published.length, 1)
    assert.equal(Object.keys(((await contents(published[0]!))['cids'] as { team: { app: object } }).team.app).length, 5)
  })

  it('does not wait for the end of changes that never end', async () => {
    publisher = make({ automatic: true, delay: 200, interval: 300 })
    await publisher.start()
    await push('team/app', 'v1')
    const timer = setInterval(() => {
      publisher.tagged('team/app')
    }, 20)
    try {
      await until('it is published', () => published.length > 0)
    } finally {
      clearInterval(timer)
    }
  })

  it('publishes without a warning where the process was busy for longer than the interval', async t => {
    publisher = make({ automatic: true, delay: 20, interval: 50 })
    await publisher.start()
    await stores.pushManifest('team/app', 'v1', imageManifest())
    const warnings: string[] = []
    const listener = (warning: Error): void => {
      warnings.push(warning.message)
    }
    process.on('warning', listener)
    t.after(() => process.off('warning', listener))
    publisher.tagged('team/app')
    for (const end = performance.now() + 100; performance.now() < end; ) {
      // nothing else runs
    }
    publisher.tagged('team/app')
    await until('it is published', () => published.length === 1)
    assert.deepEqual(warnings, [])
  })

  it('publishes what a crash left, and the last tag that goes', async () => {
    await push('team/app', 'v1')
    publisher = make({ automatic: true })
    await publisher.start()
    await until('it is published', () => published.length === 1)
    await stores.repository('team/app').deleteManifest({ tag: 'v1' })
    publisher.tagged('team/app')
    await until('it is published again', () => published.length === 2)
    assert.deepEqual(await contents(published[1]!), { cids: {}, images: {} })
  })

  it('tries again after a failure, with everything anew', async () => {
    const v1 = await push('team/app', 'v1')
    const x = await push('x', 'latest')
    const put: CID[] = []
    stores.blockstore.afterPut = cid => {
      put.push(cid)
    }
    let failures = 0
    const content = new Proxy(stores.content, {
      get: (target, name) =>
        name === 'sync' && failures === 0
          ? async () => {
              failures++
              // nothing leads to what was stored, so a collection of garbage takes it
              await Promise.all(put.splice(0).map(async cid => await stores.blockstore.delete(cid)))
              throw new Error('no')
            }
          : (Reflect.get(target, name) as () => unknown).bind(target),
    })
    publisher = make({ automatic: true }, { content })
    await publisher.start()
    await until('it is published', () => published.length === 1)
    assert.equal(failures, 1)
    assert.ok(stores.logged.some(({ message }) => message === 'tags not published'))
    const tree = { team: { app: { v1 } }, x: { latest: x } }
    assert.deepEqual(await contents(published[0]!), { cids: tree, images: tree })
  })

  it('tries again less and less often', async () => {
    await push('team/app', 'v1')
    const times: number[] = []
    const failing = {
      publish: async () => {
        times.push(performance.now())
        throw new Error('nobody is there')
      },
    }
    publisher = make({ automatic: true, delay: 1 }, { names: failing })
    await publisher.start()
    await until('the fourth try', () => times.length >= 4)
    // timers are never early, but their clock counts whole milliseconds
    for (const [i, least] of [100, 200, 400].entries()) {
      assert.ok(times[i + 1]! - times[i]! > least - 2, `${times}`)
    }
  })

  it('publishes nothing that is not in the index, and so might be collected as garbage', async () => {
    await push('team/app', 'v1')
    const index = new Proxy(stores.index, {
      get: (target, name) =>
        name === 'change'
          ? () => ({ putPublished: () => ({ commit: async () => await Promise.reject(new Error('no')) }) })
          : (Reflect.get(target, name) as () => unknown).bind(target),
    })
    publisher = make({}, { index })
    await assert.rejects(publisher.publish(), { message: 'no' })
    assert.deepEqual(published, [])
  })
})
