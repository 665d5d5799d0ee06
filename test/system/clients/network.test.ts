import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { readdir, readlink } from 'node:fs/promises'
import { createServer } from 'node:net'
import { after, before, describe, it } from 'node:test'
import type { TestContext } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { unixfs } from '@helia/unixfs'
import { CarReader } from '@ipld/car'
import { MemoryBlockstore } from 'blockstore-core'
import type { CID } from 'multiformats/cid'
import type { IpfsNode } from '../../../src/ipfs/node/node.ts'
import { randomBytes, randomStream } from '../../fixtures/images.ts'
import { ipfsNode, randomBlock, readBlock, swarmKey } from '../../fixtures/ipfs-node.ts'
import type { TestNode } from '../../fixtures/ipfs-node.ts'
import { startKubo } from '../../fixtures/kubo.ts'
import type { Kubo } from '../../fixtures/kubo.ts'
import { reserve } from '../../fixtures/reserve.ts'
import { until } from '../../fixtures/until.ts'

const second = 1000
const MiB = 1024 * 1024
const usualPort = 4001

async function start(t: TestContext, init: Parameters<typeof ipfsNode>[0]): Promise<IpfsNode & { address: string }> {
  const { node } = ipfsNode(init)
  t.after(async () => node.stop())
  await node.start()

  return Object.assign(node, { address: node.multiaddrs[0] ?? '' })
}

async function exchange(from: IpfsNode, to: IpfsNode): Promise<void> {
  const { cid, bytes } = randomBlock(MiB)
  await from.helia.blockstore.put(cid, bytes)
  assert.ok((await readBlock(to, cid)).equals(bytes))
}

describe('two nodes', () => {
  for (const [port, mdnsPort] of [
    ['the port of mDNS', undefined],
    ['a port of their own', 15_353],
  ] as const) {
    it(`of a local network find each other by ${port}, and exchange blocks`, async t => {
      if (!(await multicastWorks())) {
        t.skip('no multicast here')
        return
      }

      const lan = { network: 'lan', mdnsPort } as const
      const [a, b] = [await start(t, lan), await start(t, lan)]
      await until('they are connected', () => b.peers().some(({ peer }) => peer === a.peerId), 20 * second)
      await exchange(a, b)
      await exchange(b, a)
    })
  }

  it('that know each other by a configured address exchange blocks', async t => {
    const a = await start(t, { network: 'lan' })
    const b = await start(t, { network: 'lan', peers: [a.address] })
    await until('they are connected', () => b.peers().some(({ peer }) => peer === a.peerId))
    await exchange(a, b)
    await exchange(b, a)
  })

  it('of the public network exchange blocks once connected', async t => {
    const a = await start(t, { network: 'public' })
    const b = await start(t, { network: 'public', peers: [a.address] })
    await until('they are connected', () => b.peers().some(({ peer }) => peer === a.peerId))
    await exchange(a, b)
    await exchange(b, a)
  })

  it('of a private network exchange blocks, and keep others out', async t => {
    const key = swarmKey()
    const a = await start(t, { network: 'private', swarmKey: key })
    const b = await start(t, { network: 'private', swarmKey: key, bootstrap: [a.address] })
    await until('they are connected', () => b.peers().some(({ peer }) => peer === a.peerId))
    await exchange(a, b)

    const stranger = await start(t, { network: 'private', swarmKey: swarmKey() })
    await assert.rejects(stranger.connect(a.address, { signal: AbortSignal.timeout(10 * second) }))

    const open = await start(t, { network: 'lan' })
    await assert.rejects(open.connect(a.address, { signal: AbortSignal.timeout(10 * second) }))

    for (const node of [a, b]) {
      assert.ok(node.peers().every(({ peer }) => peer === a.peerId || peer === b.peerId))
    }
  })

  it('tell the DHT of nothing but what is provided', async t => {
    const key = swarmKey()
    const a = await start(t, { network: 'private', swarmKey: key })
    const b = await start(t, { network: 'private', swarmKey: key, peers: [a.address] })
    await until('they are connected', () => b.peers().some(({ peer }) => peer === a.peerId))

    const [stored, provided] = [randomBlock(1000), randomBlock(1000)]
    await a.helia.blockstore.put(stored.cid, stored.bytes)
    await a.helia.blockstore.put(provided.cid, provided.bytes)

    await until(
      'the provider is found',
      async () => {
        await a.helia.routing.provide(provided.cid, { signal: AbortSignal.timeout(5 * second) })

        return (await providers(b, provided.cid)).includes(a.peerId ?? '')
      },
      20 * second,
    )
    assert.deepEqual(await providers(b, stored.cid), [])
  })
})

