import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, it } from 'node:test'
import type { GarbageCollector } from '../../../../src/upkeep/gc/garbage-collector.ts'
import { randomBytes, sha256 } from '../../../fixtures/images.ts'
import { descriptorOf, imageManifest } from '../../../fixtures/manifests.ts'
import { readAll, stream, TestRegistry } from '../../../fixtures/registry.ts'
import { until } from '../../../fixtures/until.ts'

const mebibyte = 1024 * 1024
const maxBytes = 10 * mebibyte

let stores: TestRegistry
let collector: GarbageCollector

beforeEach(async () => {
  // blocks and links are protected as they are in a server
  const onFull = (bytes: number): void => {
    collector.pressure.full(bytes)
  }
  stores = await TestRegistry.open({ maxBytes, unreferenced: 0, onFull })
  collector = stores.collector()
  await collector.start()
})
afterEach(async () => {
  await collector.stop()
  await stores[Symbol.asyncDispose]()
})

async function pushImage(tag: string, layer: Buffer): Promise<void> {
  await stores.pushEmptyConfig('a')
  await stores.pushBlob('a', layer)
  await stores.pushManifest('a', tag, imageManifest({ layers: [descriptorOf(layer)], annotations: { tag } }))
}

/** A push of which all but the end comes in */
async function pushInVain(size: number, seed: string): Promise<string> {
  const id = await stores.uploads.create('a')
  await assert.rejects(stores.uploads.append('a', id, stream(randomBytes(size, seed))), { code: 'STORAGE_FULL' })
  return id
}

describe('where there is no room', () => {
  it('what the refused push brought is freed, though it is new, and smaller ones go on', async () => {
    const layer = randomBytes(4 * mebibyte, 'kept')
    await pushImage('v1', layer)
    const used = stores.blockstore.space.usage.total!
    const id = await pushInVain(8 * mebibyte, 'in vain')
    await until(
      'the end of the upload',
      async () =>
        await stores.uploads.size('a', id).then(
          () => false,
          () => true,
        ),
    )
    await until('the cycle', () => stores.blockstore.space.usage.total! <= used)
    await pushImage('v2', randomBytes(5 * mebibyte, 'fits in'))
    assert.ok((await readAll((await stores.repository('a').blob(sha256(layer))).read())).equals(layer))
  })

  it('what was deleted just now is freed by the cycle that the next push begins', async () => {
    await pushImage('v1', randomBytes(6 * mebibyte, 'old'))
    await stores
      .repository('a')
      .deleteManifest({ digest: (await stores.repository('a').manifest({ tag: 'v1' })).digest })
    await assert.rejects(pushImage('v2', randomBytes(6 * mebibyte, 'new')), { code: 'STORAGE_FULL' })
    await until('the cycle', () => stores.blockstore.space.usage.total! < mebibyte)
    await pushImage('v2', randomBytes(6 * mebibyte, 'new'))
  })

  it('uploads that are written to, or were not refused, stay', async () => {
    const idle = await stores.uploads.create('a')
    await stores.uploads.append('a', idle, stream(randomBytes(2 * mebibyte, 'idle')))
    const { promise, resolve } = Promise.withResolvers<void>()
    const written = await stores.uploads.create('a')
    const writing = stores.uploads.append(
      'a',
      written,
      (async function* () {
        yield randomBytes(2 * mebibyte, 'written')
        await promise
        yield Buffer.from('end')
      })(),
    )
    await until('the first half', async () => (await stores.uploads.size('a', written)) === 2 * mebibyte)
    const refused = await pushInVain(8 * mebibyte, 'in vain')
    await until(
      'the cycle',
      async () =>
        await stores.uploads.size('a', refused).then(
          () => false,
          () => true,
        ),
    )
    await collector.collect()
    resolve()
    assert.equal(await writing, 2 * mebibyte + 3)
    const blob = Buffer.concat([randomBytes(2 * mebibyte, 'written'), Buffer.from('end')])
    await stores.uploads.commit('a', written, sha256(blob), stream(Buffer.alloc(0)))
    assert.equal(await stores.uploads.size('a', idle), 2 * mebibyte)
    assert.ok((await readAll((await stores.repository('a').blob(sha256(blob))).read())).equals(blob))
  })

  it('images of other nodes give way, the one that was used last as the last', async () => {
    const roots: string[] = []
    for (let i = 0; i < 3; i++) {
      const { cid } = await stores.content.add(randomBytes(2 * mebibyte, `image ${i}`))
      roots.push(cid)
      await stores.cached.found(cid)
    }
    await pushInVain(6 * mebibyte, 'in vain')
    await until('the cycle', async () => (await stores.cached.list()).length < 3)
    const left = (await stores.cached.list()).map(({ root }) => root)
    assert.ok(left.length > 0 && !left.includes(roots[0]!), `${left.length}`)
  })
})

describe('a cycle with a grace', () => {
  it('frees what nothing needs though it is new, the unreferenced blobs and idle uploads with it', async () => {
    await stores.reopen({ unreferenced: 60_000 })
    const patient = stores.collector()
    await stores.pushBlob('a', randomBytes(2 * mebibyte, 'blob'))
    const id = await stores.uploads.create('a')
    await stores.uploads.append('a', id, stream(randomBytes(2 * mebibyte, 'upload')))
    assert.equal((await patient.collect()).blocks, 0)
    assert.equal((await patient.collect({ grace: 60_000 })).blocks, 0)
    const { blocks, links } = await patient.collect({ grace: 0 })
    assert.deepEqual([blocks, links], [5, 1])
    await assert.rejects(stores.uploads.size('a', id), { code: 'BLOB_UPLOAD_UNKNOWN' })
  })
})
