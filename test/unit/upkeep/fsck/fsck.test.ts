import assert from 'node:assert/strict'
import { rm } from 'node:fs/promises'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { CID } from 'multiformats/cid'
import type { UncheckedBlocks } from '../../../../src/ipfs/blockstore/unchecked-blocks.ts'
import type { Digest } from '../../../../src/oci/digest.ts'
import { bytesOnDisk } from '../../../fixtures/bytes-on-disk.ts'
import { damages } from '../../../fixtures/damage.ts'
import { randomBytes, sha256 } from '../../../fixtures/images.ts'
import { descriptorOf, imageIndex, imageManifest, ociIndex, ociManifest, sha512 } from '../../../fixtures/manifests.ts'
import { blocksOnDisk } from '../../../fixtures/reachable.ts'
import { stream, TestRegistry } from '../../../fixtures/registry.ts'
import { until } from '../../../fixtures/until.ts'

const mebibyte = 1024 * 1024

let stores: TestRegistry

beforeEach(async () => {
  stores = await TestRegistry.open()
})
afterEach(async () => {
  await stores[Symbol.asyncDispose]()
})

function file(cid: string): string {
  return stores.files.path(CID.parse(cid))
}

async function pushImage(
  repository: string,
  tag: string,
  layers: Buffer[],
  more: Parameters<typeof imageManifest>[0] = {},
): Promise<{ digest: Digest; bytes: Buffer; cid: string; root: string }> {
  await stores.pushEmptyConfig(repository)
  for (const layer of layers) {
    await stores.pushBlob(repository, layer)
  }
  const bytes = imageManifest({ layers: layers.map(layer => descriptorOf(layer)), annotations: { tag }, ...more })
  const { digest } = await stores.pushManifest(repository, tag, bytes)
  const { cid, root } = (await stores.index.manifest(repository, digest))!
  return { digest, bytes, cid, root }
}

