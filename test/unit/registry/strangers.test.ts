import { trusted } from '../../../src/access/caller.ts'
import assert from 'node:assert/strict'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { base32upper } from 'multiformats/bases/base32'
import { CID } from 'multiformats/cid'
import { CidStore } from '../../../src/registry/tags/cid-store.ts'
import { IndexRebuilder, type RebuildResult } from '../../../src/upkeep/rebuild/index-rebuilder.ts'
import type { Repository } from '../../../src/registry/repository.ts'
import { contentsOf } from '../../fixtures/contents.ts'
import { randomBytes, sha256 } from '../../fixtures/images.ts'
import {
  descriptorOf,
  emptyJson,
  foreignLayer,
  imageManifest,
  ociIndex,
  ociManifest,
} from '../../fixtures/manifests.ts'
import { readAll, TestRegistry } from '../../fixtures/registry.ts'
import { oddFile, strangerRoot } from '../../fixtures/stranger-dag.ts'

const mebibyte = 1024 * 1024
const layer = randomBytes(3 * mebibyte + 5, 'of the victim')
const victims = imageManifest({ layers: [descriptorOf(layer)] })

let stores: TestRegistry

beforeEach(async () => {
  stores = await TestRegistry.open({ recent: 0, unreferenced: 0 })
  await stores.pushEmptyConfig('victim')
  await stores.pushBlob('victim', layer)
  await stores.pushManifest('victim', 'v1', victims)
})
afterEach(async () => {
  await stores[Symbol.asyncDispose]()
})

async function put(cid: CID, bytes: Uint8Array): Promise<void> {
  await stores.blockstore.put(cid, bytes)
}

async function pullAll(repository: Repository, manifest: Buffer): Promise<void> {
  for (const { digest } of JSON.parse(manifest.toString()).layers) {
    assert.equal(sha256(await readAll((await repository.blob(digest)).read())), digest)
    // a part of it as well
    await readAll((await repository.blob(digest)).read({ start: 1, end: 2 }))
  }
}

async function assertAllIsWell(before: Record<string, unknown>): Promise<void> {
  await stores.collector().collect()
  assert.deepEqual(await contentsOf(stores), before)
  const { images, others } = await stores.fsck().run()
  assert.deepEqual([images, others], [[], []])
}

describe("an image of a stranger that has a victim's bytes in another DAG", () => {
  for (const leafBytes of [1000, mebibyte - 1]) {
    it(`of leaves of ${leafBytes} bytes: is served, and stays the stranger's`, async () => {
      const before = await contentsOf(stores)
      const root = await strangerRoot(put, victims, sha256(victims), ociManifest, {
        [sha256(layer)]: await oddFile(put, layer, leafBytes),
      })
      await pullAll(await stores.registry.repository(root, trusted), victims)
      assert.deepEqual(await contentsOf(stores), before)
      await assertAllIsWell(before)
    })
  }

  it('gives a digest nowhere a record that had none', async () => {
    const own = randomBytes(2 * mebibyte, 'of the stranger')
    const root = await strangerRoot(put, victims, sha256(victims), ociManifest, {
      [sha256(own)]: await oddFile(put, own),
    })
    const repository = await stores.registry.repository(root, trusted)
    await readAll((await repository.blob(sha256(own))).read())
    assert.equal(await stores.index.blob(sha256(own)), undefined)
    assert.equal(await stores.repository('other').mountBlob(sha256(own), undefined), false)
  })
})

describe('what a manifest names', () => {
  const cache = 'application/vnd.buildkit.cacheconfig.v0'
  const [config, blob, extra, foreign] = ['cache config', 'cached layer', 'extension', 'foreign'].map(text =>
    Buffer.from(text),
  ) as [Buffer, Buffer, Buffer, Buffer]

  async function push(): Promise<string> {
    for (const bytes of [config, blob, extra, foreign]) {
      await stores.pushBlob('cache', bytes)
    }
    const index = Buffer.from(
      JSON.stringify({
        schemaVersion: 2,
        manifests: [descriptorOf(blob), descriptorOf(config, cache), descriptorOf(emptyJson, ociManifest)],
        extension: [{ of: descriptorOf(extra, 'a/b') }],
      }),
    )
    const image = imageManifest({
      layers: [{ ...descriptorOf(foreign, foreignLayer), urls: ['https://example.org'] }],
      subject: descriptorOf(index, ociIndex),
    })
    await stores.pushEmptyConfig('cache')
    const { root } = await stores.pushManifest('cache', 'v1', index, 'application/octet-stream')
    await stores.pushManifest('cache', 'referrer', image)
    return root
  }

  async function assertKept(repository: Repository): Promise<void> {
    for (const bytes of [config, blob, extra]) {
      assert.deepEqual(await readAll((await repository.blob(sha256(bytes))).read()), bytes)
    }
  }

  it('stays, whatever its media type and whatever field names it', async () => {
    const root = await push()
    const before = await contentsOf(stores)
    await assertAllIsWell(before)
    await assertKept(stores.repository('cache'))
    await assertKept(await stores.registry.repository(root, trusted))
    assert.deepEqual(await readAll((await stores.repository('cache').blob(sha256(foreign))).read()), foreign)
  })

  it('stays where only what names it as its subject has a tag', async () => {
    await push()
    await stores.repository('cache').deleteManifest({ tag: 'v1' })
    const before = await contentsOf(stores)
    await setTimeout(2)
    await stores.collector({ untagged: 1 }).collect()
    assert.deepEqual(await contentsOf(stores), before)
  })

  it('has to be there, be it in an index', async () => {
    const index = Buffer.from(
      JSON.stringify({ schemaVersion: 2, manifests: [descriptorOf(Buffer.from('nowhere'), cache)] }),
    )
    await assert.rejects(stores.pushManifest('victim', 'v2', index, ociIndex), {
      code: 'MANIFEST_BLOB_UNKNOWN',
      detail: { digests: [sha256(Buffer.from('nowhere'))] },
    })
    // a manifest is there under any media type
    await stores.pushManifest(
      'victim',
      'v2',
      Buffer.from(JSON.stringify({ schemaVersion: 2, manifests: [descriptorOf(victims, cache)] })),
      ociIndex,
    )
    const { root } = await stores.repository('victim').manifest({ tag: 'v2' })
    assert.equal(
      (await (await stores.registry.repository(root, trusted)).manifest({ digest: sha256(victims) })).digest,
      sha256(victims),
    )
    await pullAll(await stores.registry.repository(root, trusted), victims)
  })

  it('gives nobody a blob of another repository, by its root neither', async () => {
    const manifest = imageManifest({
      layers: [{ ...descriptorOf(layer, foreignLayer), urls: ['https://example.org'] }],
    })
    await stores.pushEmptyConfig('stranger')
    const { root } = await stores.pushManifest('stranger', 'v1', manifest)
    await assert.rejects((await stores.registry.repository(root, trusted)).blob(sha256(layer)), {
      code: 'BLOB_UNKNOWN',
    })
  })
})

