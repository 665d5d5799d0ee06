import assert from 'node:assert/strict'
import { readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { CID } from 'multiformats/cid'
import type { Digest } from '../../../../src/oci/digest.ts'
import { damages } from '../../../fixtures/damage.ts'
import { randomBytes, sha256 } from '../../../fixtures/images.ts'
import { addImageRoot, rootLayouts } from '../../../../src/registry/image/image-root.ts'
import { descriptorOf, imageManifest } from '../../../fixtures/manifests.ts'
import { readAll, TestRegistry } from '../../../fixtures/registry.ts'
import { until } from '../../../fixtures/until.ts'

const mebibyte = 1024 * 1024
const layer = randomBytes(2 * mebibyte + 1, 'layer')
const flip = damages['with a flipped bit']!

let stores: TestRegistry

beforeEach(async () => {
  stores = await TestRegistry.open()
})
afterEach(async () => {
  await stores[Symbol.asyncDispose]()
})

function file(cid: string | CID): string {
  return stores.files.path(typeof cid === 'string' ? CID.parse(cid) : cid)
}

async function pushImage(): Promise<{ digest: Digest; bytes: Buffer; cid: string; root: string }> {
  await stores.pushEmptyConfig('a')
  await stores.pushBlob('a', layer)
  const bytes = imageManifest({ layers: [descriptorOf(layer)] })
  const { digest } = await stores.pushManifest('a', 'v1', bytes)
  return { digest, bytes, ...(await stores.index.manifest('a', digest))! }
}

async function pull(): Promise<Buffer> {
  return await readAll((await stores.repository('a').blob(sha256(layer))).read())
}

/** All blocks as they should be, and a peer that has them */
async function copyOfAll(): Promise<Map<string, Buffer>> {
  const copies = new Map<string, Buffer>()
  for await (const cid of stores.files.list()) {
    copies.set(file(cid), await readFile(file(cid)))
  }
  return copies
}

async function quarantined(): Promise<Buffer[]> {
  const directory = join(stores.blocks, '..', 'quarantine')
  const names = await readdir(directory).catch(() => [])
  return await Promise.all(names.map(async name => await readFile(join(directory, name))))
}

async function assertAllRight(copies: Map<string, Buffer>): Promise<void> {
  const after = await copyOfAll()
  assert.deepEqual([...after.keys()].sort(), [...copies.keys()].sort())
  for (const [path, bytes] of copies) {
    assert.ok(after.get(path)!.equals(bytes), path)
  }
}

describe('an fsck that repairs', () => {
  for (const [way, damage] of Object.entries(damages)) {
    it(`has a block fetched that is ${way}, and keeps what was there`, async () => {
      await pushImage()
      const copies = await copyOfAll()
      stores.deliver = cid => copies.get(file(cid))
      for (const path of copies.keys()) {
        await damage(path)
      }
      const damaged = [...(await copyOfAll()).values()]
      const { images, others, missing, damaged: count, repaired } = await stores.fsck().run()
      assert.deepEqual({ images, others }, { images: [], others: [] })
      assert.equal(missing + count, repaired)
      await assertAllRight(copies)
      assert.ok((await quarantined()).every(bytes => damaged.some(other => other.equals(bytes))))
      assert.equal((await quarantined()).length, damaged.length)
      assert.ok((await pull()).equals(layer))
      assert.equal((await stores.fsck().run()).missing, 0)
    })
  }

  for (const layout of rootLayouts) {
    it(`makes an image root of layout ${layout} anew without any peer`, async () => {
      const { digest } = await pushImage()
      const record = (await stores.index.manifest('a', digest))!
      const root = await addImageRoot(stores, 'a', { digest, ...record }, layout)
      await stores.index
        .change()
        .putManifest('a', digest, { ...record, root })
        .commit({ durable: false })
      const copies = await copyOfAll()
      const below = [CID.parse(root)]
      for (const name of [['manifests'], ['blobs'], ['blobs', 'sha256'], ['index.json'], ['oci-layout']]) {
        below.push(CID.parse((await stores.content.find(root, name))!.cid))
      }
      for (const cid of below) {
        await flip(file(cid))
      }
      // what is below a damaged node counts as needed by nothing until that is back
      const { images, others, repaired, unneeded } = await stores.fsck().run()
      assert.deepEqual(
        { images, others, repaired, unneeded },
        { images: [], others: [], repaired: 1, unneeded: below.length - 1 },
      )
      await assertAllRight(copies)
    })
  }

  it('names what nobody delivers, and tells clients that it is not there until it is pushed again', async () => {
    const { bytes, cid, digest } = await pushImage()
    const blob = (await stores.index.blob(sha256(layer)))!
    await flip(file(blob.cid))
    await rm(file(cid))
    const { images, repaired } = await stores.fsck().run()
    assert.equal(repaired, 0)
    assert.deepEqual(
      images.map(({ digest, tags, blocks }) => ({ digest, tags, blocks: blocks.sort() })),
      [{ digest, tags: ['v1'], blocks: [blob.cid, cid].sort() }],
    )
    await assert.rejects(stores.repository('a').blob(sha256(layer), { whole: true }), { code: 'BLOB_UNKNOWN' })
    await assert.rejects(stores.repository('a').manifest({ digest }, { whole: true }), { code: 'MANIFEST_UNKNOWN' })
    await assert.rejects(pull(), { code: 'UNAVAILABLE' })
    assert.equal(await stores.repository('b').mountBlob(sha256(layer), 'a'), false)
    await stores.pushBlob('a', layer)
    await stores.pushManifest('a', 'v1', bytes)
    assert.ok((await pull()).equals(layer))
    assert.ok(Buffer.from(await (await stores.repository('a').manifest({ digest })).read()).equals(bytes))
    assert.ok(await stores.repository('b').mountBlob(sha256(layer), 'a'))
    assert.deepEqual((await stores.fsck().run()).images, [])
  })

  it('takes damaged blocks away that nothing needs, and changes nothing where it only looks', async () => {
    const { cid } = await stores.content.add(randomBytes(100, 'garbage'))
    await flip(file(cid))
    await pushImage()
    const blob = (await stores.index.blob(sha256(layer)))!
    await flip(file(blob.cid))
    const before = await copyOfAll()
    assert.equal((await stores.fsck().run({ repair: false })).images.length, 1)
    await assertAllRight(before)
    assert.equal((await stores.fsck().run()).unneeded, 1)
    assert.equal((await quarantined()).length, 2)
    assert.equal((await stores.fsck().run()).unneeded, 0)
  })
})

describe('a read', () => {
  it('has a missing leaf fetched', async () => {
    await pushImage()
    const [leaf] = await missingLeaf()
    stores.deliver = cid => (file(cid) === file(leaf.cid) ? leaf.bytes : undefined)
    await assert.rejects(pull(), { code: 'UNAVAILABLE' })
    const read = await until('the leaf is here again', async () => await pull().catch(() => undefined))
    assert.ok(read.equals(layer))
  })

  it('that fails has the blob count as none until the leaf is there again', async () => {
    await pushImage()
    const [leaf] = await missingLeaf()
    let asked = 0
    stores.deliver = () => {
      asked++
      return undefined
    }
    const look = async (): Promise<unknown> => await stores.repository('a').blob(sha256(layer), { whole: true })
    await look()
    await assert.rejects(pull(), { code: 'UNAVAILABLE' })
    await until(
      'nobody has it',
      async () =>
        await look().then(
          () => false,
          (err: { code?: string }) => err.code === 'BLOB_UNKNOWN',
        ),
    )
    assert.equal(asked, 1)
    await assert.rejects(pull(), { code: 'UNAVAILABLE' })
    await stores.blockstore.put(leaf.cid, leaf.bytes)
    assert.ok((await pull()).equals(layer))
  })

  async function missingLeaf(): Promise<[{ cid: CID; bytes: Buffer }]> {
    const part = await stores.content.add(layer.subarray(mebibyte, 2 * mebibyte))
    await rm(file(part.cid))
    return [{ cid: CID.parse(part.cid), bytes: layer.subarray(mebibyte, 2 * mebibyte) }]
  }
})

describe('a push', () => {
  it('replaces a block that nobody knows to be damaged', async () => {
    await pushImage()
    const copies = await copyOfAll()
    for (const path of copies.keys()) {
      await flip(path)
    }
    await pushImage()
    await assertAllRight(copies)
    assert.equal((await quarantined()).length, copies.size)
  })

  it('of a block that is being put leaves it to that', async () => {
    const { cid } = await stores.content.add(randomBytes(100, 'x'))
    await flip(file(cid))
    const { promise, resolve } = Promise.withResolvers<void>()
    stores.blockstore.afterPut = async () => {
      await promise
    }
    const putting = stores.blockstore.put(CID.parse(cid), randomBytes(100, 'x'))
    await until('the block is right', async () =>
      (await readFile(file(cid)).catch(() => undefined))?.equals(randomBytes(100, 'x')),
    )
    assert.equal(await stores.repairer.repair(CID.parse(cid)), 'right')
    resolve()
    await putting
  })
})

describe('a repairer', () => {
  it('repairs a block once, however many ask for it, and no more than a few at a time', async () => {
    let [running, most, asked] = [0, 0, 0]
    const blocks = await Promise.all(
      Array.from({ length: 30 }, async (_, i) => CID.parse((await stores.content.add(randomBytes(10, `${i}`))).cid)),
    )
    stores.deliver = async () => {
      asked++
      most = Math.max(most, ++running)
      await new Promise(resolve => setImmediate(resolve))
      running--
      return undefined
    }
    for (const cid of blocks) {
      await writeFile(file(cid), 'damaged')
      stores.repairer.request(cid)
      stores.repairer.request(cid)
    }
    await until('all were tried', () => asked === blocks.length)
    assert.ok(most <= 8, `${most} at a time`)
    blocks.forEach(cid => {
      stores.repairer.request(cid)
    })
    assert.equal(blocks.filter(cid => stores.repairer.isRepairing(cid.toString())).length, 0)
    assert.equal(await stores.repairer.repair(blocks[0]!), 'lost')
    assert.equal((await quarantined()).length, blocks.length)
  })
})
