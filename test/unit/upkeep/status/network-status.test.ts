import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Peer } from '../../../../src/ipfs/node/peer.ts'
import { NetworkStatus } from '../../../../src/upkeep/status/network-status.ts'

const usual: Peer = { peer: 'a', address: '/x', direction: 'inbound', limited: false, sent: 0, received: 0 }

describe('the status of the network', () => {
  it('has one line for each peer: configured ones first, then those with most traffic', async () => {
    const peers = [
      { ...usual, peer: 'quiet' },
      { ...usual, peer: 'busy', sent: 4, received: 5, latency: 9, limited: true },
      { ...usual, peer: 'busy', sent: 4, received: 5, latency: 7, direction: 'outbound' as const },
      { ...usual, peer: 'configured' },
      ...Array.from({ length: 200 }, (_, i) => ({ ...usual, peer: `s${i}` })),
    ]
    const status = new NetworkStatus(
      {
        node: {
          peerId: 'me',
          multiaddrs: ['/here'],
          peers: () => peers,
          describePeers: async () => new Map([['configured', { agent: '<b>', isConfigured: true }]]),
        },
        names: { status: async () => undefined },
        reader: {
          transfers: new Set([{ cid: 'bafy', client: '::1', started: '', came: { peer: 5, gateway: 0 } }]),
        },
        mirroring: {
          fetches: {
            transfers: () => [
              {
                digest: 'sha256:00',
                repositories: ['up/app'],
                progress: { size: 9, here: 4, came: { upstream: 4 } },
              },
            ],
          },
        },
        served: { report: async () => ({ total: {}, minutes: [] }) },
      },
      { network: 'lan', port: 4001 },
    )
    const report = await status.report()
    assert.equal(report.peers.total, 203)
    assert.equal(report.peers.items.length, 100)
    assert.deepEqual(report.peers.items.slice(0, 2), [
      { ...usual, peer: 'configured', agent: '<b>', isConfigured: true, latency: undefined },
      { ...usual, peer: 'busy', sent: 4, received: 5, latency: 7, direction: 'both', isConfigured: false },
    ])
    assert.equal(report.reachability.answer, 'yes')
    assert.deepEqual(report.transfers.items, [
      { what: 'bafy', repositories: [], client: '::1', came: { peer: 5, gateway: 0 } },
      { what: 'sha256:00', repositories: ['up/app'], size: 9, came: { upstream: 4 } },
    ])
  })
})
