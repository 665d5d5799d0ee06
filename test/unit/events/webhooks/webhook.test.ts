import assert from 'node:assert/strict'
import type { ServerResponse } from 'node:http'
import { afterEach, beforeEach, describe, it } from 'node:test'
import fc from 'fast-check'
import { EventIds } from '../../../../src/events/event-id.ts'
import type { RegistryEvent } from '../../../../src/events/formats/registry-event.ts'
import { Webhook, type WebhookInit } from '../../../../src/events/webhooks/webhook.ts'
import { Webhooks } from '../../../../src/events/webhooks/webhooks.ts'
import type { LevelIndex } from '../../../../src/index/level-index.ts'
import { Metrics } from '../../../../src/metrics.ts'
import { temporaryIndex } from '../../../fixtures/event-index.ts'
import { type FakeServer, fakeServer, type SeenRequest } from '../../../fixtures/fake-server.ts'
import { recordingLog } from '../../../fixtures/recording-log.ts'
import { until } from '../../../fixtures/until.ts'

const kinds = new Set(['push', 'pull'] as const)
const backoff = { first: 1, max: 20 }

let stores: Awaited<ReturnType<typeof temporaryIndex>>
let index: LevelIndex
let receiver: FakeServer
let answer: (request: SeenRequest, res: ServerResponse) => unknown
let log: ReturnType<typeof recordingLog>
let metrics: Metrics
let webhooks: Webhooks
const ids = new EventIds()

beforeEach(async () => {
  stores = await temporaryIndex()
  index = stores.index
  answer = (_request, res) => res.end()
  receiver = await fakeServer((request, res) => answer(request, res))
  log = recordingLog()
  metrics = new Metrics()
  webhooks = started({})
  await webhooks.start()
})

afterEach(async () => {
  await webhooks.stop()
  await receiver[Symbol.asyncDispose]()
  await stores[Symbol.asyncDispose]()
})

function started(init: Partial<WebhookInit>): Webhooks {
  const write = ({ tag, id }: RegistryEvent) => ({ type: 'text/plain', body: tag ?? id })
  const webhook = new Webhook(
    { index, log, metrics, write },
    {
      name: 'ci',
      url: new URL(`${receiver.url}/?token=geheim`),
      kinds,
      matches: () => true,
      secret: undefined,
      ca: undefined,
      timeout: 5000,
      queue: 100,
      backoff,
      ...init,
    },
  )
  return new Webhooks({ index, webhooks: new Map([['ci', webhook]]) })
}

/** Starts one that is configured otherwise */
async function restart(init: Partial<WebhookInit> = {}): Promise<void> {
  await webhooks.stop()
  webhooks = started(init)
  await webhooks.start()
}

async function add(tags: readonly string[], kind: 'push' | 'pull' = 'push'): Promise<RegistryEvent[]> {
  const events = tags.map(tag => ({ id: ids.next(), kind, time: '', repository: 'a', tag }))
  const change = index.change()
  for (const { id, ...record } of events) {
    change.putEvent(id, record)
  }
  const added = webhooks.add(change, events)
  await change.commit({ durable: false })
  added()
  return events
}

const bodies = (): string[] => receiver.requests.map(({ body }) => body)
const names = (count: number, from = 0): string[] => Array.from({ length: count }, (_, i) => `t${from + i}`)

async function idle(): Promise<void> {
  await until('nothing waits', () => webhooks.states()[0]!.waiting === 0)
}

async function counted(name: string): Promise<number> {
  const line = (await metrics.text()).split('\n').find(text => text.startsWith(`ipdr_webhook_${name}{webhook="ci"}`))
  return Number(line?.split(' ')[1] ?? 0)
}

