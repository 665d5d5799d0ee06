import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { RecentFailures } from '../../../../src/access/audit/recent-failures.ts'

describe('the recent failures', () => {
  it('are counted where they are the same, the latest first, and bounded', () => {
    const failures = new RecentFailures()
    const failure = { user: 'alice', address: '192.0.2.1', reason: 'wrong' }
    failures.add(failure)
    failures.add({ ...failure, user: undefined })
    failures.add(failure)
    assert.deepEqual(
      failures.list().map(({ count, user }) => [user, count]),
      [
        ['alice', 2],
        [undefined, 1],
      ],
    )
    for (let i = 0; i < 500; i++) {
      failures.add({ ...failure, address: `192.0.2.${i}`, reason: 'x'.repeat(10_000) })
    }
    const list = failures.list()
    assert.equal(list.length, 200)
    assert.equal(list[0]!.address, '192.0.2.499')
    assert.ok(JSON.stringify(list).length < 100_000)
  })
})
