import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { LinkGuard } from '../../../src/registry/link-guard.ts'
import { sha256 } from '../../fixtures/images.ts'

const digest = sha256(Buffer.from('a'))
const hour = 3_600_000
const longAgo = new Date(Date.now() - 48 * hour).toISOString()

describe('the guard of links', () => {
  it('counts what nobody knows as asked for at the start', () => {
    const guard = new LinkGuard({ period: hour })
    assert.equal(guard.isForgotten(digest, longAgo), false)
    assert.equal(guard.isForgotten(digest, undefined), false)
    assert.equal(new LinkGuard({ period: 0 }).isForgotten(digest, longAgo), true)
  })

  it('leaves a link alone that was made or asked for within the period, were it at the last moment', async () => {
    let now = Date.now()
    const guard = new LinkGuard({ period: hour, now: () => now })
    now += hour
    assert.equal(guard.isForgotten(digest, longAgo), true)
    const remove = async (updated: string): Promise<boolean> =>
      await guard.removeLink(
        'r',
        digest,
        async () => ({ updated }),
        async () => {},
      )
    assert.equal(await remove(new Date(now - hour + 1).toISOString()), false)
    assert.equal(await remove(longAgo), true)
    for (const use of [
      () => {
        void guard.ask('r', digest)
      },
      async () => {
        await guard.add(digest, async () => {})
      },
    ]) {
      await use()
      now += hour - 1
      assert.equal(await remove(longAgo), false)
      now += hour
      assert.equal(await remove(longAgo), true)
    }
  })

  it('lets who asks wait for a deletion that is under way, and deletes nothing that was asked for', async () => {
    const guard = new LinkGuard({ period: 0 })
    const { promise, resolve } = Promise.withResolvers<void>()
    const began = Promise.withResolvers<void>()
    const removed = guard.removeLink(
      'r',
      digest,
      async () => ({ updated: longAgo }),
      async () => {
        began.resolve()
        await promise
      },
    )
    await began.promise
    assert.equal(guard.ask('other', digest), undefined)
    let waited = false
    const asked = guard.ask('r', digest)?.then(() => {
      waited = true
    })
    await new Promise(resolve => {
      setImmediate(resolve)
    })
    assert.equal(waited, false)
    resolve()
    assert.equal(await removed, true)
    await asked
    assert.equal(waited, true)
    assert.equal(guard.ask('r', digest), undefined)
    assert.equal(
      await guard.removeLink(
        'r',
        digest,
        async () => undefined,
        async () => {
          assert.fail('there was no link')
        },
      ),
      false,
    )
  })

  it('deletes no blob that got a link since the collection began, and waits for who links', async () => {
    const guard = new LinkGuard({ period: 0 })
    await guard.add(digest, async () => {})
    using collection = guard.beginCollection()
    assert.equal(await guard.removeBlob(digest, async () => {}), true)
    const steps: string[] = []
    await Promise.all([
      guard.add(digest, async () => {
        await new Promise(resolve => {
          setImmediate(resolve)
        })
        steps.push('linked')
      }),
      guard.removeBlob(digest, async () => {
        steps.push('deleted')
      }),
    ])
    assert.deepEqual(steps, ['linked'])
    collection[Symbol.dispose]()
    assert.equal(await guard.removeBlob(digest, async () => {}), true)
  })

  it('deletes no blob that was about to get a link when the collection began', async () => {
    const guard = new LinkGuard({ period: 0 })
    const { promise: written, resolve: goOn } = Promise.withResolvers<void>()
    const { promise: begun, resolve: begin } = Promise.withResolvers<void>()
    const added = guard.add(digest, async () => {
      begin()
      await written
    })
    await begun
    using _collection = guard.beginCollection()
    // here the collection looks for the link, and finds none
    const removed = guard.removeBlob(digest, async () => {
      assert.fail('it has a link')
    })
    goOn()
    await added
    assert.equal(await removed, false)
  })
})
