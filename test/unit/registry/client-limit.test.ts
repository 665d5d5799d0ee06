import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { ClientLimit } from '../../../src/registry/client-limit.ts'
import { clientKey } from '../../../src/scheduling/client-key.ts'

describe('client slots', () => {
  it('are so many for each client and in all, and are given back once', () => {
    const slots = new ClientLimit({ what: 'things', max: 3, maxPerClient: 2 })
    const [one] = [slots.take('192.0.2.1'), slots.take('192.0.2.1')]
    assert.throws(() => slots.take('192.0.2.1'), {
      code: 'TOOMANYREQUESTS',
      status: 429,
      headers: { 'Retry-After': '5' },
    })
    assert.throws(() => slots.take('::ffff:192.0.2.1'), { code: 'TOOMANYREQUESTS' })
    const other = slots.take('192.0.2.2')
    assert.throws(() => slots.take('192.0.2.2'), { code: 'UNAVAILABLE', status: 503, headers: { 'Retry-After': '5' } })
    assert.throws(() => slots.take(undefined), { code: 'UNAVAILABLE' })
    other[Symbol.dispose]()
    other[Symbol.dispose]()
    assert.equal(slots.total, 2)
    one[Symbol.dispose]()
    slots.take('192.0.2.1')
    assert.throws(() => slots.take('192.0.2.1'), { code: 'TOOMANYREQUESTS' })
  })

  it('are as many as anybody likes where the limit is 0', () => {
    const slots = new ClientLimit({ what: 'things', max: 0, maxPerClient: 0 })
    Array.from({ length: 1000 }, () => slots.take('192.0.2.1'))
    assert.equal(slots.total, 1000)
  })
})

describe('a client', () => {
  for (const [address, key] of [
    ['192.0.2.1', '192.0.2.1'],
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['2001:db8:0:1:2:3:4:5', '2001:db8:0:1'],
    ['2001:db8:0:1::', '2001:db8:0:1'],
    ['2001:db8::1', '2001:db8:0:0'],
    ['::1', '0:0:0:0'],
    ['::', '0:0:0:0'],
    ['fe80::1%eth0', 'fe80:0:0:0'],
    ['2001:0db8:0000:0001::9', '2001:db8:0:1'],
  ] as const) {
    it(`at ${address} is ${key}`, () => assert.equal(clientKey(address), key))
  }
})
