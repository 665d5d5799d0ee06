import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { Digests } from '../../src/ipfs/digests/digests.ts'
import { PeerBlocks } from '../../src/ipfs/digests/peer-blocks.ts'
import { pullsEverything, type Puller } from '../../src/access/rules/puller.ts'
import type { BlobPeersComponents } from '../../src/registry/mirror/fetch/blob-peers.ts'
import { KnownDigests } from '../../src/registry/sharing/known-digests.ts'
import { TestApp } from '../fixtures/app.ts'
import { FakeUpstream } from '../fixtures/fake-upstream.ts'
import { randomBytes, sha256 } from '../fixtures/images.ts'
import { ipfsNode, swarmKey } from '../fixtures/ipfs-node.ts'
import { addImage, type MirroredImage } from '../fixtures/mirrored-image.ts'
import { recordingLog } from '../fixtures/recording-log.ts'
import { TestRegistry } from '../fixtures/registry.ts'
import { until } from '../fixtures/until.ts'

const mebibyte = 1024 * 1024
const swarm = { network: 'private', swarmKey: swarmKey() } as const
const pullsNothing: Puller = { everything: false, something: false, mayPull: () => false }

interface Neighbours {
  /** The appliance that has blobs */
  stores: TestRegistry
  /** How the other one finds and fetches them */
  peers: BlobPeersComponents
}

async function neighbours(t: TestContext, puller: Puller = pullsEverything): Promise<Neighbours> {
  const log = recordingLog()
  const stores = await TestRegistry.open()
  const { node: holder } = ipfsNode(swarm, { blockstore: stores.blockstore })
  const { node: asker } = ipfsNode(swarm)
  const known = new KnownDigests({ blockstore: stores.blockstore, index: stores.index, puller: () => puller })
  const told = new Digests({ node: holder, answers: known, log })
  const questions = new Digests({ node: asker, answers: { answer: async () => undefined }, log })
  t.after(async () => {
    await Promise.all([told.stop(), questions.stop()])
    await Promise.all([holder.stop(), asker.stop()])
    await stores[Symbol.asyncDispose]()
  })
  await Promise.all([holder.start(), asker.start()])
  await Promise.all([told.start(), questions.start()])
  await asker.connect(holder.multiaddrs[0]!)
  await until('it can be asked', () => questions.peers().length === 1)
  return { stores, peers: { questions, blocks: new PeerBlocks({ node: asker }), firstAnswers: 10_000, log } }
}

function image(upstream: FakeUpstream): MirroredImage {
  return addImage(upstream, 'library/alpine', 'latest', [3 * mebibyte + 5])
}

async function pulled(app: TestApp, { layers, manifest }: MirroredImage): Promise<string | undefined> {
  assert.deepEqual((await app.get('/v2/docker.io/library/alpine/manifests/latest')).body, manifest)
  const layer = await app.get(`/v2/docker.io/library/alpine/blobs/${sha256(layers[0]!)}`)
  assert.equal(layer.status, 200)
  assert.deepEqual(layer.body, layers[0])
  return layer.headers['x-ipdr-source'] as string | undefined
}

describe('a layer of another registry', () => {
  it('comes from a connected appliance that has it, and none of it from the registry', async t => {
    const { stores, peers } = await neighbours(t)
    const upstream = new FakeUpstream()
    const alpine = image(upstream)
    await stores.pushBlob('anything', alpine.layers[0]!)
    await using app = await TestApp.start({ upstreams: [upstream], peers })
    assert.equal(await pulled(app, alpine), 'peer')
    assert.deepEqual([upstream.asked('blob'), upstream.sent], [0, 0])
  })

  it('comes from the registry where no appliance has it, or may tell of it', async t => {
    for (const puller of [pullsEverything, pullsNothing]) {
      const { stores, peers } = await neighbours(t, puller)
      const upstream = new FakeUpstream()
      const alpine = image(upstream)
      if (puller === pullsNothing) {
        await stores.pushBlob('anything', alpine.layers[0]!)
      }
      await using app = await TestApp.start({ upstreams: [upstream], peers })
      assert.equal(await pulled(app, alpine), 'upstream')
      assert.equal(upstream.asked('blob'), 1)
    }
  })

  it('comes from the registry where an appliance lies, which is not asked again', async t => {
    const { stores, peers } = await neighbours(t)
    const upstream = new FakeUpstream()
    const alpine = image(upstream)
    // other bytes of the same size, under the digest of the layer
    const other = randomBytes(alpine.layers[0]!.byteLength, 'another layer')
    await stores.pushBlob('anything', other)
    const record = (await stores.index.blob(sha256(other)))!
    await stores.index.change().putBlob(sha256(alpine.layers[0]!), record).commit({ durable: false })
    await using app = await TestApp.start({ upstreams: [upstream], peers })
    const layer = `/v2/docker.io/library/alpine/blobs/${sha256(alpine.layers[0]!)}`
    await app.get('/v2/docker.io/library/alpine/manifests/latest')
    // what was sent of it already can't be taken back: the answer breaks off, and never ends well
    const first = await app.get(layer).catch(() => undefined)
    assert.ok(first === undefined || first.body.equals(alpine.layers[0]!))
    await until(
      'it is whole',
      async () => await app.stores.index.isLinked('docker.io/library/alpine', sha256(alpine.layers[0]!)),
    )
    const second = await app.get(layer)
    assert.deepEqual([second.status, second.headers['x-ipdr-source']], [200, 'disk'])
    assert.deepEqual(second.body, alpine.layers[0])
    assert.equal(upstream.asked('blob'), 1)
  })

  it('comes to its end from the registry where the appliance goes away', async t => {
    const { stores, peers } = await neighbours(t)
    const upstream = new FakeUpstream()
    const alpine = image(upstream)
    await stores.pushBlob('anything', alpine.layers[0]!)
    let fetched = 0
    const failing: BlobPeersComponents = {
      ...peers,
      blocks: {
        fetch: async (...args) => {
          fetched++
          if (fetched > 2) {
            throw new Error('gone')
          }
          return await peers.blocks.fetch(...args)
        },
      },
    }
    await using app = await TestApp.start({ upstreams: [upstream], peers: failing })
    assert.equal(await pulled(app, alpine), 'peer')
    // the appliance has sent the first two leaves, and none of them comes again
    assert.equal(upstream.sent, mebibyte + 5, upstream.requests.join(', '))
  })
})
