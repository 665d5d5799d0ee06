import assert from 'node:assert/strict'
import { rm, writeFile } from 'node:fs/promises'
import { afterEach, beforeEach, describe, it } from 'node:test'
import * as dagPb from '@ipld/dag-pb'
import { CID } from 'multiformats/cid'
import * as raw from 'multiformats/codecs/raw'
import { create as createMultihash } from 'multiformats/hashes/digest'
import { identity } from 'multiformats/hashes/identity'
import { hashBlock } from '../../../src/ipfs/dag/encode-node.ts'
import { dagLimits } from '../../../src/ipfs/dag/dag-limits.ts'
import type { Digest } from '../../../src/oci/digest.ts'
import { ImageRepository } from '../../../src/registry/repositories/image-repository.ts'
import { VerifiedFiles } from '../../../src/registry/image/verified-files.ts'
import { DagBlocks } from '../../fixtures/dag-blocks.ts'
import { randomBytes, sha256 } from '../../fixtures/images.ts'
import { descriptorOf, imageManifest } from '../../fixtures/manifests.ts'
import { blocksOnDisk } from '../../fixtures/reachable.ts'
import { readAll, TestRegistry } from '../../fixtures/registry.ts'

const mebibyte = 1024 * 1024
const layer = randomBytes(mebibyte + 5, 'layer')

let stores: TestRegistry
/** Root of the layer that a client pushed */
let file: CID
let digest: Digest

beforeEach(async () => {
  stores = await TestRegistry.open({ recent: 0, unreferenced: 0 })
  await stores.pushEmptyConfig('a')
  await stores.pushBlob('a', layer)
  digest = (await stores.pushManifest('a', 'v1', imageManifest({ layers: [descriptorOf(layer)] }))).digest
  file = CID.parse((await stores.index.blob(sha256(layer)))!.cid)
})
afterEach(async () => {
  await stores[Symbol.asyncDispose]()
})

/** The same as blocks of the registry */
async function made(make: (blocks: DagBlocks) => Promise<CID>): Promise<CID> {
  const blocks = new DagBlocks()
  const root = await make(blocks)
  for await (const cid of blocks.list()) {
    await stores.blockstore.put(cid, await blocks.read(cid))
  }
  return root
}

const entry = (cid: CID, name = 'blobs'): { cid: CID; name: string } => ({ cid, name })
const directory = async (cid: CID): Promise<CID> =>
  await made(async blocks => await blocks.node({ type: 'directory' }, [entry(cid), entry(file, 'own')]))

const refused: Record<string, () => Promise<string>> = {
  'with a link whose multihash has 300 bytes': async () =>
    String(await directory(CID.createV1(raw.code, createMultihash(0x12, new Uint8Array(300))))),
  'with a node whose multihash has 300 bytes': async () =>
    String(await directory(CID.createV1(dagPb.code, createMultihash(0x13, new Uint8Array(300))))),
  'with a link of DAG-CBOR': async () => String(await directory(await hashBlock(0x71, Buffer.from('a')))),
  'with the layer and an empty part that exists nowhere': async () =>
    String(
      await directory(
        await made(
          async blocks =>
            await blocks.file([
              { cid: file, size: layer.length },
              { cid: await hashBlock(raw.code, Buffer.from('nowhere')), size: 0 },
            ]),
        ),
      ),
    ),
  'with the layer under another size': async () =>
    String(await directory(await made(async blocks => await blocks.file([{ cid: file, size: layer.length + 1 }])))),
  'that is too deep': async () =>
    String(
      await directory(
        await made(async blocks => {
          let cid = await blocks.leaf(Buffer.from('a'))
          for (let i = 0; i < dagLimits.depth + 10; i++) {
            cid = await blocks.file([{ cid, size: 1 }])
          }
          return cid
        }),
      ),
    ),
  'that is no node': async () =>
    String(await made(async blocks => await blocks.put(dagPb.code, Buffer.from('garbage')))),
  'that is no CID': async () => 'nonsense',
  'that is a CID of its own bytes, and long': async () =>
    String(CID.createV1(dagPb.code, identity.digest(new Uint8Array(300)))),
}

