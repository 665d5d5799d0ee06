import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { BlockSet } from '../../../src/ipfs/blocks/block-set.ts'
import { trusted } from '../../../src/access/caller.ts'
import type { Digest } from '../../../src/oci/digest.ts'
import { FakeUpstream } from '../../fixtures/fake-upstream.ts'
import { sha256 } from '../../fixtures/images.ts'
import { addImage, type MirroredImage } from '../../fixtures/mirrored-image.ts'
import { descriptorOf, imageManifest } from '../../fixtures/manifests.ts'
import { readAll, TestRegistry } from '../../fixtures/registry.ts'
import { until } from '../../fixtures/until.ts'

const mebibyte = 1024 * 1024
const name = 'docker.io/library/alpine'

async function pull(stores: TestRegistry, tag: string, { config, layers }: MirroredImage): Promise<void> {
  const repository = await stores.registry.repository(name, trusted)
  await repository.manifest({ tag })
  for (const blob of [config, ...layers]) {
    assert.ok((await readAll((await repository.blob(sha256(blob))).read())).equals(blob))
    await until('the link', async () => await stores.index.isLinked(name, sha256(blob)))
  }
}

async function open(upstream: FakeUpstream, init: Parameters<typeof TestRegistry.open>[0] = {}): Promise<TestRegistry> {
  return await TestRegistry.open({ upstreams: [upstream], recent: 0, ...init })
}

describe('garbage collection', () => {
  it('keeps the blocks of a fetch that is under way, and of one that waits for its client', async () => {
    const upstream = new FakeUpstream()
    const { layers } = addImage(upstream, 'library/alpine', 'latest', [6 * mebibyte])
    const layer = layers[0]!
    const { promise, resolve } = Promise.withResolvers<void>()
    upstream.beforeChunk = async at => {
      await (at >= 5 * mebibyte ? promise : undefined)
    }
    await using stores = await open(upstream)
    const repository = await stores.registry.repository(name, trusted)
    await repository.manifest({ tag: 'latest' })
    const reading = readAll((await repository.blob(sha256(layer))).read())
    await until('five leaves', () => upstream.sent >= 5 * mebibyte)
    await until('what was saved', async () => (await Array.fromAsync(stores.index.fetches())).length > 0)
    await stores.collector().collect({ grace: 0 })
    resolve()
    assert.ok((await reading).equals(layer))
    await until('the link', async () => await stores.index.isLinked(name, sha256(layer)))
    await stores.collector().collect({ grace: 0 })
    assert.ok((await readAll((await repository.blob(sha256(layer))).read())).equals(layer))
    assert.equal(upstream.sent, layer.byteLength)
  })

  it('evicts the image that was used least recently where the cache is full, and no pushed content', async () => {
    const upstream = new FakeUpstream()
    const images = ['one', 'two', 'three'].map(tag => addImage(upstream, 'library/alpine', tag, [2 * mebibyte]))
    await using stores = await open(upstream)
    for (const [i, tag] of ['one', 'two', 'three'].entries()) {
      await pull(stores, tag, images[i]!)
      const used = new Date(Date.now() - (3 - i) * 3_600_000).toISOString()
      await stores.index.change().putMirrored(name, images[i]!.digest, { used }).commit({ durable: false })
    }
    // the first layer is pushed to another repository, too
    await stores.pushBlob('own', images[0]!.layers[0]!)
    await stores.pushEmptyConfig('own')
    await stores.pushManifest('own', 'v1', imageManifest({ layers: [descriptorOf(images[0]!.layers[0]!)] }))
    await stores.collector({ cacheBytes: 3 * mebibyte }).collect({ grace: 0 })
    const kept = await Promise.all(
      images.map(async ({ digest }) => (await stores.index.manifest(name, digest)) !== undefined),
    )
    // the layer of the first takes no room: a repository of this registry needs it anyway
    assert.deepEqual(kept, [true, false, true])
    assert.equal(await stores.index.tag(name, 'two'), undefined)
    assert.equal(await stores.index.blob(sha256(images[1]!.layers[0]!)), undefined)
    const ownBlob = await stores.repository('own').blob(sha256(images[0]!.layers[0]!))
    assert.ok((await readAll(ownBlob.read())).equals(images[0]!.layers[0]!))
    await pull(stores, 'two', images[1]!)
  })

  it('tells in a dry run what it would evict, and leaves it', async () => {
    const upstream = new FakeUpstream()
    const image = addImage(upstream, 'library/alpine', 'one', [2 * mebibyte])
    await using stores = await open(upstream)
    await pull(stores, 'one', image)
    const { manifests } = await stores.collector({ cacheBytes: 0 }).collect({ dryRun: true, grace: 0 })
    assert.equal(manifests, 1)
    assert.notEqual(await stores.index.manifest(name, image.digest), undefined)
  })

  it('forgets a fetch that nobody went on with, and its blocks', async () => {
    const upstream = new FakeUpstream()
    const { layers } = addImage(upstream, 'library/alpine', 'latest', [4 * mebibyte])
    await using stores = await open(upstream, { mirror: { idleTime: 10 } })
    const repository = await stores.registry.repository(name, trusted)
    await repository.manifest({ tag: 'latest' })
    upstream.beforeChunk = at => {
      if (at >= 2 * mebibyte) {
        throw upstream.fail('denied')
      }
    }
    await assert.rejects(readAll((await repository.blob(sha256(layers[0]!))).read()), { code: 'DENIED' })
    await until('the state', async () => (await Array.fromAsync(stores.index.fetches()))[0]?.record.active === false)
    const before = await stores.collector().collect({ dryRun: true, grace: 60_000 })
    await stores.collector().collect({ grace: 0 })
    assert.deepEqual(await Array.fromAsync(stores.index.fetches()), [])
    const after = await stores.collector().collect({ dryRun: true, grace: 0 })
    assert.deepEqual([before.blocks, after.blocks], [0, 0])
  })
})

describe('fsck, a backup and a rebuild', () => {
  it('go on beside sparse images and fetches', async () => {
    const upstream = new FakeUpstream()
    const image = addImage(upstream, 'library/alpine', 'latest', [2 * mebibyte, 100])
    await using stores = await open(upstream)
    const repository = await stores.registry.repository(name, trusted)
    await repository.manifest({ tag: 'latest' })
    const [large, small] = image.layers as [Buffer, Buffer]
    await readAll((await repository.blob(sha256(small))).read())
    upstream.beforeChunk = () => {
      throw upstream.fail('denied')
    }
    await assert.rejects(readAll((await repository.blob(sha256(large))).read()))
    const report = await stores.fsck().run()
    assert.deepEqual([report.missing, report.damaged], [0, 0])
    await using backup = await stores.backups.begin(new BlockSet(), AbortSignal.timeout(10_000))
    assert.deepEqual(backup.leftOut, [])
  })
})

describe('the image root of a mirrored image', () => {
  it('is that of a push of the same image, once all of its blobs are here', async () => {
    const upstream = new FakeUpstream()
    const image = addImage(upstream, 'library/alpine', 'latest', [2 * mebibyte + 1, 100])
    await using stores = await open(upstream)
    await pull(stores, 'latest', image)
    for (const blob of [image.config, ...image.layers]) {
      await stores.pushBlob('pushed', blob)
    }
    const { root } = await stores.pushManifest('pushed', 'latest', image.manifest)
    const rootOf = async (digest: Digest): Promise<string | undefined> =>
      (await stores.index.manifest(name, digest))?.root
    await until('the same root', async () => (await rootOf(image.digest)) === root)
  })
})
