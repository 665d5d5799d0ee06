import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { describe, it } from 'node:test'
import { noise } from '@chainsafe/libp2p-noise'
import { yamux } from '@chainsafe/libp2p-yamux'
import { tcp } from '@libp2p/tcp'
import { createLibp2p, type Libp2p } from 'libp2p'
import type { CID } from 'multiformats/cid'
import { defaultPeerLimits, type PeerLimits } from '../../../../src/ipfs/node/peer-limits.ts'
import type { IpfsNode } from '../../../../src/ipfs/node/node.ts'
import {
  bitswapProtocol,
  blockMessage,
  encoded,
  field,
  framed,
  wantMessage,
} from '../../../fixtures/bitswap-messages.ts'
import { ipfsNode, randomBlock, readBlock } from '../../../fixtures/ipfs-node.ts'
import { until } from '../../../fixtures/until.ts'

const [identity, sha256, raw] = [0x00, 0x12, 0x55]
const mebibyte = 1024 * 1024

/** A peer that answers whatever it is asked with one message */
async function answering(message: Uint8Array): Promise<Libp2p> {
  const libp2p = await createLibp2p({
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
    transports: [tcp()],
    addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] },
  })
  await libp2p.handle(bitswapProtocol, async (stream, connection) => {
    await Array.fromAsync(stream)
    const answer = await connection.newStream(bitswapProtocol)
    answer.send(message)
    await answer.close()
  })
  return libp2p
}

for (const [what, prefix, dataOf, taken] of [
  ['its own block', [1, raw, sha256, 32], (_digest, bytes) => bytes, true],
  ['other bytes, as the hash of their block', [1, raw, sha256, 32], () => randomBytes(100), false],
  [
    'bytes that begin with the hash, by a hash function that changes nothing',
    [1, raw, identity, 32],
    digest => Buffer.concat([digest, randomBytes(100)]),
    false,
  ],
  ['the hash itself, by a hash function that changes nothing', [1, raw, identity, 32], digest => digest, false],
] as Array<[string, number[], (digest: Uint8Array, bytes: Uint8Array) => Uint8Array, boolean]>) {
  it(`a peer that sends ${what} is ${taken ? '' : 'not '}believed`, async () => {
    const { cid, bytes } = randomBlock(1000)
    const peer = await answering(blockMessage(prefix, dataOf(cid.multihash.digest, bytes)))
    const { node } = ipfsNode()
    try {
      await node.start()
      await node.connect(String(peer.getMultiaddrs()[0]))
      const retrieved = node
        .createBlockSession({ providers: [peer.peerId.toCID()], maxProviders: 5 })
        .retrieve(cid, { signal: AbortSignal.timeout(taken ? 20_000 : 1500) })
      if (taken) {
        assert.deepEqual(Buffer.from(await retrieved), bytes)
      } else {
        await assert.rejects(retrieved)
      }
    } finally {
      await node.stop()
      await peer.stop()
    }
  })
}

/** A bare libp2p of a peer that speaks what the test wants */
async function hostile(): Promise<Libp2p> {
  const libp2p = await createLibp2p({
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
    transports: [tcp()],
    addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] },
  })
  await libp2p.handle(bitswapProtocol, stream => {
    stream.abort(new Error('not interested'))
  })
  return libp2p
}

/**
 * A node with these limits, a hostile peer that is connected to it, and afterwards: whether an honest one still gets a
 * block
 */
async function meet(some: Partial<PeerLimits>, test: (node: IpfsNode, peer: Libp2p) => Promise<void>): Promise<void> {
  const { node } = ipfsNode({ limits: { ...defaultPeerLimits, ...some } })
  const honest = ipfsNode().node
  const peer = await hostile()
  try {
    await Promise.all([node.start(), honest.start()])
    await node.connect(String(peer.getMultiaddrs()[0]))
    await until('the peer knows of it', () => peer.getConnections().length > 0)
    await test(node, peer)
    const { cid, bytes } = randomBlock(100_000)
    await node.helia.blockstore.put(cid, bytes)
    await honest.connect(node.multiaddrs[0]!)
    assert.deepEqual(await readBlock(honest, cid), bytes)
  } finally {
    await Promise.all([node.stop(), honest.stop(), peer.stop()])
  }
}

