import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { MemoryBlockstore } from 'blockstore-core'
import type { Stream } from '@libp2p/interface'
import type { CID } from 'multiformats/cid'
import { ipfsNode, randomBlock } from '../../../../fixtures/ipfs-node.ts'
import { until } from '../../../../fixtures/until.ts'

const protocol = '/ipfs/bitswap/1.2.0'
const blockBytes = 256 * 1024
const wanted = 100
const perRound = 8

class CountingBlockstore extends MemoryBlockstore {
  loads = 0

  override async *get(cid: CID): AsyncGenerator<Uint8Array> {
    this.loads++
    yield* super.get(cid)
  }
}

test('a peer that wants much and reads nothing costs a few blocks of memory', async t => {
  const { blockstore, cids, want } = await greedyPeer(t, wanted, stream => {
    stream.pause()
  })
  await want(cids)
  await until('the first round is loaded', () => blockstore.loads >= perRound)
  await sleep(1000)
  assert.equal(blockstore.loads, perRound)
})

test('a block that got lost on its way is sent again, though the peer wants nothing else', async t => {
  const { blockstore, cids, want } = await greedyPeer(t, 1, stream => {
    stream.addEventListener('message', () => {})
  })
  await want(cids)
  await until('it is loaded', () => blockstore.loads === 1)
  await until(
    'it is loaded again',
    async () => {
      await want(cids)
      await sleep(200)
      return blockstore.loads > 1
    },
    15_000,
  )
})

interface GreedyPeer {
  /** Of the server */
  blockstore: CountingBlockstore
  /** Of the blocks that the server has */
  cids: CID[]
  want: (cids: readonly CID[]) => Promise<void>
}

/** A server with some blocks, and a peer of it that keeps none of them */
async function greedyPeer(t: TestContext, blocks: number, receive: (stream: Stream) => void): Promise<GreedyPeer> {
  const blockstore = new CountingBlockstore()
  const server = ipfsNode({}, { blockstore }).node
  const greedy = ipfsNode().node
  t.after(async () => Promise.all([server.stop(), greedy.stop()]))
  await Promise.all([server.start(), greedy.start()])

  const cids = Array.from({ length: blocks }, () => {
    const { cid, bytes } = randomBlock(blockBytes)
    blockstore.put(cid, bytes)

    return cid
  })
  const { libp2p } = greedy
  assert.ok(libp2p)
  await libp2p.unhandle(protocol)
  await libp2p.handle(protocol, receive)

  await greedy.connect(server.multiaddrs[0] ?? '')
  await until('the server knows our protocols', () => server.peers().some(({ peer }) => peer === greedy.peerId))
  // mDNS may have found others on this machine
  const connection = libp2p.getConnections().find(({ remotePeer }) => remotePeer.toString() === server.peerId)
  const want = async (cids: readonly CID[]): Promise<void> => {
    const stream = await connection?.newStream(protocol)
    stream?.send(wantlist(cids))
    await stream?.close()
  }
  return { blockstore, cids, want }
}

/**
 * A bitswap message that wants blocks, with its length before it
 *
 * @see https://specs.ipfs.tech/bitswap-protocol/#bitswap-1-2-0-wire-format
 */
function wantlist(cids: readonly CID[]): Uint8Array {
  const entries = cids.map(cid => field(1, Buffer.concat([field(1, cid.bytes), Buffer.from([0x10, 1])])))

  const message = field(1, Buffer.concat(entries))

  return Buffer.concat([varint(message.byteLength), message])
}

function field(number: number, bytes: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from([(number << 3) | 2]), varint(bytes.byteLength), bytes])
}

function varint(value: number): Buffer {
  const bytes = []

  for (; value > 127; value >>>= 7) {
    bytes.push((value & 127) | 128)
  }

  return Buffer.from([...bytes, value])
}
