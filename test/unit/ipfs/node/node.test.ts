import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { suite, test } from 'node:test'
import { MemoryBlockstore } from 'blockstore-core'
import { MemoryDatastore } from 'datastore-core'
import { ipfsNode, randomBlock, readBlock } from '../../../fixtures/ipfs-node.ts'
import { until } from '../../../fixtures/until.ts'
import type { AddressInfo, Server } from 'node:net'
import type { TestContext } from 'node:test'

async function takenPort(t: TestContext): Promise<number> {
  const server: Server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())

  return (server.address() as AddressInfo).port
}

suite('IpfsNode', () => {
  test('offline keeps blocks and has no network', async t => {
    const { node } = ipfsNode({ network: 'offline' })
    t.after(async () => node.stop())
    await node.start()

    const { cid, bytes } = randomBlock(1000)
    await node.helia.blockstore.put(cid, bytes)
    assert.deepEqual(await readBlock(node, cid), bytes)

    assert.equal(node.peerId, undefined)
    assert.deepEqual(node.multiaddrs, [])
    assert.deepEqual(node.peers(), [])
    assert.equal(node.peerCount, 0)
    await assert.rejects(node.connect('/ip4/127.0.0.1/tcp/1'), { name: 'NodeOfflineError' })
    await assert.rejects(readBlock(node, randomBlock(10).cid))
  })

  test('has no Helia unless it runs', async () => {
    const { node } = ipfsNode({ network: 'offline' })
    assert.throws(() => node.helia, { name: 'NodeOfflineError' })
    await node.start()
    assert.ok(node.helia)
    await node.stop()
    assert.throws(() => node.helia, { name: 'NodeOfflineError' })
  })

  test('start and stop may be called twice, and again', async t => {
    const { node, lines } = ipfsNode()
    t.after(async () => node.stop())

    await node.stop()
    await Promise.all([node.start(), node.start()])
    await node.start()
    await Promise.all([node.stop(), node.stop()])
    await node.stop()
    await node.start()
    assert.equal(node.multiaddrs.length, 1)

    const messages = lines.filter(({ level }) => level === 'info').map(({ message }) => message)
    assert.deepEqual(messages, ['IPFS node started', 'IPFS node stopped', 'IPFS node started'])
  })

  test('the last of start and stop holds', async t => {
    const { node } = ipfsNode()
    t.after(async () => node.stop())

    await Promise.all([node.start(), node.stop()])
    assert.equal(node.libp2p, undefined)

    await Promise.all([node.start(), node.stop(), node.start()])
    assert.ok(node.libp2p)
  })

  test('keeps its identity in the datastore', async t => {
    const datastore = new MemoryDatastore()
    const first = ipfsNode({}, { datastore }).node
    await first.start()
    const { peerId } = first
    await first.stop()

    const second = ipfsNode({}, { datastore }).node
    t.after(async () => second.stop())
    await second.start()
    assert.ok(peerId)
    assert.equal(second.peerId, peerId)
    assert.ok(second.multiaddrs[0]?.endsWith(`/p2p/${peerId}`))
  })

  test('a port that was asked for and is taken is an error, after which the node can start', async t => {
    const port = await takenPort(t)
    const { node } = ipfsNode({ port })
    t.after(async () => node.stop())
    await assert.rejects(node.start(), {
      name: 'ListenError',
      message: `the IPFS node cannot listen on port ${port} of 127.0.0.1: the port is taken`,
    })
    await assert.rejects(node.start(), { name: 'ListenError' })
  })

  test('an address of another machine is an error', async () => {
    const { node } = ipfsNode({ host: '192.0.2.1', port: 4001 })
    await assert.rejects(node.start(), { name: 'ListenError', message: /EADDRNOTAVAIL/ })
  })

  test('listens on the address of a name', async t => {
    const { node } = ipfsNode({ host: 'localhost' })
    t.after(async () => node.stop())
    await node.start()
    assert.match(node.multiaddrs[0] ?? '', /^\/ip4\/127\.0\.0\.1\/|^\/ip6\/::1\//)
  })

  for (const [name, init, message] of [
    ['peer', { peers: ['192.0.2.1:4001'] }, /192\.0\.2\.1:4001 is not a multiaddr of a peer/],
    [
      'bootstrap peer',
      { bootstrap: ['bootstrap.example'] },
      /bootstrap\.example is not a multiaddr of a bootstrap peer/,
    ],
    [
      'address to announce',
      { announce: ['registry.example'] },
      /registry\.example is not a multiaddr of an address to announce/,
    ],
    ['swarm key', { network: 'private', swarmKey: new Uint8Array(3) }, /swarm key must begin/],
  ] as const) {
    test(`a bad ${name} is an error`, async () => {
      await assert.rejects(ipfsNode(init).node.start(), { name: 'NetworkConfigError', message })
    })
  }

  test('a failed start stops what ran', async () => {
    class BrokenDatastore extends MemoryDatastore {
      override query(): never {
        throw new Error('broken')
      }

      override async put(): Promise<never> {
        throw new Error('broken')
      }
    }

    const { node } = ipfsNode({}, { datastore: new BrokenDatastore() })
    await assert.rejects(node.start(), { message: 'broken' })
    assert.equal(node.libp2p, undefined)
    await node.stop()
  })

  test('knows which peers are configured, by their id or by where they were found', async t => {
    const [byId, byAddress, other] = Array.from({ length: 3 }, () => ipfsNode().node)
    t.after(async () => Promise.all([node.stop(), byId!.stop(), byAddress!.stop(), other!.stop()]))
    await Promise.all([byId!.start(), byAddress!.start(), other!.start()])
    const peers = [byId!.multiaddrs[0]!, byAddress!.multiaddrs[0]!.replace(/\/p2p\/.*/, '')]
    const { node } = ipfsNode({ peers })
    await node.start()
    await node.connect(other!.multiaddrs[0]!)
    await until('both are configured', () => node.isConfigured(byAddress!.peerId!) && node.isConfigured(byId!.peerId!))
    assert.equal(node.isConfigured(other!.peerId!), false)
  })

  test('keeps a configured peer connected, and dials it again', async t => {
    const datastore = new MemoryDatastore()
    const first = ipfsNode({}, { datastore }).node
    await first.start()
    const address = first.multiaddrs[0] ?? ''
    const port = Number(address.split('/')[4])

    const { node } = ipfsNode({ peers: [address] })
    t.after(async () => node.stop())
    await node.start()
    await until('the peer is connected', () => node.peers().some(({ peer }) => peer === first.peerId))
    assert.equal(await node.connect(address), first.peerId)

    await first.stop()
    await until('the peer is gone', () => !node.peers().some(({ peer }) => address.endsWith(peer)))

    const again = ipfsNode({ port }, { datastore }).node
    t.after(async () => again.stop())
    await again.start()
    await until('the peer is back', () => node.peers().some(({ peer }) => peer === again.peerId))
  })

  test('a peer gets many blocks at once, each once asked for', async t => {
    const blockstore = new MemoryBlockstore()
    const blocks = Array.from({ length: 300 }, () => randomBlock(2000))
    const server = ipfsNode({}, { blockstore }).node
    const client = ipfsNode().node
    t.after(async () => Promise.all([server.stop(), client.stop()]))

    for (const { cid, bytes } of blocks) {
      blockstore.put(cid, bytes)
    }

    await Promise.all([server.start(), client.start()])
    await client.connect(server.multiaddrs[0] ?? '')

    const read = await Promise.all(blocks.map(async ({ cid }) => readBlock(client, cid)))
    assert.deepEqual(
      read,
      blocks.map(({ bytes }) => bytes),
    )
  })
})
