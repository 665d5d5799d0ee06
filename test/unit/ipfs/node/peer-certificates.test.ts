import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { lpStream } from '@libp2p/utils'
import type { IpfsNode } from '../../../../src/ipfs/node/node.ts'
import { ipfsNode, swarmKey } from '../../../fixtures/ipfs-node.ts'
import { until } from '../../../fixtures/until.ts'

const swarm = { network: 'private', swarmKey: swarmKey() } as const
const protocol = '/ipdr/peer-certificate/1.0.0'

interface Shown {
  node: IpfsNode
  /** By peer */
  shown: Map<string, string>
  /** Peers whose connection ended at some time */
  forgotten: Set<string>
  count: () => number
}

/** A node that takes certificates, and shows one if there is one */
async function start(t: TestContext, own?: string): Promise<Shown> {
  const shown = new Map<string, string>()
  const forgotten = new Set<string>()
  let count = 0
  const { node } = ipfsNode(swarm, {
    access: {
      mayFetch: () => true,
      isPublic: () => true,
      certificates: {
        own: async () => own,
        show: (peer, text) => {
          count++
          shown.set(peer, text)
        },
        forget: peer => {
          shown.delete(peer)
          forgotten.add(peer)
        },
      },
    },
  })
  t.after(async () => await node.stop())
  await node.start()
  return { node, shown, forgotten, count: () => count }
}

describe('the certificate of a node', () => {
  it('is shown to whoever it connects with, in either direction, and forgotten with the connection', async t => {
    const [a, b] = [await start(t, 'of a'), await start(t, 'of b')]
    await a.node.connect(b.node.multiaddrs[0]!)
    await until('both have seen it', () => a.shown.size === 1 && b.shown.size === 1)
    assert.deepEqual([...a.shown], [[b.node.peerId, 'of b']])
    assert.deepEqual([...b.shown], [[a.node.peerId, 'of a']])
    await a.node.libp2p!.hangUp(b.node.libp2p!.peerId)
    await until('it is forgotten', () => a.forgotten.has(b.node.peerId!) && b.forgotten.has(a.node.peerId!))
  })

  it('is not needed for a connection, nor is the protocol', async t => {
    const [a, b] = [await start(t, 'of a'), await start(t)]
    const { node: plain } = ipfsNode(swarm)
    t.after(async () => await plain.stop())
    await plain.start()
    await a.node.connect(plain.multiaddrs[0]!)
    await a.node.connect(b.node.multiaddrs[0]!)
    await until('one has seen it', () => b.shown.size === 1)
    assert.equal(a.shown.size, 0)
    assert.equal(a.node.peerCount, 2)
  })
})

describe('a stranger who shows rubbish', () => {
  async function connected(
    t: TestContext,
  ): Promise<{ server: Shown; peer: string; send: (bytes: Uint8Array) => Promise<string> }> {
    const server = await start(t)
    const { node: stranger } = ipfsNode(swarm)
    t.after(async () => await stranger.stop())
    await stranger.start()
    await stranger.connect(server.node.multiaddrs[0]!)
    const [connection] = stranger.libp2p!.getConnections()
    /** Sends bytes as they are; returns how the stream ends */
    const send = async (bytes: Uint8Array): Promise<string> => {
      const stream = await connection!.newStream(protocol, { signal: AbortSignal.timeout(5000) })
      const { promise, resolve } = Promise.withResolvers<string>()
      stream.addEventListener('close', () => {
        resolve(stream.status)
      })
      stream.send(bytes)
      void stream.close().catch(() => {})
      setTimeout(resolve, 3000, 'open').unref()
      return await promise
    }
    return { server, peer: stranger.peerId!, send }
  }

  it('is cut off after the 4 KiB of one message, and stays connected', async t => {
    const { server, send } = await connected(t)
    // a message of 5000 bytes, one of 2^49, and one whose length does not end
    for (const head of [[0x88, 0x27], [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f], Array<number>(20).fill(0xff)]) {
      const status = await send(Buffer.concat([Uint8Array.from(head), Buffer.alloc(60_000)]))
      assert.ok(['reset', 'aborted', 'closed'].includes(status), status)
    }
    assert.deepEqual([server.count(), server.node.peerCount], [0, 1])
  })

  it('is heard ten times', async t => {
    const { server, peer, send } = await connected(t)
    for (let i = 0; i < 15; i++) {
      await send(Uint8Array.from([1, 65 + i])).catch(() => {})
    }
    assert.equal(server.count(), 10)
    assert.deepEqual([...server.shown], [[peer, 'J']])
  })

  it('may say nothing at all', async t => {
    const { server, send } = await connected(t)
    const silence = send(new Uint8Array())
    const other = await start(t, 'of another one')
    await other.node.connect(server.node.multiaddrs[0]!)
    await until('others are heard', () => server.shown.get(other.node.peerId!) === 'of another one')
    await silence
  })
})

it('a certificate is one message with its length before it', async t => {
  const { node, shown } = await start(t)
  const { node: other } = ipfsNode(swarm)
  t.after(async () => await other.stop())
  await other.start()
  await other.connect(node.multiaddrs[0]!)
  const stream = await other.libp2p!.dialProtocol(node.libp2p!.peerId, protocol)
  await lpStream(stream).write(Buffer.from('certificate'))
  await until('it has arrived', () => shown.get(other.peerId!) === 'certificate')
})