async function assertSound(): Promise<void> {
  const repository = stores.repository('a')
  assert.ok((await readAll((await repository.blob(sha256(layer))).read())).equals(layer))
  assert.equal((await repository.manifest({ tag: 'v1' })).digest, digest)
}

describe('an image of another node', () => {
  for (const [what, make] of Object.entries(refused)) {
    for (const by of ['collected', 'checked'] as const) {
      it(`${what} is dropped and named when all is ${by}, and nothing of a pushed image with it`, async () => {
        const root = await make()
        await stores.index.change().putCached(root, { used: new Date().toISOString() }).commit({ durable: true })
        if (by === 'collected') {
          assert.equal((await stores.collector().collect({ dryRun: true })).cached, 1)
          assert.equal((await stores.collector().collect()).cached, 1)
        } else {
          const { images, others } = await stores.fsck().run()
          assert.deepEqual([images, others], [[], []])
        }
        assert.deepEqual(await Array.fromAsync(stores.index.cached()), [])
        const named = stores.logged.filter(
          ({ message, cid }) =>
            message === 'image of another node evicted, as its DAG is refused' && cid === root.slice(0, 100),
        )
        assert.equal(named.length, by === 'collected' ? 2 : 1)
        await stores.collector().collect()
        await assertSound()
        await stores.repository('a').deleteManifest({ digest })
        await stores.collector().collect()
        assert.deepEqual(await blocksOnDisk(stores), new Set())
      })
    }

    it(`${what} is unknown to whoever asks for it`, async () => {
      const root = await make()
      const { content: reader, index, cached } = stores
      const repository = new ImageRepository(
        { reader, index, cached, verified: new VerifiedFiles() },
        { name: root, root: async () => root },
      )
      await assert.rejects(repository.manifest({ tag: 'latest' }), { code: 'MANIFEST_UNKNOWN' })
      await assert.rejects(repository.blob(sha256(layer)), { code: 'BLOB_UNKNOWN' })
      await assertSound()
    })
  }

  for (const [what, hurt] of [
    [
      'missing',
      async (cid: CID) => {
        await rm(stores.files.path(cid))
      },
    ],
    [
      'damaged',
      async (cid: CID) => {
        await writeFile(stores.files.path(cid), 'damaged')
      },
    ],
  ] as const) {
    it(`of which a node is ${what} stops nothing`, async () => {
      const inner = await made(
        async blocks => await blocks.node({ type: 'directory' }, [entry(await blocks.leaf(Buffer.from('other')))]),
      )
      const root = String(await directory(inner))
      await stores.index.change().putCached(root, { used: new Date().toISOString() }).commit({ durable: true })
      await hurt(inner)
      await stores.collector().collect()
      assert.deepEqual((await stores.fsck().run()).images, [])
      await hurt(CID.parse(root))
      await stores.collector().collect()
      await assertSound()
    })
  }
})

describe('the directory of tags', () => {
  for (const [what, make] of Object.entries(refused)) {
    it(`${what} holds up no collection, and a check reports it`, async () => {
      await stores.index
        .change()
        .putPublished({ root: await make() })
        .commit({ durable: true })
      await stores.collector().collect()
      const { others } = await stores.fsck({}, { publisher: { rebuild: async () => {} } }).run()
      assert.equal(others.length, 1)
      await assertSound()
    })
  }

  it('holds up no collection where it is missing', async () => {
    await stores.index
      .change()
      .putPublished({ root: String(await hashBlock(dagPb.code, Buffer.from('nowhere'))) })
      .commit({ durable: true })
    await stores.collector().collect()
    await assertSound()
  })
})

describe("a record of a blob that leads to what can't be walked", () => {
  it('holds nothing else up', async () => {
    const cid = await refused['with a link whose multihash has 300 bytes']!()
    const other = sha256(Buffer.from('other'))
    // it is not deleted for the time that clients have to use it
    await stores.reopen({ unreferenced: 60_000 })
    await stores.index
      .change()
      .putBlob(other, { cid, size: 5, dagSize: 5 })
      .putLink('a', other)
      .commit({ durable: true })
    await stores.collector().collect()
    const { others, images } = await stores.fsck().run()
    assert.deepEqual([images, others.map(({ what }) => what)], [[], [`blob a@${other}`]])
    await assertSound()
  })
})
