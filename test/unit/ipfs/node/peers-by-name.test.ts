import assert from 'node:assert/strict'
import { beforeEach, describe, it } from 'node:test'
import type { Connection, PeerId } from '@libp2p/interface'
import { multiaddr } from '@multiformats/multiaddr'
import { isNameOfPeers, PeersByName } from '../../../../src/ipfs/node/peers-by-name.ts'
import { ipfsNode } from '../../../fixtures/ipfs-node.ts'
import { recordingLog } from '../../../fixtures/recording-log.ts'
import { until } from '../../../fixtures/until.ts'

describe('peers by a name', () => {
  it('are all nodes behind it unless one is named', () => {
    for (const [address, isName] of [
      ['/dns4/peers.local/tcp/4001', true],
      ['/dns/peers.local/tcp/4001/ws', true],
      ['/dns4/peers.local/tcp/4001/p2p/12D3KooWQYhTNQdmr3ArTeUHRYzFg94BKyTkoWBDWez9kSCVe2Xo', false],
      ['/ip4/127.0.0.1/tcp/4001', false],
      ['/dnsaddr/peers.local', false],
    ] as const) {
      assert.equal(isNameOfPeers(multiaddr(address)), isName, address)
    }
  })

  describe('with a resolver', () => {
    let addresses: Array<{ address: string; family: number }>
    let dialled: string[]
    let connected: Set<string>
    let time: number
    let peers: PeersByName
    const { signal } = new AbortController()

    beforeEach(() => {
      addresses = [
        { address: '10.0.0.1', family: 4 },
        { address: '10.0.0.2', family: 4 },
        { address: '10.0.0.9', family: 4 },
        { address: 'fd00::1', family: 6 },
      ]
      dialled = []
      connected = new Set()
      time = 0
      peers = new PeersByName(
        {
          dial: async address => {
            const text = address.toString()
            dialled.push(text)
            if (text.includes('10.0.0.9')) {
              throw new Error('this is the node itself')
            }
            connected.add(text)
            return { remotePeer: text as unknown as PeerId } as Connection
          },
          isConnected: peer => connected.has(peer as unknown as string),
          resolve: async host => {
            assert.equal(host, 'peers.local')
            return addresses
          },
          log: recordingLog(),
          now: () => time,
        },
        multiaddr('/dns4/peers.local/tcp/4001'),
      )
    })

    async function round(): Promise<string[]> {
      await peers.round(signal)
      time += 10_000
      return dialled.splice(0).map(address => address.split('/')[2]!)
    }

    it('are dialled at each of its addresses of the family, and again only when they are gone', async () => {
      assert.deepEqual(await round(), ['10.0.0.1', '10.0.0.2', '10.0.0.9'])
      assert.deepEqual(await round(), [])
      connected.delete('/ip4/10.0.0.2/tcp/4001')
      assert.deepEqual(await round(), ['10.0.0.2'])
      addresses.push({ address: '10.0.0.3', family: 4 })
      assert.deepEqual(await round(), ['10.0.0.3'])
      addresses = addresses.filter(({ address }) => address !== '10.0.0.1')
      assert.deepEqual(await round(), [])
    })

    it('that can not be dialled are tried again after a minute', async () => {
      await round()
      for (let i = 0; i < 5; i++) {
        assert.deepEqual(await round(), [])
      }
      assert.deepEqual(await round(), ['10.0.0.9'])
    })

    it('are at most 256', async () => {
      await round()
      addresses = Array.from({ length: 1000 }, (_, i) => ({ address: `10.1.${i >> 8}.${i & 255}`, family: 4 }))
      assert.equal((await round()).length, 256)
    })
  })

  it('are connected by the node whose configuration has the name', async () => {
    const { node: first } = ipfsNode({ network: 'lan' })
    await first.start()
    const port = multiaddr(first.multiaddrs[0]!)
      .getComponents()
      .find(({ name }) => name === 'tcp')!.value
    const { node: second } = ipfsNode({ network: 'lan', peers: [`/dns4/localhost/tcp/${port}`] })
    try {
      await second.start()
      await until('a connection', () => second.peerCount === 1)
    } finally {
      await second.stop()
      await first.stop()
    }
  })
})
