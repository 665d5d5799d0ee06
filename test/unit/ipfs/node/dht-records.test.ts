import assert from 'node:assert/strict'
import { createHash, generateKeyPairSync, randomBytes } from 'node:crypto'
import { describe, it } from 'node:test'
import { noise } from '@chainsafe/libp2p-noise'
import { yamux } from '@chainsafe/libp2p-yamux'
import { preSharedKey } from '@libp2p/pnet'
import { tcp } from '@libp2p/tcp'
import { MemoryDatastore } from 'datastore-core'
import { Key, type Datastore } from 'interface-datastore'
import { createLibp2p, type Libp2p } from 'libp2p'
import { base32 } from 'multiformats/bases/base32'
import { create as createMultihash } from 'multiformats/hashes/digest'
import { identity } from 'multiformats/hashes/identity'
import { defaultDhtRecordLimits, DhtDatastore, KeptKeys } from '../../../../src/ipfs/node/dht-records.ts'
import { encoded, field, framed } from '../../../fixtures/bitswap-messages.ts'
import { ipfsNode, swarmKey } from '../../../fixtures/ipfs-node.ts'
import { until } from '../../../fixtures/until.ts'

const protocol = '/ipfs/lan/kad/1.0.0'
const hour = 3_600_000

async function keysIn(datastore: Datastore, prefix: string): Promise<string[]> {
  return (await Array.fromAsync(datastore.queryKeys({ prefix }))).map(String)
}

/** A message of the DHT: its type, the key, and one field more */
function dhtMessage(type: number, key: Uint8Array, more: Buffer): Buffer {
  return framed(Buffer.concat([Buffer.of(0x08, type), field(2, key), more]))
}

/** Says that the peer has a block that nobody has */
function addProvider(peer: Libp2p, multihash: Uint8Array = createMultihash(0x12, randomBytes(32)).bytes): Buffer {
  const provider = Buffer.concat([field(1, peer.peerId.toMultihash().bytes), field(2, peer.getMultiaddrs()[0]!.bytes)])
  return dhtMessage(2, Buffer.concat([encoded(1), encoded(0x55), multihash]), field(9, provider))
}

/** A public key that was made for it, by Ed25519: each is a valid record */
function putValue(padding: number): Buffer {
  const { publicKey } = generateKeyPairSync('ed25519')
  const bytes = Buffer.concat([
    Buffer.of(0x08, 1),
    field(2, publicKey.export({ type: 'spki', format: 'der' }).subarray(-32)),
  ])
  const key = Buffer.concat([Buffer.from('/pk/'), identity.digest(bytes).bytes])
  const record = [
    field(1, key),
    field(2, Buffer.concat([bytes, field(9, new Uint8Array(padding))])),
    field(5, Buffer.from(new Date().toISOString())),
  ]
  return dhtMessage(0, key, field(3, Buffer.concat(record)))
}

async function send(peer: Libp2p, messages: Iterable<Buffer>): Promise<void> {
  const stream = await peer.getConnections()[0]!.newStream(protocol)
  for (const message of messages) {
    if (!stream.send(message)) {
      await stream.onDrain()
    }
  }
  await stream.close()
}

describe('a peer that tells a node of the DHT more than fits', () => {
  it('fills its datastore up to a limit, also after a restart', async () => {
    const key = swarmKey()
    const datastore = new MemoryDatastore()
    const peer = await createLibp2p({
      connectionEncrypters: [noise()],
      streamMuxers: [yamux()],
      transports: [tcp()],
      connectionProtector: preSharedKey({ psk: key }),
      addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] },
    })
    const providers = async (): Promise<number> => (await keysIn(datastore, '/dht-lan/provider')).length
    const records = async (): Promise<number> => (await keysIn(datastore, '/dht-lan/record')).length
    try {
      for (const run of ['first', 'second']) {
        const { node } = ipfsNode({ network: 'private', swarmKey: key }, { datastore })
        await node.start()
        try {
          await node.connect(String(peer.getMultiaddrs()[0]))
          await until('the peer knows of it', () => peer.getConnections().length > 0)
          // one whose own key would be longer than any that is needed
          await send(peer, [addProvider(peer, createMultihash(0x12, new Uint8Array(10_000)).bytes)])
          for (let i = 0; i < 15; i++) {
            await send(
              peer,
              Array.from({ length: 100 }, () => addProvider(peer)),
            )
          }
          await send(peer, [putValue(100_000), putValue(100)])
          const last = addProvider(peer)
          await send(peer, [last])
          await until(`the ${run} has come`, async () => (await records()) === (run === 'first' ? 1 : 2))
          await until('the newest are kept', async () => (await providers()) >= defaultDhtRecordLimits.providersPerPeer)
          assert.equal(await providers(), defaultDhtRecordLimits.providersPerPeer)
          assert.ok((await keysIn(datastore, '/dht-lan')).every(key => key.length <= defaultDhtRecordLimits.keyLength))
        } finally {
          await node.stop()
        }
        await until('the peer knows of the end', () => peer.getConnections().length === 0)
      }
    } finally {
      await peer.stop()
    }
  })
})

