import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { describe, it } from 'node:test'
import { noise } from '@chainsafe/libp2p-noise'
import { yamux, type YamuxMuxerInit } from '@chainsafe/libp2p-yamux'
import type { StreamMuxerFactory } from '@libp2p/interface'
import { multiaddrConnectionPair } from '@libp2p/utils'
import { tcp } from '@libp2p/tcp'
import { createLibp2p, type Libp2p } from 'libp2p'
import { leanNoise } from '../../../../../src/ipfs/node/patches/lean-noise.ts'
import { noteProtocolsRarely } from '../../../../../src/ipfs/node/patches/lean-peer-store.ts'
import { leanYamux } from '../../../../../src/ipfs/node/patches/lean-yamux.ts'
import { Patches } from '../../../../../src/ipfs/node/patches/patches.ts'
import { recordingLog } from '../../../../fixtures/recording-log.ts'

const patches = new Patches({ log: recordingLog() })
const mebibyte = 1024 * 1024
const protocol = '/test/hash/1.0.0'
/** Around what goes into one message of Noise, what WebAssembly does, and what one window holds */
const sizes = [0, 1, 1183, 1184, 1199, 1200, 65_518, 65_519, 65_520, 65_536, 262_144, mebibyte + 1, 5 * mebibyte]

type Parts = Pick<NonNullable<Parameters<typeof createLibp2p>[0]>, 'connectionEncrypters' | 'streamMuxers'>

const lean: Parts = { connectionEncrypters: [leanNoise(patches)], streamMuxers: [leanYamux(patches)] }
const plain: Parts = { connectionEncrypters: [noise()], streamMuxers: [yamux()] }

/** Answers whatever comes with its hash */
async function node(parts: Parts): Promise<Libp2p> {
  const libp2p = await createLibp2p({ ...parts, transports: [tcp()], addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] } })
  await libp2p.handle(protocol, async stream => {
    const hash = createHash('sha256')
    for await (const chunk of stream) {
      hash.update(chunk.subarray())
    }
    stream.send(hash.digest())
    await stream.close()
  })
  return libp2p
}

async function hashBy(libp2p: Libp2p, remote: Libp2p, bytes: Uint8Array): Promise<string> {
  const stream = await libp2p.dialProtocol(remote.getMultiaddrs(), protocol)
  for (let sent = 0; sent < bytes.byteLength; sent += mebibyte) {
    if (!stream.send(bytes.subarray(sent, sent + mebibyte))) {
      await once(stream, 'drain')
    }
  }
  await stream.close()
  return Buffer.concat((await Array.fromAsync(stream)).map(chunk => chunk.subarray())).toString('hex')
}

describe('lean Noise and Yamux', () => {
  for (const [names, first, second] of [
    ['one another', lean, lean],
    ['the libraries they replace', lean, plain],
  ] as const) {
    it(`understand ${names}, whatever the length`, async () => {
      const nodes = [await node(first), await node(second)] as const
      try {
        for (const size of sizes) {
          const bytes = randomBytes(size)
          const expected = createHash('sha256').update(bytes).digest('hex')
          assert.equal(await hashBy(nodes[0], nodes[1], bytes), expected, `there, ${size} bytes`)
          assert.equal(await hashBy(nodes[1], nodes[0], bytes), expected, `back, ${size} bytes`)
        }
      } finally {
        await Promise.all(
          nodes.map(async node => {
            await node.stop()
          }),
        )
      }
    })
  }
})

describe('lean Yamux', () => {
  /** Messages that a receiver sends back while so much comes in */
  async function answers(muxers: (init: YamuxMuxerInit) => () => StreamMuxerFactory, bytes: number): Promise<number> {
    const [outbound, inbound] = multiaddrConnectionPair()
    const [sender, receiver] = [outbound, inbound].map(connection =>
      muxers({ enableKeepAlive: false })().createStreamMuxer(connection),
    )
    let count = 0
    outbound.addEventListener('message', () => {
      count++
    })
    const received = new Promise<void>(resolve => {
      let left = bytes
      receiver!.addEventListener('stream', ({ detail }) => {
        detail.addEventListener('message', ({ data }) => {
          left -= data.byteLength
          if (left === 0) {
            resolve()
          }
        })
      })
    })
    const stream = await sender!.createStream()
    for (let sent = 0; sent < bytes; sent += 16_384) {
      if (!stream.send(randomBytes(16_384))) {
        await once(stream, 'drain')
      }
    }
    await received
    sender!.abort(new Error('over'))
    return count
  }

  it('tells of its window only now and then', async () => {
    const rarely = await answers(init => leanYamux(patches, init), 4 * mebibyte)
    const always = await answers(yamux, 4 * mebibyte)
    // half of 256 KiB each time: 32 for 4 MiB
    assert.ok(rarely <= 40 && rarely < always / 4, `${rarely} messages instead of ${always}`)
  })
})

describe('protocols that a peer speaks', () => {
  it('are noted once a minute while nothing else is, those of the node itself each time', async () => {
    const [one, two] = [await node(plain), await node(plain)]
    try {
      let merges = 0
      const merge = one.peerStore.merge.bind(one.peerStore)
      one.peerStore.merge = async (...args) => {
        merges++
        return await merge(...args)
      }
      noteProtocolsRarely(one, patches)
      const peer = two.peerId
      const known = [
        await one.peerStore.merge(peer, { protocols: ['/a'] }),
        await one.peerStore.merge(peer, { protocols: ['/a'] }),
      ]
      assert.equal(merges, 1)
      assert.ok(known.every(({ protocols }) => protocols.includes('/a')))
      await one.peerStore.merge(peer, { protocols: ['/b'] })
      await one.peerStore.merge(peer, { protocols: ['/b'] })
      await one.peerStore.merge(peer, { protocols: ['/a'], metadata: { seen: new Uint8Array(1) } })
      await one.peerStore.merge(one.peerId, { protocols: ['/a'] })
      await one.peerStore.merge(one.peerId, { protocols: ['/a'] })
      assert.equal(merges, 5)
      assert.deepEqual((await one.peerStore.get(peer)).protocols.sort(), ['/a', '/b'])

      // a peer that was started anew may speak less
      await one.peerStore.merge(peer, { protocols: ['/a'] })
      await one.peerStore.patch(peer, { protocols: ['/b'] })
      await one.peerStore.merge(peer, { protocols: ['/a'] })
      assert.deepEqual((await one.peerStore.get(peer)).protocols.sort(), ['/a', '/b'])
    } finally {
      await Promise.all([one.stop(), two.stop()])
    }
  })
})