describe('the rebuild of an index beside what strangers brought', () => {
  /** With nothing but the blocks and the files of the tags */
  async function rebuild(): Promise<RebuildResult> {
    const { blockLists, blockstore, condition, content, index, links, log } = stores
    const store = new CidStore(stores, { directory: join(stores.directory, 'cids'), exclusive: true })
    const publisher = { refresh: () => {} }
    const rebuilder = new IndexRebuilder({
      access: { isClosed: false },
      blockLists,
      blockstore,
      condition,
      content,
      index,
      links,
      log,
      cidStore: store,
      publisher,
      names: { published: async () => undefined },
    })
    await rebuilder.start()
    try {
      return await rebuilder.rebuild()
    } finally {
      await rebuilder.stop()
      await store.stop()
    }
  }

  async function noteTags(): Promise<void> {
    const store = new CidStore(stores, { directory: join(stores.directory, 'cids'), exclusive: true })
    await store.start()
    await store.idle()
    await store.stop()
  }

  it("finds a layer that a stranger's root of the same manifest leaves out, whatever size that claims", async () => {
    const before = await contentsOf(stores)
    await strangerRoot(put, victims, sha256(victims), ociManifest, {}, 2 ** 50)
    for (const hasTags of [true, false]) {
      await (hasTags ? noteTags() : rm(join(stores.directory, 'cids'), { recursive: true, force: true }))
      await stores.loseIndex()
      const { absent, problems, whole } = await rebuild()
      assert.deepEqual({ absent, problems, whole }, { absent: [], problems: [], whole: true })
      if (hasTags) {
        await assertAllIsWell(before)
      } else {
        assert.deepEqual((await stores.index.manifest('recovered', sha256(victims)))?.blobs, [
          sha256(emptyJson),
          sha256(layer),
        ])
        await pullAll(stores.repository('recovered'), victims)
      }
    }
  })

  it('makes its own DAG of bytes that only a stranger has', async () => {
    const { cid } = (await stores.index.blob(sha256(layer)))!
    const before = await contentsOf(stores)
    await noteTags()
    await strangerRoot(put, victims, sha256(victims), ociManifest, { [sha256(layer)]: await oddFile(put, layer) })
    const file = base32upper.encode(CID.parse(cid).multihash.bytes)
    await stores.loseIndex()
    await rm(join(stores.blocks, file.slice(-2), `${file}.data`))
    const { problems, whole } = await rebuild()
    assert.deepEqual({ problems, whole }, { problems: [], whole: true })
    await assertAllIsWell(before)
  })

  it('tells of a layer that is nowhere', async () => {
    await noteTags()
    const { cid } = (await stores.index.blob(sha256(layer)))!
    await strangerRoot(put, victims, sha256(victims), ociManifest, {
      [sha256(layer)]: await oddFile(put, Buffer.from('other bytes')),
    })
    const file = base32upper.encode(CID.parse(cid).multihash.bytes)
    await stores.loseIndex()
    await rm(join(stores.blocks, file.slice(-2), `${file}.data`))
    const { problems, whole } = await rebuild()
    assert.deepEqual(
      [whole, problems.map(({ repository, tag, digest }) => ({ repository, tag, digest }))],
      [false, [{ repository: 'victim', tag: 'v1', digest: sha256(layer) }]],
    )
  })

  it("ends well where a stranger's root leads to what is none", async () => {
    const before = await contentsOf(stores)
    await noteTags()
    const own = imageManifest({ layers: [descriptorOf(Buffer.from('never here'))] })
    await strangerRoot(put, own, sha256(own), ociManifest, {
      [sha256(Buffer.from('never here'))]: await oddFile(put, Buffer.from('other bytes')),
    })
    await strangerRoot(put, Buffer.from('{}'), sha256(Buffer.from('{}')), 'text/html', {})
    await strangerRoot(put, victims, sha256(own), ociManifest, {})
    await stores.loseIndex()
    const { problems, recovered, whole } = await rebuild()
    assert.deepEqual({ problems, recovered, whole }, { problems: [], recovered: [], whole: true })
    await assertAllIsWell(before)
  })
})
