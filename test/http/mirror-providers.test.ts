/** Nodes of a private swarm on loopback that share a DHT: an appliance finds another by the digest of a blob */
import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { pullsEverything } from '../../src/access/rules/puller.ts'
import { digestCid } from '../../src/ipfs/digests/digest-cid.ts'
import { DigestProviders } from '../../src/ipfs/digests/digest-providers.ts'
import { Digests } from '../../src/ipfs/digests/digests.ts'
import { PeerBlocks } from '../../src/ipfs/digests/peer-blocks.ts'
import type { IpfsNode } from '../../src/ipfs/node/node.ts'
import { KnownDigests } from '../../src/registry/sharing/known-digests.ts'
import { TestApp } from '../fixtures/app.ts'
import { TestAppliance } from '../fixtures/appliance.ts'
import { FakeUpstream } from '../fixtures/fake-upstream.ts'
import { makeImage, randomBytes, sha256 } from '../fixtures/images.ts'
import { ipfsNode, swarmKey } from '../fixtures/ipfs-node.ts'
import { addImage } from '../fixtures/mirrored-image.ts'
import { recordingLog } from '../fixtures/recording-log.ts'
import { TestRegistry } from '../fixtures/registry.ts'
import { temporaryDirectory } from '../fixtures/temporary.ts'
import { until } from '../fixtures/until.ts'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'

const mebibyte = 1024 * 1024

async function started(t: TestContext, ...args: Parameters<typeof ipfsNode>): Promise<IpfsNode> {
  const { node } = ipfsNode(...args)
  t.after(async () => await node.stop())
  await node.start()
  return node
}

async function providersOf(node: IpfsNode, digest: `sha256:${string}`, timeout: number): Promise<string[]> {
  const signal = AbortSignal.timeout(timeout)
  const found = await Array.fromAsync(node.libp2p!.contentRouting.findProviders(digestCid(digest)!, { signal })).catch(
    () => [],
  )
  return found.map(({ id }) => id.toString())
}

describe('an appliance that has a blob', () => {
  it('is found by its digest, connected to, and asked for it', { timeout: 60_000 }, async t => {
    const swarm = { network: 'private', swarmKey: swarmKey() } as const
    const log = recordingLog()
    await using stores = await TestRegistry.open()
    const router = await started(t, swarm)
    const peers = [router.multiaddrs[0]!]
    const holder = await started(t, { ...swarm, peers }, { blockstore: stores.blockstore })
    const asker = await started(t, { ...swarm, peers })
    const known = new KnownDigests({ ...stores, puller: () => pullsEverything })
    const [told, questions] = [
      new Digests({ node: holder, answers: known, log }),
      new Digests({ node: asker, answers: { answer: async () => undefined }, log }),
    ]
    t.after(async () => await Promise.all([told.stop(), questions.stop()]))
    await Promise.all([told.start(), questions.start()])
    await until('both are connected', () => router.peerCount >= 2)

    const upstream = new FakeUpstream()
    const { layers, manifest } = addImage(upstream, 'library/alpine', 'latest', [3 * mebibyte + 5])
    const layer = layers[0]!
    await stores.pushBlob('team/app', layer)
    await holder.helia.routing.provide(digestCid(sha256(layer))!, { signal: AbortSignal.timeout(20_000) })
    asker.libp2p!.getConnections().forEach(connection => {
      if (connection.remotePeer.toString() === holder.peerId) {
        connection.abort(new Error('they do not know each other'))
      }
    })
    await until('they are not connected', () => !questions.peers().includes(holder.peerId!))

    await using app = await TestApp.start({
      upstreams: [upstream],
      peers: {
        questions,
        blocks: new PeerBlocks({ node: asker }),
        providers: new DigestProviders({ node: asker, log }),
        mayAsk: () => false,
        log,
      },
    })
    const alpine = '/v2/docker.io/library/alpine'
    assert.deepEqual((await app.get(`${alpine}/manifests/latest`)).body, manifest)
    // the upstream is there for manifests alone
    upstream.blobs.clear()
    // looking for it has an end of five seconds, within which a busy machine may not find it
    const pulled = await until(
      'it is found',
      async () => {
        const reply = await app.get(`${alpine}/blobs/${sha256(layer)}`)
        return reply.status === 200 && reply
      },
      30_000,
    )
    assert.equal(pulled.headers['x-ipdr-source'], 'peer')
    assert.deepEqual(pulled.body, layer)
  })

  it('looks for nobody longer than it may, and stops when it is told', async t => {
    const node = await started(t)
    const providers = new DigestProviders({ node, log: recordingLog() })
    const find = async (signal: AbortSignal): Promise<string[]> =>
      await Array.fromAsync(providers.find(sha256(Buffer.from('x')), { signal }))
    // the profile has no DHT
    assert.deepEqual(await find(AbortSignal.timeout(20_000)), [])
    assert.deepEqual(await find(AbortSignal.abort()), [])
  })

  it('provides what is pushed there by its digest, if it has more than one leaf', { timeout: 60_000 }, async t => {
    await using directory = await temporaryDirectory('providers')
    const key = swarmKey()
    const file = join(directory.path, 'swarm.key')
    await writeFile(file, key)
    const node = await started(t, { network: 'private', swarmKey: key })
    await using appliance = await TestAppliance.start(join(directory.path, 'data'), {
      network: 'private',
      log: { level: 'debug' },
      p2p: { host: '127.0.0.1', port: 0, swarmKey: file, peers: [node.multiaddrs[0]!] },
    })
    const { content, descriptor } = makeImage([
      { file: randomBytes(2 * mebibyte, 'large') },
      { file: Buffer.from('x') },
    ])
    for (const [digest, bytes] of content) {
      await (digest === descriptor.digest
        ? appliance.client.pushManifest('team/app', 'v1', bytes)
        : appliance.client.pushBlob('team/app', bytes))
    }
    const [large] = [...content].find(([, bytes]) => bytes.byteLength > mebibyte)!
    const found = await until('it is provided', async () => {
      const ids = await providersOf(node, large as `sha256:${string}`, 5000)
      return ids.length > 0 ? ids : undefined
    })
    assert.equal(found.length, 1)
    for (const [digest, bytes] of content) {
      if (bytes.byteLength <= mebibyte && digest !== descriptor.digest) {
        assert.deepEqual(await providersOf(node, digest as `sha256:${string}`, 2000), [])
      }
    }
  })
})
