import assert from 'node:assert/strict'
import { afterEach, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { BodyMemory, type BodyMemoryInit, type HeldBody } from '../../../../src/http/bodies/body-memory.ts'

const kibibyte = 1024
const [alice, bob, carol] = ['192.0.2.1', '192.0.2.2', '192.0.2.3'] as const
const [ofOne, ofAll] = [
  { name: 'OciError', code: 'TOOMANYREQUESTS', status: 429 },
  { name: 'OciError', code: 'UNAVAILABLE', status: 503 },
]

const open: HeldBody[] = []

afterEach(() => {
  open.splice(0).forEach(body => {
    body[Symbol.dispose]()
  })
})

function make(init: Partial<BodyMemoryInit> = {}): {
  memory: BodyMemory
  body: (client: string, length?: number) => HeldBody
} {
  const memory = new BodyMemory({ max: 1000 * kibibyte, maxPerClient: 400 * kibibyte, patience: 1500, ...init })
  return {
    memory,
    body: (client, length) => {
      const body = memory.open(client, length)
      open.push(body)
      return body
    },
  }
}

describe('memory of bodies', () => {
  it('is counted, and given back once', async () => {
    const { memory, body } = make()
    const [one, other] = [body(alice), body(bob)]
    await one.take(10, true)
    await one.take(5, true)
    await other.take(7, true)
    assert.equal(memory.total, 22)
    one[Symbol.dispose]()
    one[Symbol.dispose]()
    assert.equal(memory.total, 7)
    other[Symbol.dispose]()
    assert.equal(memory.total, 0)
  })

  it('is shared by client: who has all of its share takes none of that of others', async () => {
    const { memory, body } = make()
    const [greedy, next] = [body(alice), body(alice)]
    await greedy.take(400 * kibibyte, false)
    await assert.rejects(next.take(1, false), { ...ofOne, headers: { 'Retry-After': '5', Connection: 'close' } })
    await body(bob).take(400 * kibibyte, false)
    assert.equal(greedy.lost.aborted, false)
    assert.equal(memory.total, 800 * kibibyte)
  })

  it('goes to a small body at once, at the cost of whoever holds the most', async () => {
    const { memory, body } = make()
    const [most, less, little] = [body(alice), body(bob), body(carol)]
    await most.take(400 * kibibyte, false)
    await less.take(300 * kibibyte, false)
    await little.take(300 * kibibyte, false)
    const small = body('192.0.2.4')
    await small.take(5 * kibibyte, false)
    assert.deepEqual(
      [most, less, little, small].map(({ lost }) => lost.aborted),
      [true, false, false, false],
    )
    assert.equal((most.lost.reason as { code: string }).code, 'UNAVAILABLE')
    assert.equal(memory.total, 605 * kibibyte)
    await assert.rejects(most.take(1, false), ofAll)
  })

  it('does not go to the first bytes of a body that its client says is large', async () => {
    const { body } = make({ max: 100 * kibibyte, maxPerClient: 0 })
    const most = body(alice)
    await most.take(100 * kibibyte, false)
    await assert.rejects(body(bob, 65 * kibibyte).take(1, false), ofAll)
    assert.equal(most.lost.aborted, false)
    await body(bob, 64 * kibibyte).take(1, false)
    assert.equal(most.lost.aborted, true)
  })

  it('does not go to a large body that just came, nor to one that would hold more', async () => {
    const { body } = make()
    const others = [body(alice), body(bob), body(carol)]
    for (const other of others) {
      await other.take(333 * kibibyte, false)
    }
    await assert.rejects(body('192.0.2.4').take(100 * kibibyte, false), ofAll)
    await assert.rejects(body('192.0.2.4').take(340 * kibibyte, false), ofAll)
    assert.ok(others.every(({ lost }) => !lost.aborted))
  })

  it('goes from a body that is late to one that needs less, of the same client too', async () => {
    const { body } = make()
    const late = body(alice)
    await late.take(400 * kibibyte, false)
    const next = body(alice)
    const began = performance.now()
    await next.take(100 * kibibyte, true)
    assert.ok(performance.now() - began > 500, 'it was let come for a while')
    assert.equal((late.lost.reason as { code: string }).code, 'TOOMANYREQUESTS')
    await assert.rejects(body(alice).take(350 * kibibyte, true), ofOne)
    assert.equal(next.lost.aborted, false)
  })

  it('stays with a body that is whole', async () => {
    const { body } = make({ max: 400 * kibibyte })
    const whole = body(alice)
    await whole.take(400 * kibibyte, false)
    whole.isWhole = true
    await assert.rejects(body(bob).take(1, true), ofAll)
    assert.equal(whole.lost.aborted, false)
  })

  it('is waited for, and who needs less than there is goes ahead', async () => {
    const { body } = make({ max: 100 * kibibyte, maxPerClient: 0 })
    const [first, second] = [body(alice), body(bob)]
    await first.take(60 * kibibyte, true)
    await second.take(40 * kibibyte, true)
    first.isWhole = true
    second.isWhole = true
    const order: string[] = []
    const large = body(carol)
      .take(90 * kibibyte, true)
      .then(() => {
        order.push('large')
      })
    const small = body('192.0.2.4')
      .take(10 * kibibyte, true)
      .then(() => {
        order.push('small')
      })
    await sleep(20)
    assert.deepEqual(order, [])
    second[Symbol.dispose]()
    await small
    assert.deepEqual(order, ['small'])
    first[Symbol.dispose]()
    await large
  })

  it('is refused to who waits too long, and to too many who wait', async () => {
    const { body } = make({ max: 100, patience: 300 })
    const whole = body(alice)
    await whole.take(100, false)
    whole.isWhole = true
    const waiting = await Promise.allSettled(
      Array.from({ length: 100 }, async () => {
        const began = performance.now()
        await body(bob)
          .take(1, true)
          .catch(() => {})
        return performance.now() - began
      }),
    )
    const times = waiting.map(result => (result.status === 'fulfilled' ? result.value : NaN))
    assert.equal(times.filter(time => time > 250).length, 32)
    assert.ok(times.every(time => time < 1000))
  })

  it('of any number of whole bodies is enough in time', async () => {
    const { memory, body } = make()
    await Promise.all(
      Array.from({ length: 30 }, async () => {
        using one = body(alice)
        await one.take(50 * kibibyte, true)
        one.isWhole = true
        await sleep(5)
      }),
    )
    assert.equal(memory.total, 0)
  })

  it('has no limit where there is none', async () => {
    const { body } = make({ max: 0, maxPerClient: 0 })
    await body(alice).take(2 ** 40, false)
    await body(alice).take(2 ** 40, false)
  })
})
