import assert from 'node:assert/strict'
import { BlockList, isIP } from 'node:net'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { Networks, parseNetwork } from '../../../../src/access/rules/networks.ts'

const v4 = fc.ipV4()
const v6 = fc.ipV6()
const network = fc.oneof(
  fc.tuple(v4, fc.integer({ min: 0, max: 32 })).map(([address, bits]) => `${address}/${bits}`),
  fc.tuple(v6, fc.integer({ min: 0, max: 128 })).map(([address, bits]) => `${address}/${bits}`),
)

function family(address: string): 'ipv4' | 'ipv6' {
  return isIP(address) === 4 ? 'ipv4' : 'ipv6'
}

describe('networks', () => {
  it('have the addresses that they have for Node', () => {
    fc.assert(
      fc.property(fc.array(network, { minLength: 1, maxLength: 20 }), fc.oneof(v4, v6), (texts, other) => {
        const networks = new Networks()
        texts.forEach(text => {
          networks.add(text, text)
        })
        for (const address of [other, ...texts.map(text => text.split('/')[0]!)]) {
          const expected = texts.filter(text => {
            const [start, bits] = text.split('/') as [string, string]
            const list = new BlockList()
            list.addSubnet(start, Number(bits), family(start))
            // Node also finds an IPv4 address in networks of IPv6 that hold all of IPv4
            return family(start) === family(address) && list.check(address, family(address))
          })
          // one that is written as IPv6 is taken for what it is
          if (!/^::ffff:\d+\./i.test(address)) {
            assert.deepEqual(networks.subjectsOf(address).sort(), expected.sort(), `${address} in ${texts.join()}`)
          }
        }
      }),
      { numRuns: 500 },
    )
  })

  it('know addresses in any notation', () => {
    const networks = new Networks()
    networks.add('10.0.0.0/8', 'four')
    networks.add('fd00::/8', 'six')
    networks.add('192.0.2.1', 'one')
    for (const [address, subjects] of [
      ['10.1.2.3', ['four']],
      ['::ffff:10.1.2.3', ['four']],
      ['::FFFF:10.1.2.3', ['four']],
      ['fd12:0:0:0::1', ['six']],
      ['fd00::1%eth0', ['six']],
      ['192.0.2.1', ['one']],
      ['192.0.2.2', []],
      ['11.0.0.0', []],
      ['', []],
      ['no address', []],
    ] as const) {
      assert.deepEqual(networks.subjectsOf(address), subjects, address)
    }
  })

  it('are refused where they are none', () => {
    for (const text of ['', '10.0.0.0/33', '::/129', '10.0.0/8', 'fe80::1%eth0', 'a/8', '10.0.0.0/x']) {
      assert.throws(() => parseNetwork(text), RangeError, text)
    }
  })
})
