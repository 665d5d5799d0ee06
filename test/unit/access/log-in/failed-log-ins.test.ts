import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { FailedLogIns } from '../../../../src/access/log-in/failed-log-ins.ts'

function fail(
  failures: FailedLogIns,
  count: number,
  user: (i: number) => string,
  address: (i: number) => string,
): void {
  for (let i = 0; i < count; i++) {
    failures.add(user(i), address(i))
  }
}

describe('failed log-ins', () => {
  it('of a user from one address make the next one wait for the rest of a minute', () => {
    const failures = new FailedLogIns()
    fail(
      failures,
      19,
      () => 'a',
      () => '192.0.2.1',
    )
    assert.equal(failures.wait('a', '192.0.2.1'), 0)
    failures.add('a', '192.0.2.1')
    const wait = failures.wait('a', '192.0.2.1')
    assert.ok(wait > 50_000 && wait <= 60_000)
    assert.equal(failures.wait('b', '192.0.2.1'), 0)
    assert.equal(failures.wait('a', '192.0.2.2'), 0)
  })

  it('of any users count for their address, of IPv6 for its /64', () => {
    const failures = new FailedLogIns()
    fail(
      failures,
      200,
      i => `user ${i}`,
      i => `2001:db8::${i.toString(16)}`,
    )
    assert.ok(failures.wait('another', '2001:db8::ffff') > 0)
    assert.equal(failures.wait('another', '2001:db8:0:1::1'), 0)
  })

  it('are remembered of so many users and addresses, however long the names are', () => {
    const failures = new FailedLogIns()
    fail(
      failures,
      20,
      () => 'first',
      () => '192.0.2.1',
    )
    assert.ok(failures.wait('first', '192.0.2.1') > 0)
    const long = 'x'.repeat(10_000)
    const before = usedHeap()
    fail(
      failures,
      60_000,
      i => `${i}${long}`,
      i => `10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`,
    )
    assert.equal(failures.wait('first', '192.0.2.1'), 0)
    assert.ok(usedHeap() - before < 100 * 2 ** 20)
  })
})

/** Bytes, without garbage */
function usedHeap(): number {
  setFlagsFromString('--expose-gc')
  runInNewContext('gc')()
  return process.memoryUsage().heapUsed
}
