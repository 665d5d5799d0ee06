import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { addVia, hasVia } from '../../../src/oci/via.ts'

describe('Via', () => {
  it('gets the registry after those that were there', () => {
    assert.equal(addVia(undefined, 'ipdr-1'), '1.1 ipdr-1 (ipdr)')
    assert.equal(addVia(' ', 'ipdr-1'), '1.1 ipdr-1 (ipdr)')
    assert.equal(addVia('1.1 proxy, 2.0 other:80', 'ipdr-1'), '1.1 proxy, 2.0 other:80, 1.1 ipdr-1 (ipdr)')
  })

  it('tells whether a registry is among them', () => {
    const via = addVia(addVia('HTTP/1.1 ipdr-0 (a, ipdr-9 b)', 'ipdr-1'), 'ipdr-2')
    assert.deepEqual(
      ['ipdr-0', 'ipdr-1', 'ipdr-2', 'ipdr-3', 'ipdr', '1.1', '(ipdr)'].map(id => hasVia(via, id)),
      [true, true, true, false, false, false, false],
    )
  })
})
