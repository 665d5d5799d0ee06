import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, it, type TestContext } from 'node:test'
import { encode as encodeCbor } from '@ipld/dag-cbor'
import { lpStream } from '@libp2p/utils'
import type { Stream } from '@libp2p/interface'
import { Digests } from '../../../../src/ipfs/digests/digests.ts'
import { DigestServer, type DigestAnswer, type DigestAnswers } from '../../../../src/ipfs/digests/digest-server.ts'
import type { DigestNews } from '../../../../src/ipfs/digests/digest-messages.ts'
import type { IpfsNode } from '../../../../src/ipfs/node/node.ts'
import type { Digest } from '../../../../src/oci/digest.ts'
import { ipfsNode, randomBlock, swarmKey } from '../../../fixtures/ipfs-node.ts'
import { recordingLog } from '../../../fixtures/recording-log.ts'
import { until } from '../../../fixtures/until.ts'

const protocol = '/ipdr/digest/1'
const mebibyte = 1024 * 1024
const swarm = { network: 'private', swarmKey: swarmKey() } as const
const digest = digestOf('a blob')
const size = 5 * mebibyte + 1

function digestOf(text: string): Digest {
  return `sha256:${createHash('sha256').update(text).digest('hex')}`
}

function hashes(count: number, fill = 1): Uint8Array {
  return Buffer.alloc(32 * count, fill)
}

const nothing: DigestAnswers = { answer: async () => undefined }

function answering(parts: Array<Partial<DigestNews>>, blobSize = size): DigestAnswers {
  return {
    answer: async () => ({
      size: blobSize,
      async *news() {
        for (const part of parts) {
          yield { leaves: [], ...part }
        }
      },
    }),
  }
}

interface Appliance {
  node: IpfsNode
  digests: Digests
  peer: string
}

async function start(t: TestContext, answers: DigestAnswers = nothing): Promise<Appliance> {
  const { node } = ipfsNode(swarm)
  const digests = new Digests({ node, answers, log: recordingLog() })
  t.after(async () => {
    await digests.stop()
    await node.stop()
  })
  await node.start()
  await digests.start()
  return { node, digests, peer: node.peerId! }
}

async function connected(t: TestContext, answers: DigestAnswers): Promise<{ asker: Appliance; answerer: Appliance }> {
  const [asker, answerer] = [await start(t), await start(t, answers)]
  await asker.node.connect(answerer.node.multiaddrs[0]!)
  await until('the peer can be asked', () => asker.digests.peers().includes(answerer.peer))
  return { asker, answerer }
}

async function ask(
  { asker, answerer }: { asker: Appliance; answerer: Appliance },
  expected?: number,
): Promise<DigestNews[]> {
  const signal = AbortSignal.timeout(20_000)
  return await Array.fromAsync(asker.digests.ask(answerer.peer, digest, { signal, size: expected }))
}

describe('a peer that is asked for a digest', () => {
  it('tells what is there and what comes, until the blob is whole', async t => {
    const root = randomBlock(10).cid.toString()
    const { asker, answerer } = await connected(
      t,
      answering([
        { leaves: [{ first: 0, hashes: hashes(2) }], claims: [{ from: 4, to: 6 }] },
        { leaves: [{ first: 4, hashes: hashes(2, 2) }] },
        { leaves: [{ first: 2, hashes: hashes(2, 3) }], claims: [], root },
      ]),
    )
    assert.deepEqual(
      (await ask({ asker, answerer }, size)).map(news => ({
        ...news,
        leaves: news.leaves.map(({ first, hashes: bytes }) => [first, bytes.byteLength / 32, bytes[0]]),
      })),
      [
        { size, root: undefined, leaves: [[0, 2, 1]], claims: [{ from: 4, to: 6 }] },
        { size, root: undefined, leaves: [[4, 2, 2]], claims: undefined },
        { size, root, leaves: [[2, 2, 3]], claims: [] },
      ],
    )
  })

  it('may know nothing of it', async t => {
    assert.deepEqual(await ask(await connected(t, nothing)), [])
  })

  it('is given the digest and who asks', async t => {
    const asked: string[] = []
    const nodes = await connected(t, {
      answer: async (peer, what) => {
        asked.push(`${peer} ${what}`)
        return undefined
      },
    })
    await ask(nodes)
    assert.deepEqual(asked, [`${nodes.asker.peer} ${digest}`])
  })

  it('tells of a blob with thousands of leaves in several messages', async t => {
    const leaves = 5000
    const all = Buffer.concat(Array.from({ length: leaves }, (_, i) => hashes(1, i % 251)))
    const blob = leaves * mebibyte
    const news = await ask(await connected(t, answering([{ leaves: [{ first: 0, hashes: all }] }], blob)), blob)
    const told = news.flatMap(part => part.leaves)
    assert.ok(told.length > 1)
    assert.deepEqual(Buffer.concat(told.map(run => run.hashes)), all)
    assert.deepEqual(
      told.map(({ first }) => first),
      told.map((_, i) => told.slice(0, i).reduce((sum, run) => sum + run.hashes.byteLength / 32, 0)),
    )
  })

  it('stops telling when nobody listens any more', async t => {
    const ended = Promise.withResolvers<void>()
    const nodes = await connected(t, {
      answer: async () => ({
        size,
        async *news({ signal }) {
          try {
            yield { leaves: [] }
            await sleep(60_000, undefined, { signal })
          } finally {
            ended.resolve()
          }
        },
      }),
    })
    const signal = AbortSignal.timeout(20_000)
    for await (const _ of nodes.asker.digests.ask(nodes.answerer.peer, digest, { signal })) {
      break
    }
    await ended.promise
  })
})

