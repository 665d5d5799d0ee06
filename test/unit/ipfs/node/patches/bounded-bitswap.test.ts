import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { MemoryBlockstore } from 'blockstore-core'
import type { AbortOptions, PeerId, Stream } from '@libp2p/interface'
import type { CID } from 'multiformats/cid'
import type { IpfsNode } from '../../../../../src/ipfs/node/node.ts'
import { ipfsNode, randomBlock } from '../../../../fixtures/ipfs-node.ts'
import { until } from '../../../../fixtures/until.ts'

const protocol = '/ipfs/bitswap/1.2.0'
const blockBytes = 256 * 1024
const wanted = 100
const perRound = 8

class CountingBlockstore extends MemoryBlockstore {
  loads = 0

  /** Awaited before a block is read */
  load: (signal?: AbortSignal) => Promise<void> = async () => {}

  override async *get(cid: CID, options?: AbortOptions): AsyncGenerator<Uint8Array> {
    this.loads++
    await this.load(options?.signal)
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

test('a peer that reads nothing has a minute for each round', async t => {
  hurry(t)
  const { blockstore, cids, want } = await greedyPeer(t, wanted, stream => {
    stream.pause()
  })
  await want(cids)
  await until('a later round is loaded', () => blockstore.loads > perRound)
})

test('a disk that never answers is waited for no longer than a minute', async t => {
  hurry(t)
  const { blockstore, cids, want } = await greedyPeer(t, 1, () => {})
  let given = false
  blockstore.load = async signal => {
    if (blockstore.loads === 1) {
      await new Promise((_resolve, reject) => {
        signal?.addEventListener('abort', () => {
          reject(signal.reason)
        })
      })
    }
    given = true
  }
  await want(cids)
  await until('it is asked for', () => blockstore.loads === 1)
  await until('it is asked for again', async () => {
    await want(cids)
    await sleep(50)
    return given
  })
})

test('a message of which the rest never comes is given up after a minute', async t => {
  hurry(t)
  const { send } = await greedyPeer(t, 1, () => {})
  const stream = await send(Buffer.from([100, 1, 2, 3]))
  await until('the stream is closed', () => stream.status !== 'open')
})

test('a peer that does not come to be asked for a block is given up after a minute', async t => {
  hurry(t)
  const { server, cids } = await greedyPeer(t, 1, () => {})
  const { libp2p } = server
  t.mock.method(
    libp2p!,
    'dialProtocol',
    async (_peer: PeerId, _protocols: string, { signal }: { signal: AbortSignal }) =>
      await new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => {
          reject(signal.reason)
        })
      }),
  )
  const wantlist = new Map([['', { cid: cids[0]!.bytes, priority: 1 }]])
  await assert.rejects(
    bitswapOf(server).network.sendMessage(libp2p!.getPeers()[0], {
      wantlist,
      blocks: new Map(),
      blockPresences: new Map(),
    }),
    { name: 'TimeoutError' },
  )
})

test('what a peer wanted is forgotten where its message was read after it had gone', async t => {
  const { server, cids, want } = await greedyPeer(t, 1, () => {})
  const { peerWantLists } = bitswapOf(server)
  const gone = ipfsNode().node
  await gone.start()
  const { peerId } = gone.libp2p!
  await gone.stop()
  peerWantLists.receiveMessage(peerId, { wantlist: { entries: [] } })
  assert.ok(peerWantLists.peers().some(peer => peer.toString() === peerId.toString()))
  await want(cids)
  await until('another one wants something', () =>
    peerWantLists.peers().some(peer => peer.toString() !== peerId.toString()),
  )
  assert.ok(!peerWantLists.peers().some(peer => peer.toString() === peerId.toString()))
})

test('a peer that has gone is not dialled for the rest of what it wanted', async t => {
  hurry(t)
  const { server, greedy, blockstore, cids, want } = await greedyPeer(t, wanted, stream => {
    stream.pause()
  })
  await want(cids)
  await until('the first round is loaded', () => blockstore.loads >= perRound)
  // as the library does when it hears that the peer has gone
  bitswapOf(server).peerWantLists.peerDisconnected(greedy.libp2p!.peerId)
  await sleep(1000)
  assert.equal(blockstore.loads, perRound)
})

test('a block that could not be read is read again when it is wanted again', async t => {
  const { blockstore, cids, want } = await greedyPeer(t, 1, () => {})
  blockstore.load = async () => {
    if (blockstore.loads === 1) {
      throw new Error('the disk fails')
    }
  }
  await want(cids)
  await until('it is read', () => blockstore.loads === 1)
  await until('it is read again', async () => {
    await want(cids)
    await sleep(50)
    return blockstore.loads > 1
  })
})

/** Whatever has a minute has a third of a second */
function hurry(t: TestContext): void {
  const { timeout } = AbortSignal
  t.mock.method(AbortSignal, 'timeout', (ms: number) => timeout(ms === 60_000 ? 300 : ms))
}

interface Bitswap {
  network: { sendMessage: (peer: unknown, message: object) => Promise<void> }
  peerWantLists: {
    peers: () => PeerId[]
    receiveMessage: (peer: PeerId, message: object) => void
    peerDisconnected: (peer: PeerId) => void
  }
}

function bitswapOf({ helia }: IpfsNode): Bitswap {
  const { blockBrokers } = helia as unknown as { blockBrokers: Array<{ name: string; bitswap: Bitswap }> }
  return blockBrokers.find(({ name }) => name === 'bitswap')!.bitswap
}

interface GreedyPeer {
  server: IpfsNode
  greedy: IpfsNode
  /** @returns the stream, which is still open */
  send: (bytes: Uint8Array) => Promise<Stream>
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
  const [connection] = libp2p.getConnections()
  const want = async (cids: readonly CID[]): Promise<void> => {
    const stream = await connection?.newStream(protocol)
    stream?.send(wantlist(cids))
    await stream?.close()
  }
  const send = async (bytes: Uint8Array): Promise<Stream> => {
    const stream = await connection!.newStream(protocol)
    stream.send(bytes)
    return stream
  }
  return { server, greedy, blockstore, cids, want, send }
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
