import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { setImmediate, setTimeout as sleep } from 'node:timers/promises'
import fc from 'fast-check'
import { KeyedLock } from '../../../src/scheduling/keyed-lock.ts'

describe('a lock by key', () => {
  it('runs the work of one key alone and in order, that of others meanwhile', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.scheduler(),
        fc.array(fc.constantFrom('a', 'b', 'c'), { maxLength: 12 }),
        async (scheduler, names) => {
          const lock = new KeyedLock()
          const running = new Set<string>()
          const ended: string[] = []
          const work = names.map(
            async (key, i) =>
              await lock.run(key, async () => {
                assert.ok(!running.has(key), `two at a time in ${key}`)
                running.add(key)
                await scheduler.schedule(Promise.resolve(), `${key}${i}`)
                running.delete(key)
                ended.push(`${key}${i}`)
                return i
              }),
          )
          await scheduler.waitFor(Promise.all(work))
          assert.deepEqual(
            await Promise.all(work),
            names.map((_, i) => i),
          )
          for (const key of ['a', 'b', 'c']) {
            assert.deepEqual(
              ended.filter(name => name.startsWith(key)),
              names.flatMap((name, i) => (name === key ? [`${key}${i}`] : [])),
            )
          }
        },
      ),
    )
  })

  it('goes on after work that failed', async () => {
    const lock = new KeyedLock()
    const failed = lock.run('a', async () => {
      throw new Error('failed')
    })
    const next = lock.run('a', async () => 'next')
    await assert.rejects(failed, { message: 'failed' })
    assert.equal(await next, 'next')
    await assert.rejects(
      lock.run('a', (() => {
        throw new Error('at once')
      }) as () => Promise<void>),
      { message: 'at once' },
    )
    assert.equal(await lock.run('a', async () => 'again'), 'again')
  })

  it('lets who waits give up, and no other get in before its turn', async () => {
    const lock = new KeyedLock()
    const { promise, resolve } = Promise.withResolvers<void>()
    const order: string[] = []
    const first = lock.run('a', async () => {
      await promise
      order.push('first')
    })
    const controller = new AbortController()
    const second = lock.run(
      'a',
      async () => {
        order.push('second')
      },
      { signal: controller.signal },
    )
    const third = lock.run('a', async () => {
      order.push('third')
    })
    await setImmediate()
    controller.abort()
    await assert.rejects(second, { name: 'AbortError' })
    await sleep(5)
    assert.deepEqual(order, [])
    resolve()
    await Promise.all([first, third])
    assert.deepEqual(order, ['first', 'third'])
  })

  it('does not begin for who gave up before', async () => {
    const lock = new KeyedLock()
    let began = false
    await assert.rejects(
      lock.run(
        'a',
        async () => {
          began = true
        },
        { signal: AbortSignal.abort() },
      ),
      { name: 'AbortError' },
    )
    assert.equal(began, false)
    assert.equal(await lock.run('a', async () => 1), 1)
  })

  it('does not stop work that has begun', async () => {
    const controller = new AbortController()
    const work = new KeyedLock().run('a', async () => await sleep(5, 'done'), { signal: controller.signal })
    await setImmediate()
    controller.abort()
    assert.equal(await work, 'done')
  })
})