describe('which peers can be asked', () => {
  it('those that speak the protocol, as soon as they connect and as long as they are connected', async t => {
    const [asker, answerer] = [await start(t), await start(t)]
    const { node: plain } = ipfsNode(swarm)
    t.after(async () => await plain.stop())
    await plain.start()
    const seen: string[] = []
    const end = asker.digests.onPeer(peer => {
      seen.push(peer)
    })
    await plain.connect(asker.node.multiaddrs[0]!)
    await answerer.node.connect(asker.node.multiaddrs[0]!)
    await until('the appliance is seen', () => seen.length > 0)
    assert.deepEqual([seen, asker.digests.peers()], [[answerer.peer], [answerer.peer]])
    end()
    await answerer.node.stop()
    await until('it is gone', () => asker.digests.peers().length === 0)
    await assert.rejects(Array.fromAsync(asker.digests.ask(answerer.peer, digest, { signal: AbortSignal.timeout(1) })))
  })

  it('also those that were connected before this began to ask', async t => {
    const { node } = ipfsNode(swarm)
    const answerer = await start(t)
    const digests = new Digests({ node, answers: nothing, log: recordingLog() })
    t.after(async () => {
      await digests.stop()
      await node.stop()
    })
    await node.start()
    await node.connect(answerer.node.multiaddrs[0]!)
    await until('identified', async () => {
      const { protocols } = await node.libp2p!.peerStore.get(answerer.node.libp2p!.peerId)
      return protocols.includes(protocol)
    })
    await digests.start()
    assert.deepEqual(digests.peers(), [answerer.peer])
  })
})

/** Sends messages by hand, or none: the answer of a peer that means ill */
async function hostile(
  t: TestContext,
  handle: (stream: Stream) => Promise<void>,
): Promise<() => Promise<DigestNews[]>> {
  const asker = await start(t)
  const { node } = ipfsNode(swarm)
  t.after(async () => await node.stop())
  await node.start()
  await node.libp2p!.handle(protocol, stream => {
    void handle(stream).catch(() => {})
  })
  await asker.node.connect(node.multiaddrs[0]!)
  await until('the peer can be asked', () => asker.digests.peers().includes(node.peerId!))
  return async () =>
    await Array.fromAsync(asker.digests.ask(node.peerId!, digest, { signal: AbortSignal.timeout(20_000), size }))
}

describe('an answer of a hostile peer', () => {
  const messages: Array<[string, unknown]> = [
    ['another size', { size: size + 1 }],
    ['no size', {}],
    ['a negative size', { size: -1 }],
    ['a size that is no number', { size: 'large' }],
    ['a leaf that the blob does not have', { size, leaves: [[6, hashes(1)]] }],
    ['a run beyond the end', { size, leaves: [[5, hashes(2)]] }],
    ['half a hash', { size, leaves: [[0, hashes(1).subarray(1)]] }],
    ['a leaf below 0', { size, leaves: [[-1, hashes(1)]] }],
    ['leaves that are no list', { size, leaves: 7 }],
    ['a claim beyond the end', { size, claims: [[0, 7]] }],
    ['a claim of nothing', { size, claims: [[3, 3]] }],
    ['a thousand claims', { size, claims: Array<[number, number]>(1000).fill([0, 1]) }],
    ['a root that is none', { size, root: hashes(1) }],
    ['a root of 10 KB', { size, root: Buffer.alloc(10_000, 1) }],
    ['a list', [1, 2, 3]],
  ]
  for (const [what, message] of messages) {
    it(`with ${what} is refused`, async t => {
      const answer = await hostile(t, async stream => {
        await lpStream(stream).write(encodeCbor(message))
      })
      await assert.rejects(answer(), { name: 'DigestProtocolError' })
    })
  }

  it('of bytes that are no CBOR, or nest without end, is refused', async t => {
    for (const bytes of [Uint8Array.of(0xff, 0xff), new Uint8Array(60_000).fill(0x81)]) {
      const answer = await hostile(t, async stream => {
        await lpStream(stream).write(bytes)
      })
      await assert.rejects(answer(), { name: 'DigestProtocolError' })
    }
  })

  it('with a message of 1 MiB, or of a length that does not end, is not read', async t => {
    for (const head of [
      [0x80, 0x80, 0x40],
      [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f],
    ]) {
      const answer = await hostile(t, async stream => {
        stream.send(Uint8Array.from(head))
      })
      await assert.rejects(answer(), ({ name }: Error) => /^InvalidDataLength/.test(name))
    }
  })

  it('that never ends is ended', async t => {
    let sent = 0
    const answer = await hostile(t, async stream => {
      const out = lpStream(stream)
      const message = encodeCbor({ size, leaves: [[0, hashes(6)]] })
      while (stream.status === 'open') {
        await out.write(message)
        sent += message.byteLength
        await sleep(0)
      }
    })
    await assert.rejects(answer(), { name: 'DigestProtocolError' })
    assert.ok(sent < 2 * mebibyte, `${sent} bytes`)
  })

  it('that comes all at once is not kept', async t => {
    const answer = await hostile(t, async stream => {
      const message = encodeCbor({ size, claims: Array<[number, number]>(60).fill([0, 6]) })
      for (let i = 0; i < 50_000 && stream.status === 'open'; i++) {
        await lpStream(stream).write(message)
      }
    })
    await assert.rejects(answer())
  })

  it('that does not come ends with the signal', async t => {
    const asker = await start(t)
    const { node } = ipfsNode(swarm)
    t.after(async () => await node.stop())
    await node.start()
    await node.libp2p!.handle(protocol, () => {})
    await asker.node.connect(node.multiaddrs[0]!)
    await until('the peer can be asked', () => asker.digests.peers().length === 1)
    const began = performance.now()
    await assert.rejects(
      Array.fromAsync(asker.digests.ask(node.peerId!, digest, { signal: AbortSignal.timeout(300), size })),
    )
    assert.ok(performance.now() - began < 5000)
  })
})

