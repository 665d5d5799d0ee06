import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Peer } from '../../../../src/ipfs/node/peer.ts'
import { reachabilityOf, type ReachabilityInit } from '../../../../src/ipfs/node/reachability.ts'

function peer(direction: Peer['direction'], ip = '8.8.8.8', limited = false): ReachabilityInit['peers'][number] {
  return { peer: `${direction} ${ip}`, address: `/ip4/${ip}/tcp/4001`, direction, limited }
}

describe('whether others reach a node', () => {
  const addresses = ['/ip4/192.0.2.1/tcp/4001']
  const cases: [ReachabilityInit['network'], ReachabilityInit['peers'], string, RegExp, RegExp?][] = [
    ['offline', [], 'no', /opens no port/, /Choose the network profile/],
    ['public', [], 'unknown', /connected to no peer/, /p2p\.peers/],
    ['public', [peer('outbound')], 'no', /none of them to it/, /TCP port 4001 .*p2p\.announce/],
    ['public', [peer('inbound', '8.8.8.8', true)], 'no', /relays alone/, /TCP port 4001/],
    ['public', [peer('inbound', '192.168.1.4')], 'partly', /^One peer has of your own|One peer has/, /TCP port 4001/],
    ['public', [peer('inbound', '192.168.1.4'), peer('inbound')], 'yes', /^One peer has connected .* from outside/],
    ['lan', [peer('inbound', '10.0.0.1'), peer('inbound', '10.0.0.2')], 'yes', /^2 peers have .* the local network/],
    ['lan', [peer('outbound', '10.0.0.1')], 'unknown', /none of them to it by itself/],
    ['private', [peer('inbound', '10.0.0.1')], 'yes', /the private swarm/],
  ]
  for (const [network, peers, answer, reason, advice] of cases) {
    it(`is ${answer} with ${network} and ${peers.map(({ peer }) => peer).join(', ') || 'no peers'}`, () => {
      const found = reachabilityOf({ network, peers, addresses, port: 4001 })
      assert.equal(found.answer, answer)
      assert.match(found.reason, reason)
      assert.match(found.advice ?? '', advice ?? /^$/)
    })
  }

  it('is no where there is no address to tell', () => {
    const found = reachabilityOf({ network: 'public', peers: [peer('outbound')], addresses: [], port: 4001 })
    assert.deepEqual([found.answer, found.reason], ['no', 'This node has no address that it could tell others.'])
  })
})
