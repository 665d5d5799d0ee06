import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { ImageRepository } from '../../../../src/registry/repositories/image-repository.ts'
import { VerifiedFiles } from '../../../../src/registry/image/verified-files.ts'
import { randomBytes, sha256 } from '../../../fixtures/images.ts'
import { descriptorOf, imageManifest } from '../../../fixtures/manifests.ts'
import { readAll, TestRegistry } from '../../../fixtures/registry.ts'

const layerSize = 1_000_000

describe('images of other nodes', () => {
  let stores: TestRegistry

  beforeEach(async () => {
    stores = await TestRegistry.open({ recent: 0, unreferenced: 0 })
  })
  afterEach(async () => {
    await stores[Symbol.asyncDispose]()
  })

  /** As if it had been fetched from elsewhere: no repository of this registry knows it */
  async function fetched(name: string): Promise<{ root: string; layer: Buffer; repository: ImageRepository }> {
    const layer = randomBytes(layerSize, name)
    await stores.pushEmptyConfig(name)
    await stores.pushBlob(name, layer)
    const { root, digest } = await stores.pushManifest(name, 'v1', imageManifest({ layers: [descriptorOf(layer)] }))
    await stores.repository(name).deleteManifest({ digest })
    const repository = new ImageRepository(
      { reader: stores.content, index: stores.index, cached: stores.cached, verified: new VerifiedFiles() },
      { name: root, root: async () => root },
    )
    return { root, layer, repository }
  }

  async function used(root: string, minutesAgo: number): Promise<void> {
    await stores.index
      .change()
      .putCached(root, { used: new Date(Date.now() - minutesAgo * 60_000).toISOString() })
      .commit({ durable: true })
  }

  const isHere = async (root: string): Promise<boolean> =>
    await stores.content.find(root, ['manifests', 'latest']).then(
      found => found !== undefined,
      () => false,
    )

  it('stay while there is room, and go when nobody pulled them', async () => {
    const [pulled, other] = [await fetched('pulled'), await fetched('other')]
    await pulled.repository.manifest({ tag: 'latest' })
    const { cached } = await stores.collector({ cacheBytes: 1.5 * layerSize }).collect()
    assert.deepEqual([cached, await isHere(pulled.root), await isHere(other.root)], [0, true, false])
    assert.ok((await readAll((await pulled.repository.blob(sha256(pulled.layer))).read())).equals(pulled.layer))
    await stores.reopen()
    await stores.collector({ cacheBytes: 1.5 * layerSize }).collect()
    assert.ok(await isHere(pulled.root))
  })

  it('go by the time of their last use when there is no room', async () => {
    const images = [await fetched('a'), await fetched('b'), await fetched('c')] as const
    const [a, b, c] = images
    await used(a.root, 10)
    await used(b.root, 30)
    await used(c.root, 20)
    const dry = await stores.collector({ cacheBytes: 2.5 * layerSize }).collect({ dryRun: true })
    const wet = await stores.collector({ cacheBytes: 2.5 * layerSize }).collect()
    assert.deepEqual([dry.cached, wet.cached], [1, 1])
    assert.deepEqual([dry.blocks, dry.bytes], [wet.blocks, wet.bytes])
    assert.deepEqual(await Promise.all(images.map(async ({ root }) => await isHere(root))), [true, false, true])
    assert.deepEqual(
      (await Array.fromAsync(stores.index.cached())).map(({ root }) => root).sort(),
      [a.root, c.root].sort(),
    )
    await b.repository.manifest({ tag: 'latest' }).catch(() => {})
    assert.equal((await stores.collector({ cacheBytes: 0 }).collect()).cached, 2)
  })

  it('stay while they are read, room or not', async () => {
    const { root, layer, repository } = await fetched('a')
    await used(root, 100)
    const blob = await repository.blob(sha256(layer))
    const reading = blob.read()[Symbol.asyncIterator]()
    await reading.next()
    assert.equal((await stores.collector({ cacheBytes: 0 }).collect()).cached, 0)
    assert.ok(await isHere(root))
    await reading.return?.()
    assert.equal((await stores.collector({ cacheBytes: 0 }).collect()).cached, 1)
    assert.equal(await isHere(root), false)
  })

  it('take no room for what they share with images of this registry', async () => {
    const { root, layer, repository } = await fetched('a')
    await repository.manifest({ tag: 'latest' })
    await stores.pushBlob('mine', layer)
    await stores.pushEmptyConfig('mine')
    await stores.pushManifest('mine', 'v1', imageManifest({ layers: [descriptorOf(layer)] }))
    assert.equal((await stores.collector({ cacheBytes: layerSize / 2 }).collect()).cached, 0)
    assert.ok(await isHere(root))
  })
})