describe('a question of a hostile peer', () => {
  interface Attacked {
    server: DigestServer
    asked: () => number
    open: () => Promise<Stream>
    honest: () => Promise<DigestNews[]>
  }

  async function attacked(t: TestContext, answer?: DigestAnswer): Promise<Attacked> {
    let asked = 0
    const { node } = ipfsNode(swarm)
    const { node: stranger } = ipfsNode(swarm)
    const server = new DigestServer(
      {
        libp2p: { handle: async (...args) => await node.libp2p!.handle(...args), unhandle: async () => {} },
        answers: {
          answer: async () => {
            asked++
            return answer
          },
        },
        log: recordingLog(),
      },
      { streamsPerPeer: 10, questions: 20 },
    )
    t.after(async () => {
      await server.stop()
      await stranger.stop()
      await node.stop()
    })
    await Promise.all([node.start(), stranger.start()])
    await server.start()
    await stranger.connect(node.multiaddrs[0]!)
    const other = await start(t)
    await other.node.connect(node.multiaddrs[0]!)
    await until('it can be asked', () => other.digests.peers().length === 1)
    return {
      server,
      asked: () => asked,
      open: async () =>
        await stranger.libp2p!.dialProtocol(node.libp2p!.peerId, protocol, { signal: AbortSignal.timeout(5000) }),
      honest: async () =>
        await Array.fromAsync(other.digests.ask(node.peerId!, digest, { signal: AbortSignal.timeout(5000) })),
    }
  }

  it('that is malformed or too long gets no answer', async t => {
    const { server, asked, open } = await attacked(t)
    for (const bytes of [
      encodeCbor({ digest: 'sha256:abc' }),
      encodeCbor({ digest: 7 }),
      encodeCbor([]),
      encodeCbor({ digest: `sha256:${'a'.repeat(1000)}` }),
      Uint8Array.of(0xff),
    ]) {
      const stream = await open()
      const out = lpStream(stream)
      await out.write(bytes)
      await assert.rejects(out.read({ signal: AbortSignal.timeout(5000) }))
    }
    assert.equal(asked(), 0)
    await until('no stream is left', () => server.streams === 0)
  })

  it('by the thousand is answered a few times, and others are answered all the same', async t => {
    const { server, asked, open, honest } = await attacked(t, {
      size,
      async *news({ signal }) {
        yield { leaves: [] }
        await sleep(60_000, undefined, { signal, ref: false })
      },
    })
    let most = 0
    for (let i = 0; i < 40; i++) {
      await Promise.all(
        Array.from({ length: 50 }, async () => {
          try {
            const stream = await open()
            await lpStream(stream).write(encodeCbor({ digest }))
          } catch {
            // refused at once
          }
        }),
      )
      most = Math.max(most, server.streams)
    }
    assert.ok(most <= 10, `${most} streams`)
    assert.ok(asked() <= 60, `${asked()} questions`)
    const answer = honest()
    await until('another one is answered', () => server.streams > 10)
    await assert.rejects(answer)
  })

  it('that is never asked holds a stream for a while only, and no other one', async t => {
    const { server, open, honest } = await attacked(t)
    const stream = await open()
    await until('it is open', () => server.streams === 1)
    assert.deepEqual(await honest(), [])
    stream.abort(new Error('gone'))
    await until('it is gone', () => server.streams === 0)
  })
})