async function send(peer: Libp2p, ...pieces: Uint8Array[]): Promise<void> {
  const [connection] = peer.getConnections()
  const stream = await connection!.newStream(bitswapProtocol)
  for (const piece of pieces) {
    if (!stream.send(piece)) {
      await stream.onDrain()
    }
  }
}

async function cutOff(peer: Libp2p): Promise<void> {
  await until('the peer is cut off', () => peer.getConnections().length === 0)
}

/** What the node has noted as wanted by the peer */
function wantsOf(node: IpfsNode, peer: Libp2p): Uint8Array[] {
  interface Broker {
    name: string
    bitswap: { getPeerWantlist: (peer: unknown) => Array<{ cid: CID }> | undefined }
  }
  const { blockBrokers } = node.helia as unknown as { blockBrokers: Broker[] }
  return (
    blockBrokers
      .find(({ name }) => name === 'bitswap')!
      .bitswap.getPeerWantlist(peer.peerId)
      ?.map(({ cid }) => cid.bytes) ?? []
  )
}

describe('a peer', () => {
  it('that begins many messages and ends none is cut off once they are too large together', async () => {
    await meet({ messageBytes: 2 * mebibyte }, async (_node, peer) => {
      for (let i = 0; i < 6 && peer.getConnections().length > 0; i++) {
        await send(peer, encoded(4 * mebibyte), Buffer.alloc(500_000, field(3, Buffer.alloc(100)))).catch(() => {})
      }
      await cutOff(peer)
    })
  })

  it('that lists more than a message can have is cut off before that is decoded', async () => {
    await meet({}, async (_node, peer) => {
      await send(peer, framed(field(1, Buffer.alloc(2 * mebibyte, field(1, Buffer.alloc(0)))))).catch(() => {})
      await cutOff(peer)
    })
  })

  it('that sends garbage is cut off', async () => {
    await meet({}, async (_node, peer) => {
      await send(peer, framed(Buffer.alloc(1000, 0x07))).catch(() => {})
      await cutOff(peer)
    })
  })

  it('that wants more than it may has its oldest wants forgotten, and none of an endless CID', async () => {
    await meet({ wantsPerPeer: 50 }, async (node, peer) => {
      const wanted = Array.from({ length: 1000 }, () => randomBlock(20).cid.bytes)
      const endless = Buffer.concat([Buffer.from([1, raw, identity]), encoded(mebibyte), randomBytes(mebibyte)])
      await send(peer, wantMessage(wanted), wantMessage([endless]), wantMessage([wanted[0]!]))
      await until('the last want is noted', () =>
        wantsOf(node, peer).some(cid => Buffer.compare(cid, wanted[0]!) === 0),
      )
      const noted = wantsOf(node, peer)
      assert.ok(noted.length <= 51, `${noted.length} wants`)
      assert.ok(noted.every(cid => cid.byteLength < 100))
    })
  })

  it('that sends blocks which nobody asked for is cut off in the end, and none of them is kept', async () => {
    const { cid, bytes } = randomBlock(mebibyte)
    await meet({ unaskedBytes: 3 * mebibyte }, async (node, peer) => {
      for (let i = 0; i < 6 && peer.getConnections().length > 0; i++) {
        await send(peer, blockMessage([1, raw, sha256, 32], bytes)).catch(() => {})
      }
      await cutOff(peer)
      assert.equal(await node.helia.blockstore.has(cid, { offline: true } as object), false)
    })
  })

  it('that connects again and again has so many connections as it may', async () => {
    await meet({ connectionsPerPeer: 3 }, async (node, peer) => {
      const address = node.libp2p!.getMultiaddrs()[0]!
      await Promise.allSettled(Array.from({ length: 8 }, async () => await peer.dial(address, { force: true })))
      await until(
        'the surplus is closed',
        () => node.peers().filter(other => other.peer === peer.peerId.toString()).length <= 3,
      )
    })
  })
})
