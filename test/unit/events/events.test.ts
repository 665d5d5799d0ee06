import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import fc from 'fast-check'
import { EventIds } from '../../../src/events/event-id.ts'
import { Events, type Listening } from '../../../src/events/events.ts'
import type { RegistryEvent } from '../../../src/events/formats/registry-event.ts'
import { StoredEventLog } from '../../../src/events/stored-event-log.ts'
import type { EventRecord } from '../../../src/index/events.ts'
import type { IndexChange } from '../../../src/index/index.ts'
import type { LevelIndex } from '../../../src/index/level-index.ts'
import type { EventKind } from '../../../src/registry/event-sink.ts'
import { temporaryIndex } from '../../fixtures/event-index.ts'
import { recordingLog } from '../../fixtures/recording-log.ts'
import { until } from '../../fixtures/until.ts'

const all = { limit: -1, last: undefined }
const every: EventKind[] = ['push', 'pull', 'delete', 'tag', 'policy', 'quota', 'repair']
const noWebhooks = {
  start: async () => {},
  stop: async () => {},
  add: () => () => {},
  isWaiting: async () => false,
  resend: async () => 0,
}

let stores: Awaited<ReturnType<typeof temporaryIndex>>
let index: LevelIndex

beforeEach(async () => {
  stores = await temporaryIndex()
  index = stores.index
})

afterEach(async () => {
  await stores[Symbol.asyncDispose]()
})

function inMemory(kinds: EventKind[] = []): Events {
  return new Events({ index, log: recordingLog() }, { kinds: new Set(kinds), source: '//test' })
}

async function storedEvents(history = 1000): Promise<Events> {
  const log = recordingLog()
  const stored = { log: new StoredEventLog({ index, webhooks: noWebhooks, log }, { history }), states: () => [] }
  const events = new Events({ index, stored, log }, { kinds: new Set(every), source: '//test' })
  await events.start()
  return events
}

async function push(events: Events, tag: string): Promise<void> {
  await events.commit(index.change(), () => [{ kind: 'push', repository: 'a', tag }])
}

async function take(listening: Listening, count: number): Promise<RegistryEvent[]> {
  const taken: RegistryEvent[] = []
  for await (const event of listening) {
    taken.push(event)
    if (taken.length === count) {
      break
    }
  }
  return taken
}

const tagsOf = (events: readonly EventRecord[]): unknown[] => events.map(({ tag }) => tag)
const never = new AbortController().signal

