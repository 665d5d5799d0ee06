import assert from 'node:assert/strict'
import { hash } from 'node:crypto'
import { test, type TestContext } from 'node:test'
import { CID } from 'multiformats/cid'
import * as raw from 'multiformats/codecs/raw'
import { create } from 'multiformats/hashes/digest'
import type { IpfsNode } from '../../../../../src/ipfs/node/node.ts'
import type { HashBlock } from '../../../../../src/ipfs/node/patches/block-hashes.ts'
import { blockMessage } from '../../../../../src/ipfs/node/patches/block-messages.ts'
import { ipfsNode, randomBlock } from '../../../../fixtures/ipfs-node.ts'
import { until } from '../../../../fixtures/until.ts'

const protocol = '/ipfs/bitswap/1.2.0'
/** The numbers of a CID before its digest: version 1, raw, SHA-256, 32 bytes */
const prefix = Uint8Array.of(1, raw.code, 0x12, 32)
const large = 300_000

test('a large block is hashed by whoever is given for it, a small one by the library', async t => {
  const { hashed, fetch, send } = await receiver(t)
  for (const [size, times] of [
    [large, 1],
    [10, 0],
  ] as const) {
    hashed.length = 0
    const { cid, bytes } = randomBlock(size)
    const block = fetch(cid)
    await send(prefix, bytes)
    assert.deepEqual(Buffer.from(await block), Buffer.from(bytes))
    assert.deepEqual(
      hashed.map(bytes => bytes.byteLength),
      Array.from({ length: times }, () => size),
    )
  }
})

test('a block whose bytes do not match is not taken for the wanted one', async t => {
  const { hashed, fetch, send } = await receiver(t)
  const { cid, bytes } = randomBlock(large)
  const block = fetch(cid)
  await send(prefix, randomBlock(large).bytes)
  await until('it has been hashed', () => hashed.length === 1)
  await send(prefix, bytes)
  assert.deepEqual(Buffer.from(await block), Buffer.from(bytes))
})

test('a hash that fails, or comes late, loses that block alone', async t => {
  const { promise: late, resolve } = Promise.withResolvers<void>()
  const results: HashBlock[] = [
    async () => await Promise.reject(new Error('the thread has ended')),
    async bytes => {
      await late
      return hash('sha256', bytes, 'buffer')
    },
  ]
  const { hashed, fetch, send } = await receiver(
    t,
    bytes => results.shift()?.(bytes) ?? hash('sha256', bytes, 'buffer'),
  )
  const [lost, slow, third] = [randomBlock(large), randomBlock(large), randomBlock(large)]
  const [first, second, other] = [lost, slow, third].map(async ({ cid }) => await fetch(cid))
  await send(prefix, lost.bytes)
  await send(prefix, slow.bytes)
  await until('both are being hashed', () => hashed.length === 2)
  await send(prefix, third.bytes)
  assert.deepEqual(Buffer.from(await other!), Buffer.from(third.bytes))
  resolve()
  assert.deepEqual(Buffer.from(await second!), Buffer.from(slow.bytes))
  await send(prefix, lost.bytes)
  assert.deepEqual(Buffer.from(await first!), Buffer.from(lost.bytes))
})

test('the code that stands for a hash of ours means nothing where a peer sends it', async t => {
  const { hashed, fetch, send } = await receiver(t)
  const { cid, bytes } = randomBlock(large)
  const block = fetch(cid)
  await send(Uint8Array.of(1, raw.code, 0x81, 0x80, 0xc0, 0x01, 32), bytes)
  // SHA-256 by name, of which the CID has only a part, and with a number too many
  await send(Uint8Array.of(1, raw.code, 0x12, 20), bytes)
  await send(Uint8Array.of(...prefix, 1), bytes)
  const { cid: next, bytes: nextBytes } = randomBlock(large)
  const nextBlock = fetch(next)
  await send(prefix, nextBytes)
  await nextBlock
  assert.equal(hashed.length, 1)
  await send(prefix, bytes)
  assert.deepEqual(CID.createV1(raw.code, create(0x12, hash('sha256', await block, 'buffer'))), cid)
})

interface Receiver {
  /** What was hashed, in order */
  hashed: Uint8Array[]
  fetch: (cid: CID) => Promise<Uint8Array>
  /** Sends a block from the peer that is asked */
  send: (prefix: Uint8Array, data: Uint8Array) => Promise<void>
}

/** A node that asks a peer, which sends what it is told to */
async function receiver(
  t: TestContext,
  hashBlock: HashBlock = async bytes => hash('sha256', bytes, 'buffer'),
): Promise<Receiver> {
  const hashed: Uint8Array[] = []
  const node = ipfsNode(
    {},
    {
      hashBlock: bytes => {
        hashed.push(bytes)
        return hashBlock(bytes)
      },
    },
  ).node
  const peer = ipfsNode().node
  t.after(async () => await Promise.all([node.stop(), peer.stop()]))
  await Promise.all([node.start(), peer.start()])
  await peer.libp2p!.unhandle(protocol)
  const wanted: CID[] = []
  let asked = Buffer.alloc(0)
  await peer.libp2p!.handle(protocol, stream => {
    stream.addEventListener('message', ({ data }) => {
      asked = Buffer.concat([asked, data.subarray()])
    })
  })
  await connected(peer, node)
  const signal = AbortSignal.timeout(20_000)
  const session = node.createBlockSession({ providers: [peer.libp2p!.peerId.toCID()], maxProviders: 1 })
  return {
    hashed,
    fetch: async cid => {
      wanted.push(cid)
      return await session.retrieve(cid, { signal })
    },
    send: async (prefix, data) => {
      await until('the peer is asked', () => wanted.every(({ bytes }) => asked.includes(Buffer.from(bytes))))
      const stream = await peer.libp2p!.dialProtocol(node.libp2p!.peerId, protocol)
      stream.send(blockMessage({ prefix, data }))
      await stream.close()
    },
  }
}

async function connected(from: IpfsNode, to: IpfsNode): Promise<void> {
  await from.connect(to.multiaddrs[0]!)
  await until('both know each other', () => to.peers().some(({ peer }) => peer === from.peerId))
}
