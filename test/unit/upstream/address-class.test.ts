import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { classOf, mayReferTo, type AddressClass } from '../../../src/upstream/address-class.ts'

describe('an address', () => {
  const table: Record<AddressClass, string[]> = {
    loopback: [
      '127.0.0.1',
      '127.9.9.9',
      '0.0.0.0',
      '::1',
      '::',
      '::ffff:127.0.0.1',
      '::ffff:7f00:1',
      '64:ff9b::7f00:1',
    ],
    linkLocal: ['169.254.169.254', 'fe80::1', 'fe80::1%eth0', '224.0.0.1', '255.255.255.255', 'ff02::1'],
    private: [
      '10.0.0.1',
      '172.16.0.1',
      '172.31.255.255',
      '192.168.1.1',
      '100.64.0.1',
      'fd00::1',
      '::ffff:10.0.0.1',
      '2002:0a00:0001::1',
    ],
    public: ['192.0.2.1', '8.8.8.8', '172.32.0.1', '2606:4700::1', '::ffff:8.8.8.8', '2002:0808:0808::1'],
  }
  for (const [name, addresses] of Object.entries(table)) {
    for (const address of addresses) {
      it(`${address} is ${name}`, () => assert.equal(classOf(address), name))
    }
  }

  it('is referred to from one that is as near', () => {
    const classes: AddressClass[] = ['public', 'private', 'linkLocal', 'loopback']
    const allowed = (own: AddressClass | undefined): AddressClass[] => classes.filter(target => mayReferTo(target, own))
    assert.deepEqual(allowed(undefined), ['public'])
    assert.deepEqual(allowed('public'), ['public'])
    assert.deepEqual(allowed('private'), ['public', 'private'])
    assert.deepEqual(allowed('linkLocal'), ['public', 'linkLocal'])
    assert.deepEqual(allowed('loopback'), ['public', 'private', 'loopback'])
  })
})