async function providers(node: IpfsNode, cid: ReturnType<typeof randomBlock>['cid']): Promise<string[]> {
  const found = []

  for await (const { id } of node.helia.routing.findProviders(cid, { signal: AbortSignal.timeout(5 * second) })) {
    found.push(
      node.libp2p
        ?.getPeers()
        .find(peer => peer.toCID().equals(id))
        ?.toString() ?? id.toString(),
    )
  }

  return found
}

/** SHA-256 of a file that a CAR has whole, with its CID as the only root */
async function digestInCar(car: Uint8Array, cid: CID): Promise<string> {
  const reader = await CarReader.fromBytes(car)
  assert.deepEqual((await reader.getRoots()).map(String), [cid.toString()])
  const blockstore = new MemoryBlockstore()
  for await (const block of reader.blocks()) {
    await blockstore.put(block.cid as CID, block.bytes)
  }
  const hash = createHash('sha256')
  for await (const chunk of unixfs({ blockstore }).cat(cid)) {
    hash.update(chunk)
  }
  return hash.digest('hex')
}

describe('beside a real kubo', () => {
  const size = 64 * MiB

  for (const [network, key] of [
    ['lan', undefined],
    ['private', swarmKey()],
  ] as const) {
    describe(`in a ${network} network`, () => {
      let kubo: Kubo
      let ours: TestNode

      before(async () => {
        kubo = await startKubo(key === undefined ? {} : { swarmKey: key })
        ours = ipfsNode({ network, swarmKey: key, peers: kubo.addrs })
        await ours.node.start()
        await until('kubo is connected', () => ours.node.peers().some(({ peer }) => peer === kubo.id))
      })

      after(async () => {
        await ours?.node.stop()
        await kubo?.stop()
      })

      for (const [name, path] of [
        ['reads', 'cat'],
        ['pins', 'pin/add'],
        ['exports', 'dag/export'],
      ] as const) {
        it(`kubo ${name} a large file of ours`, { timeout: 600_000 }, async () => {
          const hash = createHash('sha256')
          const content = (async function* () {
            for await (const chunk of randomStream(size, `${network} ${name}`)) {
              hash.update(chunk)
              yield chunk
            }
          })()
          const cid = await unixfs(ours.node.helia).addByteStream(content, { profile: 'unixfs-v1-2025' })
          const response = await fetch(`${kubo.api}/api/v0/${path}?arg=${cid.toString()}`, { method: 'POST' })
          assert.equal(response.status, 200)
          const received = Buffer.from(await response.arrayBuffer())
          const expected = hash.digest('hex')

          if (name === 'reads') {
            assert.equal(received.byteLength, size)
            assert.equal(createHash('sha256').update(received).digest('hex'), expected)
          } else if (name === 'exports') {
            assert.equal(await digestInCar(received, cid), expected)
          } else {
            const { stdout } = await kubo.ipfs('dag', 'stat', '--progress=false', '--offline', cid.toString())
            assert.match(stdout, /Total Size: 67\d{6}/)
          }
        })
      }

      it('we read a block of kubo', async () => {
        const { cid, bytes } = randomBlock(MiB)
        const form = new FormData()
        form.append('data', new Blob([new Uint8Array(bytes)]))
        const response = await fetch(`${kubo.api}/api/v0/block/put?cid-codec=raw`, { method: 'POST', body: form })
        assert.equal(((await response.json()) as { Key: string }).Key, cid.toString())
        assert.ok((await readBlock(ours.node, cid)).equals(bytes))
      })
    })
  }

  it('a kubo without the swarm key is kept out', async t => {
    const kubo = await startKubo()
    t.after(async () => kubo.stop())
    const node = await start(t, { network: 'private', swarmKey: swarmKey() })

    await assert.rejects(kubo.ipfs('swarm', 'connect', node.address))
    await assert.rejects(node.connect(kubo.addrs[0] ?? '', { signal: AbortSignal.timeout(10 * second) }))
    assert.equal(node.peerCount, 0)
  })
})

