import assert from 'node:assert/strict'
import { it } from 'node:test'
import type { CID } from 'multiformats/cid'
import { DurableBlockstore } from '../../../../src/ipfs/blockstore/blockstore.ts'
import type { Gateways } from '../../../../src/ipfs/retrieval/gateways.ts'
import { IpfsNode } from '../../../../src/ipfs/node/node.ts'
import { Retrieval } from '../../../../src/ipfs/retrieval/retrieval.ts'
import { ImageRepository } from '../../../../src/registry/repositories/image-repository.ts'
import { VerifiedFiles } from '../../../../src/registry/image/verified-files.ts'
import { bytesOnDisk } from '../../../fixtures/bytes-on-disk.ts'
import { randomBytes, sha256 } from '../../../fixtures/images.ts'
import { descriptorOf, imageManifest } from '../../../fixtures/manifests.ts'
import { leafBlock } from '../../../fixtures/leaf-block.ts'
import { recordingLog } from '../../../fixtures/recording-log.ts'
import { readAll, TestRegistry } from '../../../fixtures/registry.ts'
import { temporaryDirectory } from '../../../fixtures/temporary.ts'

const mebibyte = 1024 * 1024

it('an image of other nodes is served where there is no room to keep it', async () => {
  await using there = await TestRegistry.open()
  const layer = randomBytes(5 * mebibyte, 'layer')
  await there.pushEmptyConfig('a')
  await there.pushBlob('a', layer)
  const { root } = await there.pushManifest('a', 'v1', imageManifest({ layers: [descriptorOf(layer)] }))

  await using here = await TestRegistry.open()
  await using directory = await temporaryDirectory('full')
  // three leaves and what leads to them would fit in, were nothing left for pushes
  const maxBytes = Math.floor(3.05 * mebibyte)
  let fetched = 0
  const wanted: number[] = []
  const onFull = (bytes: number): void => {
    wanted.push(bytes)
  }
  const blockstore = new DurableBlockstore(directory.path, { fsync: false, maxBytes, onFull })
  await blockstore.open()
  const gateways = {
    isEmpty: false,
    fetch: async (cid: CID) => {
      fetched++
      return Buffer.from(await there.blockstore.read(cid))
    },
  } as unknown as Gateways
  const log = recordingLog()
  const node = new IpfsNode(
    { blockstore, datastore: undefined as never, log },
    { network: 'offline', host: '127.0.0.1', peers: [], bootstrap: [], announce: [] },
  )
  const reader = new Retrieval({ blockstore, node, gateways, log }, { timeout: 5000 })
  const image = new ImageRepository(
    { reader, index: here.index, cached: here.cached, verified: new VerifiedFiles() },
    { name: root, root: async () => root },
  )

  for (let i = 0; i < 2; i++) {
    assert.equal((await image.manifest({ tag: 'latest' })).root, root)
    assert.ok((await readAll((await image.blob(sha256(layer))).read())).equals(layer))
    assert.ok(
      (await readAll((await image.blob(sha256(layer))).read({ start: mebibyte, end: 2 * mebibyte }))).equals(
        layer.subarray(mebibyte, 2 * mebibyte + 1),
      ),
    )
  }
  assert.ok((await bytesOnDisk(directory.path)) <= maxBytes * 0.95)
  assert.ok((await bytesOnDisk(directory.path)) > 2 * mebibyte)
  const pushed = await leafBlock(Buffer.alloc(Math.floor(maxBytes * 0.05)))
  await blockstore.put(pushed.cid, pushed.bytes)
  assert.ok(wanted.length > 0 && fetched > 10)

  await using roomy = await temporaryDirectory('roomy')
  const large = new DurableBlockstore(roomy.path, { fsync: false, maxBytes: 10 * mebibyte })
  await large.open()
  const kept = new ImageRepository(
    {
      reader: new Retrieval({ blockstore: large, node, gateways, log }, { timeout: 5000 }),
      index: here.index,
      cached: here.cached,
      verified: new VerifiedFiles(),
    },
    { name: root, root: async () => root },
  )
  assert.ok((await readAll((await kept.blob(sha256(layer))).read())).equals(layer))
  assert.equal((await bytesOnDisk(roomy.path)) >= layer.byteLength, true)
  await Promise.all([blockstore.close(), large.close()])
})