describe('fsck', () => {
  it('finds nothing wrong with all that can be stored, and reads every block once', async () => {
    const image = await pushImage('a/b', 'v1', [randomBytes(2 * mebibyte + 1, 'large'), Buffer.alloc(0)])
    await pushImage('a/b', 'v2', [randomBytes(mebibyte, 'one leaf')], {
      subject: descriptorOf(image.bytes, ociManifest),
    })
    await stores.pushManifest('a/b', 'index', imageIndex([descriptorOf(image.bytes, ociManifest)]), ociIndex)
    // platforms that a sparse index leaves out, a blob that a client deleted, and blobs of another algorithm
    await stores.pushManifest(
      'c',
      'sparse',
      imageIndex([descriptorOf(Buffer.from('elsewhere'), ociManifest)]),
      ociIndex,
    )
    await stores.repository('a/b').deleteBlob(sha256(Buffer.alloc(0)))
    await stores.pushBlob('c', randomBytes(mebibyte + 1, 'sha512'), sha512(randomBytes(mebibyte + 1, 'sha512')))
    const upload = await stores.uploads.create('c')
    await stores.uploads.append('c', upload, stream(randomBytes(mebibyte + 1, 'upload')))
    await stores.content.add(randomBytes(100, 'garbage'))
    const { bytes, seconds, ...result } = await stores.fsck().run()
    assert.deepEqual(result, {
      repair: true,
      blocks: (await blocksOnDisk(stores)).size,
      missing: 0,
      damaged: 0,
      repaired: 0,
      unneeded: 0,
      images: [],
      others: [],
      unlisted: 0,
    })
    assert.equal(bytes, await bytesOnDisk(stores.blocks))
  })

  for (const [way, damage] of Object.entries(damages)) {
    it(`names the images that a block is of which is ${way}`, async () => {
      const [shared, own] = [randomBytes(2 * mebibyte, 'shared'), randomBytes(100, 'own')]
      const one = await pushImage('a', 'v1', [shared])
      const two = await pushImage('b', 'v1', [shared, own])
      const index = await stores.pushManifest('b', 'all', imageIndex([descriptorOf(two.bytes, ociManifest)]), ociIndex)
      await pushImage('c', 'v1', [])
      const root = (await stores.index.blob(sha256(shared)))!.cid
      await damage(file(root))
      const { images, others, missing, damaged } = await stores.fsck().run()
      assert.deepEqual([missing, damaged], way === 'deleted' ? [1, 0] : [0, 1])
      assert.deepEqual(
        images
          .map(({ repository, digest, tags, blocks }) => `${repository} ${digest} ${tags.join()} ${blocks.join()}`)
          .sort(),
        [`a ${one.digest} v1 ${root}`, `b ${two.digest} v1 ${root}`, `b ${index.digest} all ${root}`].sort(),
      )
      assert.deepEqual(others, [])
    })
  }

  it('tells a block that nothing needs from one that is needed', async () => {
    const garbage = await stores.content.add(randomBytes(100, 'garbage'))
    await damages['truncated']!(file(garbage.cid))
    const { images, others, damaged, unneeded } = await stores.fsck().run()
    assert.deepEqual({ images, others, damaged, unneeded }, { images: [], others: [], damaged: 0, unneeded: 1 })
  })

  it('names blobs without an image, and uploads', async () => {
    const blob = randomBytes(100, 'blob')
    await stores.pushBlob('a', blob)
    const id = await stores.uploads.create('b')
    await stores.uploads.append('b', id, stream(randomBytes(mebibyte + 1, 'upload')))
    const [leaf] = await stores.index.uploadLeaves(id)
    await rm(file(leaf!))
    await rm(file((await stores.index.blob(sha256(blob)))!.cid))
    const { others } = await stores.fsck().run()
    assert.deepEqual(
      others.map(({ what }) => what),
      [`upload ${id} to b`, `blob a@${sha256(blob)}`],
    )
  })

  it('finds entries of the index that do not fit', async () => {
    const { digest } = await pushImage('a', 'v1', [randomBytes(100, 'x')])
    const blob = sha256(randomBytes(100, 'x'))
    const other = await stores.content.add(randomBytes(100, 'y'))
    const none = sha256(Buffer.from('none'))
    const record = (await stores.index.manifest('a', digest))!
    await stores.index
      .change()
      .putBlob(blob, other)
      .putLink('a', none)
      .putRepository('b')
      .putTag('a', 'v2', { digest: none, updated: '' })
      .putManifest('a', digest, { ...record, subject: none })
      .commit({ durable: false })
    const { images, others } = await stores.fsck().run()
    assert.match(images[0]!.problem!, /the index does not say what the manifest says|its bytes have the digest/)
    assert.deepEqual(
      others.map(({ what, problem }) => `${what}: ${problem}`),
      [
        `blob a@${none}: there is no such blob`,
        `referrer a@${digest}: is not among the referrers of its subject`,
        `tag a:v2: there is no manifest ${none}`,
        'repository b: has no manifest',
      ],
    )
  })

  it('does not report what is deleted and collected meanwhile', async () => {
    const { digest } = await pushImage('a', 'v1', [randomBytes(100, 'x')])
    let begun = false
    const index = new Proxy(stores.index, {
      get: (target, name) => {
        if (name === 'blobs') {
          begun = true
          return async function* () {
            const all = await Array.fromAsync(target.blobs())
            await stores.repository('a').deleteManifest({ digest })
            for (const { digest, record } of all) {
              await target.change().deleteBlob(digest).deleteLink('a', digest).commit({ durable: false })
              await rm(file(record.cid))
            }
            yield* all
          }
        }
        const value: unknown = Reflect.get(target, name)
        return typeof value === 'function' ? (value.bind(target) as unknown) : value
      },
    })
    const { images, others, missing } = await stores.fsck({}, { index }).run()
    assert.ok(begun)
    assert.deepEqual({ images, others, missing }, { images: [], others: [], missing: 0 })
  })

  it('reads no faster than it is told to, and is cut short by a stop', async () => {
    await stores.pushBlob('a', randomBytes(4 * mebibyte, 'x'))
    const began = performance.now()
    await stores.fsck().run({ rate: 20 * mebibyte })
    assert.ok(performance.now() - began > 80)
    let reads = 0
    const read: UncheckedBlocks['read'] = async (...args) => {
      reads++
      return await stores.files.read(...args)
    }
    const fsck = stores.fsck({}, { files: { list: () => stores.files.list(), read } })
    const refused = assert.rejects(fsck.run({ rate: 1 }), {
      code: 'UNAVAILABLE',
      detail: { reason: 'the server stops' },
    })
    await until('a block is read', () => reads > 0)
    await fsck.stop()
    await refused
  })
})