describe('sockets', () => {
  it('are none when offline', async t => {
    const before = await openSockets()
    const node = await start(t, { network: 'offline' })
    const { cid, bytes } = randomBlock(1000)
    await node.helia.blockstore.put(cid, bytes)
    await sleep(500)
    assert.equal(await openSockets(), before)
  })

  it('are closed by the stop', async () => {
    const before = await openSockets()
    const { node } = ipfsNode({ network: 'lan' })
    await node.start()
    assert.ok((await openSockets()) > before)
    await node.stop()
    await until('all are closed', async () => (await openSockets()) === before)
  })

  it('use a free port where the usual one is taken, unless it was asked for', async t => {
    await using _ports = await reserve('ports')
    const server = createServer()
    server.listen(usualPort, '127.0.0.1')
    try {
      await once(server, 'listening')
    } catch (err) {
      // then another program has it
      assert.equal((err as NodeJS.ErrnoException).code, 'EADDRINUSE')
    }
    t.after(() => server.close())

    const { node, lines } = ipfsNode({ network: 'lan', port: undefined })
    t.after(async () => node.stop())
    await node.start()
    assert.doesNotMatch(node.multiaddrs[0] ?? '', /\/tcp\/4001\//)
    assert.ok(lines.some(({ level, fields }) => level === 'info' && fields['port'] === usualPort))

    const asked = ipfsNode({ network: 'lan', port: usualPort }).node
    await assert.rejects(asked.start(), {
      name: 'ListenError',
      message: /port 4001 of 127\.0\.0\.1: the port is taken/,
    })
  })
})

describe('the public network', () => {
  it('starts at once without a route to anywhere, and quietly', { timeout: 600_000 }, async () => {
    const script = fileURLToPath(new URL('../../fixtures/public-node.ts', import.meta.url))
    const { stdout, stderr } = await promisify(execFile)('unshare', [
      '--map-root-user',
      '--net',
      process.execPath,
      script,
    ])
    const { start, stop, addresses, warnings, lines } = JSON.parse(stdout) as {
      start: number
      stop: number
      addresses: string[]
      warnings: string[]
      lines: Array<{ level: string }>
    }

    assert.ok(start < 3 * second, `started in ${start} ms`)
    assert.ok(stop < 3 * second, `stopped in ${stop} ms`)
    assert.deepEqual(addresses, [], 'there is no way to it')
    assert.deepEqual(warnings, [])
    assert.deepEqual(
      lines.filter(({ level }) => level !== 'info'),
      [],
    )
    assert.ok(lines.length <= 3, JSON.stringify(lines))
    assert.equal(stderr, '')
  })
})

async function openSockets(): Promise<number> {
  const links = await Promise.all(
    (await readdir('/proc/self/fd')).map(async fd => readlink(`/proc/self/fd/${fd}`).catch(() => '')),
  )

  return links.filter(link => link.startsWith('socket:')).length
}

async function multicastWorks(): Promise<boolean> {
  const group = '224.0.0.251'
  const socket = createSocket({ type: 'udp4', reuseAddr: true })

  try {
    socket.bind(0)
    await once(socket, 'listening')
    socket.addMembership(group)
    const message = once(socket, 'message', { signal: AbortSignal.timeout(second) })
    socket.send(randomBytes(8, 'probe'), socket.address().port, group)
    await message

    return true
  } catch {
    return false
  } finally {
    socket.close()
  }
}