describe('the datastore of a DHT', () => {
  const peerId = 'self'
  const provider = (peer: string, name: number): Key => new Key(`/dht/provider/${name}/${peer}`)
  const value = Buffer.from('value')

  it('keeps what the node itself provides, however much it is', async () => {
    const datastore = new MemoryDatastore()
    const bounded = new DhtDatastore({ datastore, peerId }, { prefix: '/dht', providersPerPeer: 3, providers: 5 })
    for (let i = 0; i < 20; i++) {
      await bounded.put(provider(peerId, i), value)
      await bounded.put(provider('other', i), value)
    }
    const keys = await keysIn(datastore, '/dht')
    assert.equal(keys.filter(key => key.endsWith(peerId)).length, 20)
    assert.deepEqual(
      keys.filter(key => key.endsWith('other')).sort(),
      [17, 18, 19].map(i => String(provider('other', i))),
    )
  })

  it('counts what was there before, and what is deleted', async () => {
    const datastore = new MemoryDatastore()
    for (let i = 0; i < 10; i++) {
      await datastore.put(provider('a', i), value)
    }
    const bounded = new DhtDatastore({ datastore, peerId }, { prefix: '/dht', providersPerPeer: 4 })
    await bounded.put(provider('b', 0), value)
    assert.equal((await keysIn(datastore, '/dht')).length, 5)
    for (const key of await keysIn(datastore, '/dht')) {
      await bounded.delete(new Key(key))
    }
    await Promise.all(Array.from({ length: 4 }, async (_, i) => await bounded.put(provider('a', i), value)))
    assert.equal((await keysIn(datastore, '/dht')).length, 4)
  })

  it('does not show what the node provided and may not provide any more', async () => {
    const datastore = new MemoryDatastore()
    const blocks = [1, 2].map(name => createMultihash(0x12, createHash('sha256').update(String(name)).digest()))
    const [first, second] = blocks.map(({ bytes }) => base32.baseEncode(bytes)) as [string, string]
    let isOpen = true
    const bounded = new DhtDatastore(
      { datastore, peerId },
      {
        prefix: '/dht',
        mayProvide: async cid => isOpen || cid.multihash.bytes.every((byte, i) => byte === blocks[0]!.bytes[i]),
      },
    )
    const all = [first, second].flatMap(name => [`/dht/provider/${name}/self`, `/dht/provider/${name}/other`])
    for (const key of all) {
      await bounded.put(new Key(key), value)
    }
    const shown = async (prefix: string): Promise<string[]> =>
      (await Array.fromAsync(bounded.query({ prefix }))).map(({ key }) => String(key)).sort()
    assert.deepEqual(await shown('/dht/provider'), all.toSorted())
    isOpen = false
    // that others provide it is not for this node to hide
    assert.deepEqual(await shown('/dht/provider'), all.filter(key => key !== `/dht/provider/${second}/self`).sort())
    assert.deepEqual(await shown(`/dht/provider/${second}`), [`/dht/provider/${second}/other`])
    isOpen = true
    assert.deepEqual(await shown('/dht/provider'), all.toSorted())
  })

  it('passes on what is read', async () => {
    const bounded = new DhtDatastore({ datastore: new MemoryDatastore(), peerId }, { prefix: '/dht' })
    const key = provider('a', 1)
    assert.deepEqual((await Array.fromAsync(bounded.putMany([{ key, value }]))).map(String), [String(key)])
    assert.ok(await bounded.has(key))
    assert.deepEqual(await bounded.get(key), value)
    assert.deepEqual(
      (await Array.fromAsync(bounded.query({ prefix: '/dht' }))).map(({ value }) => value),
      [value],
    )
    assert.equal((await Array.fromAsync(bounded.getMany([key]))).length, 1)
    await Array.fromAsync(bounded.deleteMany([key]))
    assert.equal(await bounded.has(key), false)
  })
})

describe('the keys that are kept', () => {
  it('go from who has the most, the oldest first', () => {
    const kept = new KeptKeys({ perGroup: 3, all: 5 })
    const added = (group: string, ...keys: string[]): string[] => keys.flatMap(key => kept.add(group, key))
    assert.deepEqual(added('a', 'a1', 'a2', 'a3'), [])
    assert.deepEqual(added('a', 'a1', 'a4'), ['a2'])
    assert.deepEqual(added('b', 'b1', 'b2', 'b3'), ['a3'])
    assert.deepEqual(added('c', 'c1'), ['b1'])
  })

  it('go when they are old and were not sent again', () => {
    let now = 0
    const kept = new KeptKeys({ perGroup: 10, all: 10, now: () => now })
    assert.deepEqual(
      ['x', 'y'].flatMap(key => kept.add('', key)),
      [],
    )
    now = 47 * hour
    assert.deepEqual(kept.add('', 'x'), [])
    now = 49 * hour
    assert.deepEqual(kept.add('', 'z'), ['y'])
  })
})
