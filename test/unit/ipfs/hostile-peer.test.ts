import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { it } from 'node:test'
import { noise } from '@chainsafe/libp2p-noise'
import { yamux } from '@chainsafe/libp2p-yamux'
import { tcp } from '@libp2p/tcp'
import { createLibp2p, type Libp2p } from 'libp2p'
import { varint } from 'multiformats'
import { ipfsNode, randomBlock } from '../../fixtures/ipfs-node.ts'

const bitswap = '/ipfs/bitswap/1.2.0'
const [identity, sha256, raw] = [0x00, 0x12, 0x55]

function field (number: number, content: Uint8Array): Buffer {
  return Buffer.concat([Buffer.of(number << 3 | 2), encoded(content.byteLength), content])
}

function encoded (value: number): Uint8Array {
  return varint.encodeTo(value, new Uint8Array(varint.encodingLength(value)))
}

/** A message of bitswap with one block, whose CID the receiver makes of the prefix and the data */
function blockMessage (prefix: number[], data: Uint8Array): Buffer {
  const message = field(3, Buffer.concat([field(1, Buffer.concat(prefix.map(encoded))), field(2, data)]))
  return Buffer.concat([encoded(message.byteLength), message])
}

/** A peer that answers whatever it is asked with one message */
async function answering (message: Uint8Array): Promise<Libp2p> {
  const libp2p = await createLibp2p({ connectionEncrypters: [noise()], streamMuxers: [yamux()], transports: [tcp()], addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] } })
  await libp2p.handle(bitswap, async (stream, connection) => {
    await Array.fromAsync(stream)
    const answer = await connection.newStream(bitswap)
    answer.send(message)
    await answer.close()
  })
  return libp2p
}

for (const [what, prefix, dataOf, taken] of [
  ['its own block', [1, raw, sha256, 32], (_digest, bytes) => bytes, true],
  ['other bytes, as the hash of their block', [1, raw, sha256, 32], () => randomBytes(100), false],
  ['bytes that begin with the hash, by a hash function that changes nothing', [1, raw, identity, 32], digest => Buffer.concat([digest, randomBytes(100)]), false],
  ['the hash itself, by a hash function that changes nothing', [1, raw, identity, 32], digest => digest, false]
] as Array<[string, number[], (digest: Uint8Array, bytes: Uint8Array) => Uint8Array, boolean]>) {
  it(`a peer that sends ${what} is ${taken ? '' : 'not '}believed`, async () => {
    const { cid, bytes } = randomBlock(1000)
    const peer = await answering(blockMessage(prefix, dataOf(cid.multihash.digest, bytes)))
    const { node } = ipfsNode()
    try {
      await node.start()
      await node.connect(String(peer.getMultiaddrs()[0]))
      const retrieved = node.createBlockSession({ providers: [peer.peerId.toCID()], maxProviders: 5 }).retrieve(cid, { signal: AbortSignal.timeout(taken ? 20_000 : 1500) })
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
