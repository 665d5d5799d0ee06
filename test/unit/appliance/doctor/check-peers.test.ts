import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { checkPeers } from '../../../../src/appliance/doctor/check-peers.ts'
import { parseConfig } from '../../../../src/config/load.ts'
import type { Peer } from '../../../../src/ipfs/node/peer.ts'

function peer(name: string, direction: Peer['direction'], limited = false): Peer {
  return { peer: name, address: '/ip4/192.0.2.1/tcp/4001', direction, limited, sent: 0, received: 0 }
}

describe('the check of peers', () => {
  it('tells how many there are, and whether one of them came from outside', () => {
    const [open, lan, offline] = ['public', 'lan', 'offline'].map(network => parseConfig({ network }))
    const cases: [Parameters<typeof checkPeers>, string, RegExp][] = [
      [[offline!, []], 'ok', /^network offline/],
      [[open!, undefined], 'ok', /a running server would tell/],
      [[open!, []], 'warning', /connected to no peer/],
      [[open!, [peer('a', 'outbound'), peer('a', 'outbound')]], 'warning', /^network public: 1 connected, but none/],
      [[open!, [peer('a', 'outbound'), peer('b', 'inbound', true)]], 'warning', /2 connected, but none/],
      [[open!, [peer('a', 'outbound'), peer('b', 'inbound')]], 'ok', /2 connected; others reach this node/],
      [[lan!, [peer('a', 'outbound')]], 'ok', /1 connected; none of them connected/],
    ]
    for (const [args, outcome, found] of cases) {
      const finding = checkPeers(...args)
      assert.deepEqual([finding.outcome, found.test(finding.found)], [outcome, true], finding.found)
    }
  })
})