describe('a webhook', () => {
  it('gets each event once, in order, while the receiver takes them', async () => {
    await add(names(20))
    await add(names(20, 20))
    await idle()
    assert.deepEqual(bodies(), names(40))
    assert.equal(await counted('delivered_events_total'), 40)
  })

  it('gets every event at least once and in order, however the receiver fails', async () => {
    const failures = fc.constantFrom('status', 'reset', 'redirect', 'none', 'lost')
    await fc.assert(
      fc.asyncProperty(fc.array(failures, { maxLength: 20 }), fc.integer({ min: 1, max: 8 }), async (plan, count) => {
        receiver.requests.length = 0
        const taken: string[] = []
        const planned = [...plan]
        answer = ({ body }, res) => {
          const failure = planned.shift() ?? 'none'
          if (failure === 'none' || failure === 'lost') {
            taken.push(body)
          }
          if (failure === 'reset' || failure === 'lost') {
            res.destroy()
          } else if (failure === 'redirect') {
            res.writeHead(307, { Location: `${receiver.url}/elsewhere` }).end()
          } else {
            res.writeHead(failure === 'none' ? 204 : 503).end()
          }
        }
        const tags = names(count)
        await add(tags)
        await idle()
        // what was taken without an answer comes again at once, and not later
        assert.deepEqual(
          taken.filter((tag, i) => tag !== taken[i - 1]),
          tags,
        )
        assert.ok(receiver.requests.every(({ url }) => !url.includes('elsewhere')))
      }),
      { numRuns: 25 },
    )
  })

  it('goes on after a restart with what waited', async () => {
    answer = (_request, res) => res.writeHead(500).end()
    await add(names(3))
    await until('an attempt', () => receiver.requests.length > 0)
    await webhooks.stop()
    receiver.requests.length = 0
    answer = (_request, res) => res.end()
    webhooks = started({})
    await webhooks.start()
    assert.equal(webhooks.states()[0]!.waiting, 3)
    await add(['t3'])
    await idle()
    assert.deepEqual(bodies(), names(4))
  })

  it('loses the oldest events beyond its queue, with a line in the log and a metric', async () => {
    await restart({ queue: 10 })
    answer = (_request, res) => res.writeHead(500).end()
    await add(names(25))
    await until('dropped', () => webhooks.states()[0]!.waiting === 10)
    assert.equal(await counted('dropped_events_total'), 15)
    assert.ok(log.lines.some(({ message }) => message.includes('queue of a webhook is full')))
    receiver.requests.length = 0
    answer = (_request, res) => res.end()
    await idle()
    assert.deepEqual([...new Set(bodies())].slice(-10), names(10, 15))
    assert.deepEqual(await Array.fromAsync(index.allWaitingEvents()), [])
  })

  it('keeps half of its queue free of pulls', async () => {
    await restart({ queue: 10 })
    answer = (_request, res) => res.writeHead(500).end()
    for (const tag of names(20)) {
      await add([tag], 'pull')
    }
    assert.equal(webhooks.states()[0]!.waiting, 6)
    await add(['v1'], 'push')
    assert.equal(webhooks.states()[0]!.waiting, 7)
    assert.equal(await counted('dropped_events_total'), 14)
  })

  it('passes over an event that is refused again and again, and over no other', async () => {
    answer = ({ body }, res) => res.writeHead(body === 't1' ? 400 : 200).end()
    await add(names(3))
    await idle()
    assert.deepEqual(bodies(), ['t0', ...Array.from({ length: 10 }, () => 't1'), 't2'])
    assert.equal(await counted('dropped_events_total'), 1)
    assert.equal(await counted('failed_attempts_total'), 10)
  })

  it('is not held up by an answer without an end, nor by a receiver that is silent', async () => {
    await restart({ timeout: 300 })
    // nothing, as much as there can be, as slowly as can be
    const sizes = [0, 100_000, 1]
    answer = (_request, res) => {
      const size = sizes.shift()
      if (size === undefined) {
        res.end()
        return
      }
      if (size === 0) {
        return
      }
      res.writeHead(200)
      const timer = setInterval(() => res.write('x'.repeat(size)), 20)
      res.on('close', () => {
        clearInterval(timer)
      })
    }
    await add(names(3))
    await idle()
    assert.deepEqual(bodies(), ['t0', 't0', 't1', 't2'])
  })

  it('stops at once while a request or a pause is under way', async () => {
    answer = () => {}
    await add(['t0'])
    await until('a request', () => receiver.requests.length === 1)
    const began = performance.now()
    await webhooks.stop()
    assert.ok(performance.now() - began < 1000)
    webhooks = started({ backoff: { first: 60_000, max: 60_000 } })
    answer = (_request, res) => res.writeHead(500).end()
    await webhooks.start()
    await until('a failure', () => webhooks.states()[0]!.failing)
    await webhooks.stop()
    assert.ok(performance.now() - began < 2000)
  })

  it('waits longer after each failure, up to a limit, and as long as the receiver asks', async () => {
    await restart({ backoff: { first: 40, max: 200 } })
    const times: number[] = []
    answer = (_request, res) => {
      times.push(performance.now())
      res.writeHead(times.length < 6 ? 503 : 200, times.length === 1 ? { 'Retry-After': '3600' } : {}).end()
    }
    await add(['t0'])
    await idle()
    const waits = times.slice(1).map((time, i) => time - times[i]!)
    // the first as asked for, but no longer than the limit; then 80, 160, and the limit, give or take a quarter
    assert.ok(waits[0]! > 190, `${waits}`)
    assert.ok(waits[1]! > 55 && waits[2]! > 115 && waits[4]! > 140, `${waits}`)
    assert.ok(
      waits.every(wait => wait < 2000),
      `${waits}`,
    )
  })

  it('gets an event again that was sent before, and none twice that still waits', async () => {
    const [one] = await add(names(2))
    await idle()
    assert.equal(await webhooks.resend([one!.id, one!.id], undefined), 1)
    await idle()
    assert.deepEqual(bodies(), ['t0', 't1', 't0'])
    answer = (_request, res) => res.writeHead(500).end()
    const [two] = await add(['t2'])
    await webhooks.resend([two!.id], 'ci')
    assert.equal(webhooks.states()[0]!.waiting, 1)
    answer = (_request, res) => res.end()
    await idle()
    await add(['t3'])
    await idle()
    assert.deepEqual(bodies().slice(-1), ['t3'])
  })

  it('tells the log of a failure once, and of its end, without the URL', async () => {
    let failures = 5
    answer = (_request, res) => res.writeHead(failures-- > 0 ? 503 : 200).end()
    await add(['t0'])
    await idle()
    const lines = log.lines.filter(({ level }) => level !== 'debug')
    assert.deepEqual(
      lines.map(({ level, message }) => [level, message]),
      [
        ['warn', 'a webhook fails; its events wait'],
        ['info', 'a webhook takes events again'],
      ],
    )
    assert.deepEqual([lines[0]!.fields['webhook'], lines[0]!.fields['reason']], ['ci', 'status 503'])
    assert.doesNotMatch(JSON.stringify(log.lines), /geheim|127\.0\.0\.1/)
  })
})

describe('webhooks', () => {
  it('that are no longer configured leave nothing behind', async () => {
    await index.change().putWaitingEvent('old', ids.next()).commit({ durable: false })
    await restart()
    assert.deepEqual(await Array.fromAsync(index.allWaitingEvents()), [])
  })
})