describe('events', () => {
  it('are not even described where nobody wants them', async () => {
    const events = inMemory()
    await events.commit(index.change().putRepository('a'), () => assert.fail('described'))
    events.raise({ kind: 'pull' })
    assert.equal(events.wants('pull'), false)
    assert.equal(await index.hasRepository('a'), true)
  })

  it('are told to who listens, and only while he does', async () => {
    const events = inMemory()
    const listening = await events.listen({ live: true, signal: never })
    assert.equal(events.wants('pull'), true)
    await push(events, 'v1')
    events.raise({ kind: 'pull', tag: 'v1' })
    await push(events, 'v2')
    assert.deepEqual(tagsOf(await take(listening, 3)), ['v1', 'v1', 'v2'])
    listening[Symbol.dispose]()
    assert.equal(events.wants('pull'), false)
    assert.deepEqual(await Array.fromAsync(index.events(all)), [])
  })

  it('are gone with the last who listened, as what came after him was not seen', async () => {
    const events = inMemory()
    const first = await events.listen({ live: true, signal: never })
    await push(events, 'v1')
    const [event] = await take(first, 1)
    first[Symbol.dispose]()
    await assert.rejects(events.listen({ live: true, since: event!.id, signal: never }), { code: 'REQUEST_INVALID' })
    using second = await events.listen({ live: true, signal: never })
    await push(events, 'v2')
    assert.deepEqual(tagsOf(await take(second, 1)), ['v2'])
  })

  it('are told from one of the history on, over a restart', async () => {
    const events = await storedEvents()
    for (const tag of ['v1', 'v2', 'v3']) {
      await push(events, tag)
    }
    const [one] = await Array.fromAsync(index.events(all))
    await events.stop()
    const again = await storedEvents()
    using listening = await again.listen({ live: true, since: one!.id, signal: never })
    await push(again, 'v4')
    const told = await take(listening, 3)
    assert.deepEqual(tagsOf(told), ['v2', 'v3', 'v4'])
    assert.deepEqual(
      told.map(({ id }) => id).toSorted(),
      told.map(({ id }) => id),
    )
    using ended = await again.listen({ live: false, signal: never })
    assert.deepEqual(tagsOf(await Array.fromAsync(ended)), ['v1', 'v2', 'v3', 'v4'])
    await again.stop()
  })

  it('are written with the change, or not at all', async () => {
    const events = await storedEvents()
    await push(events, 'v1')
    const failing = Object.assign(index.change(), { commit: async () => assert.fail('full') }) as IndexChange
    await assert.rejects(
      events.commit(failing, () => [{ kind: 'push', repository: 'a', tag: 'v2' }]),
      /full/,
    )
    await push(events, 'v3')
    using listening = await events.listen({ live: false, signal: never })
    assert.deepEqual(tagsOf(await Array.fromAsync(listening)), ['v1', 'v3'])
    await events.stop()
  })

  it('come after those of an earlier run, also where the clock was set back', async () => {
    const earlier = new EventIds().next(Date.now() + 3_600_000)
    await index.change().putEvent(earlier, { kind: 'push', time: '', tag: 'v1' }).commit({ durable: false })
    const events = await storedEvents()
    using listening = await events.listen({ live: true, since: earlier, signal: never })
    await push(events, 'v2')
    assert.deepEqual(tagsOf(await take(listening, 1)), ['v2'])
    await events.stop()
  })

  it('are as durable as the change', async () => {
    const events = await storedEvents()
    const asked: unknown[] = []
    const noting = Object.assign(index.change(), { commit: async (options: unknown) => asked.push(options) })
    await events.commit(noting as unknown as IndexChange, () => [{ kind: 'push' }])
    assert.deepEqual(asked, [{ durable: true }])
    await events.stop()
  })

  it('that come with no change are kept when the server stops', async () => {
    const events = await storedEvents()
    events.raise({ kind: 'pull', tag: 'v1' })
    await events.stop()
    assert.deepEqual(
      (await Array.fromAsync(index.events(all))).map(({ record }) => record.tag),
      ['v1'],
    )
  })

  it('are kept as many as the history says', async () => {
    const events = await storedEvents(100)
    for (let i = 0; i < 1000; i++) {
      events.raise({ kind: 'pull', tag: String(i) })
      if (i % 100 === 99) {
        await push(events, 'v')
      }
    }
    const kept = await until('the rest is deleted', async () => {
      const found = await Array.fromAsync(index.events(all))
      return found.length <= 100 + 256 && found
    })
    assert.equal(kept.at(-1)!.record.tag, 'v')
    assert.ok(kept.length >= 100)
    await events.stop()
  })

  it('end for who listens when the server stops, or he goes', async () => {
    const events = inMemory()
    const controller = new AbortController()
    const [one, two] = [
      await events.listen({ live: true, signal: controller.signal }),
      await events.listen({ live: true, signal: never }),
    ]
    const ended = Promise.all([Array.fromAsync(one), Array.fromAsync(two)])
    controller.abort()
    events.endListening()
    assert.deepEqual(await ended, [[], []])
  })

  it('have a limited number of listeners', async () => {
    const events = inMemory()
    const listening = []
    for (let i = 0; i < 100; i++) {
      listening.push(await events.listen({ live: true, signal: never }))
    }
    await assert.rejects(events.listen({ live: true, signal: never }), { code: 'TOOMANYREQUESTS' })
    listening[0]![Symbol.dispose]()
    await events.listen({ live: true, signal: never })
  })

  it('end for a listener who is so slow that some are lost, instead of leaving them out', async () => {
    const events = inMemory()
    using listening = await events.listen({ live: true, signal: never })
    const iterator = listening[Symbol.asyncIterator]()
    await push(events, 'v')
    assert.equal((await iterator.next()).value?.tag, 'v')
    for (let i = 0; i < 1200; i++) {
      await push(events, String(i))
    }
    await assert.rejects(
      async () => {
        for (let i = 0; i < 1200; i++) {
          await iterator.next()
        }
      },
      { code: 'UNAVAILABLE' },
    )
  })

  it('are told in one order, whatever order the changes are made in', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.record({ delay: fc.integer({ min: 0, max: 5 }), fails: fc.boolean() }), { maxLength: 20 }),
        async steps => {
          const events = inMemory()
          using listening = await events.listen({ live: true, signal: never })
          const changes = steps.map(async ({ delay, fails }, i) => {
            const change = {
              commit: async () => {
                await sleep(delay)
                if (fails) {
                  throw new Error('full')
                }
              },
            } as unknown as IndexChange
            await events.commit(change, () => [{ kind: 'push', tag: String(i) }]).catch(() => {})
          })
          await Promise.all(changes)
          const expected = steps.flatMap(({ fails }, i) => (fails ? [] : [String(i)]))
          await push(events, 'end')
          assert.deepEqual(tagsOf(await take(listening, expected.length + 1)), [...expected, 'end'])
        },
      ),
      { numRuns: 30 },
    )
  })
})
