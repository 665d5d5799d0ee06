import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import type { CloudEvent } from '../../src/events/formats/cloud-event.ts'
import { TestAppliance } from '../fixtures/appliance.ts'
import { type FakeServer, fakeServer } from '../fixtures/fake-server.ts'
import { ociManifest, sha256 } from '../fixtures/images.ts'
import { emptyJson, imageManifest } from '../fixtures/manifests.ts'
import type { RegistryClient } from '../fixtures/registry-client.ts'
import { temporaryDirectory, type TemporaryDirectory } from '../fixtures/temporary.ts'
import { until } from '../fixtures/until.ts'

const key = Buffer.from('0123456789abcdef0123456789abcdef')
const one = imageManifest({ annotations: { number: '1' } })
const two = imageManifest({ annotations: { number: '2' } })

let directory: TemporaryDirectory
let receiver: FakeServer
let status = 200

beforeEach(async () => {
  status = 200
  directory = await temporaryDirectory('events')
  receiver = await fakeServer((_request, res) => res.writeHead(status).end('thanks'))
  await writeFile(join(directory.path, 'secret'), `whsec_${key.toString('base64')}\n`)
})

afterEach(async () => {
  await receiver[Symbol.asyncDispose]()
  await directory[Symbol.asyncDispose]()
})

async function start(webhook: Record<string, unknown> = {}): Promise<TestAppliance> {
  return await TestAppliance.start(join(directory.path, 'data'), {
    webhooks: { ci: { url: `${receiver.url}/hook?token=geheim`, ...webhook } },
  })
}

async function push(client: RegistryClient, repository: string, reference: string, bytes: Buffer): Promise<void> {
  assert.equal((await client.pushBlob(repository, emptyJson)).status, 201)
  assert.equal((await client.pushManifest(repository, reference, bytes)).status, 201)
}

/** Waits for so many, and returns what they tell */
async function told(count: number): Promise<CloudEvent[]> {
  return await until(`${count} events`, () => receiver.requests.length >= count && received())
}

function received(): CloudEvent[] {
  return receiver.requests.map(({ body }) => JSON.parse(body) as CloudEvent)
}

/** `<type> <subject>` of each */
function summary(events: readonly CloudEvent[]): string[] {
  return events.map(({ subject, type }) => `${type} ${subject}`)
}

describe('webhooks', () => {
  it('are told of pushes, moved tags, pulls and deletes, in that order', async () => {
    await using server = await start()
    const { client } = server
    await push(client, 'team/app', 'v1', one)
    await push(client, 'team/app', 'v1', two)
    for (const method of ['GET', 'HEAD']) {
      assert.equal((await client.request(method, '/v2/team/app/manifests/v1')).status, 200)
    }
    await client.request('DELETE', `/v2/team/app/manifests/${sha256(two)}`)
    const events = await told(7)
    assert.deepEqual(summary(events), [
      'ipdr.push team/app:v1',
      'ipdr.push team/app:v1',
      'ipdr.tag team/app:v1',
      'ipdr.pull team/app:v1',
      'ipdr.pull team/app:v1',
      'ipdr.delete team/app:v1',
      `ipdr.delete team/app@${sha256(two)}`,
    ])
    assert.deepEqual(
      events.map(({ id }) => id).toSorted(),
      events.map(({ id }) => id),
    )
    const { data } = events[2]!
    assert.deepEqual([data.digest, data.previous, data.mediaType], [sha256(two), sha256(one), ociManifest])
    assert.deepEqual(
      events.map(event => (event.data['request'] as { method: string }).method),
      ['PUT', 'PUT', 'PUT', 'GET', 'HEAD', 'DELETE', 'DELETE'],
    )
  })

  it('get requests that are signed as Standard Webhooks says', async () => {
    await using server = await start({ secret: join(directory.path, 'secret') })
    await push(server.client, 'team/app', 'v1', one)
    await told(1)
    const { body, headers } = receiver.requests[0]!
    const { 'webhook-id': id, 'webhook-signature': signature, 'webhook-timestamp': timestamp } = headers
    assert.equal(headers['content-type'], 'application/cloudevents+json')
    assert.equal(id, (JSON.parse(body) as CloudEvent).id)
    assert.ok(Math.abs(Date.now() / 1000 - Number(timestamp)) < 60)
    const expected = createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest('base64')
    assert.equal(signature, `v1,${expected}`)
  })

  it('get nothing of other repositories, or of other kinds', async () => {
    await using server = await start({ repositories: ['team/*'], events: ['push', 'delete'] })
    const { client } = server
    await push(client, 'other/app', 'v1', one)
    await push(client, 'team/app', 'v1', one)
    await client.request('GET', '/v2/team/app/manifests/v1')
    await push(client, 'team/app', 'v1', two)
    await client.request('DELETE', '/v2/team/app/manifests/v1')
    assert.deepEqual(summary(await told(3)), [
      'ipdr.push team/app:v1',
      'ipdr.push team/app:v1',
      'ipdr.delete team/app:v1',
    ])
  })

  it('get what waited for them, over a restart, and the log shows neither URL nor secret', async () => {
    status = 503
    await using server = await start()
    await push(server.client, 'team/app', 'v1', one)
    await push(server.client, 'team/app', 'v2', one)
    await told(1)
    const state = (await (await server.client.request('GET', '/ipdr/v1/webhooks')).json()) as {
      webhooks: [{ waiting: number; failing: { reason: string } }]
    }
    assert.deepEqual([state.webhooks[0].waiting, state.webhooks[0].failing.reason], [2, 'status 503'])
    const metrics = await server.client.metrics()
    assert.equal(metrics('ipdr_webhook_waiting_events{webhook="ci"}'), 2)
    assert.ok(metrics('ipdr_webhook_failed_attempts_total{webhook="ci"}') >= 1)
    await server[Symbol.asyncDispose]()
    assert.match(server.log, /a webhook fails/)
    assert.doesNotMatch(server.log, /geheim|hook\?/)
    status = 200
    receiver.requests.length = 0
    await using again = await start()
    assert.deepEqual(summary(await told(2)), ['ipdr.push team/app:v1', 'ipdr.push team/app:v2'])
    await until('delivered', async () => {
      return (await again.client.metrics())('ipdr_webhook_delivered_events_total{webhook="ci"}') === 2
    })
    assert.equal((await again.client.metrics())('ipdr_webhook_waiting_events{webhook="ci"}'), 0)
  })

  it('get events again that an operator names', async () => {
    await using server = await start()
    await push(server.client, 'team/app', 'v1', one)
    const [event] = await told(1)
    const resend = async (body: unknown): Promise<[number, unknown]> => {
      const headers = { 'Content-Type': 'application/json' }
      const init = { headers, body: JSON.stringify(body) }
      const response = await server.client.request('POST', '/ipdr/v1/events/resend', init)
      return [response.status, await response.json()]
    }
    assert.deepEqual(await resend({ ids: [event!.id] }), [200, { queued: 1 }])
    assert.equal((await told(2))[1]!.id, event!.id)
    const unknown = event!.id.replace(/.$/, last => (last === '0' ? '1' : '0'))
    for (const [body, reason] of [
      [{ ids: [unknown] }, /ids: event .* is not in the history/],
      [{ ids: [event!.id], webhook: 'other' }, /webhook: there is none of the name other/],
      [{ ids: ['x'] }, /ids must be a list/],
      [{ ids: [event!.id], webhook: 1 }, /webhook must be the name/],
    ] as const) {
      const [code, { error }] = (await resend(body)) as [number, { error: string }]
      assert.equal(code, 400)
      assert.match(error, reason)
    }
  })
})

describe('what a webhook is told', () => {
  it('in the format distribution, is one event in its envelope for each push, pull and delete', async () => {
    await using server = await start({ format: 'distribution' })
    const { client } = server
    await push(client, 'team/app', 'v1', one)
    await push(client, 'team/app', 'v1', two)
    await client.request('DELETE', '/v2/team/app/manifests/v1')
    await until('three events', () => receiver.requests.length >= 3)
    const [, { body, headers }] = receiver.requests as unknown as [unknown, FakeServer['requests'][number]]
    assert.equal(headers['content-type'], 'application/vnd.docker.distribution.events.v2+json')
    const [event] = (JSON.parse(body) as { events: Array<Record<string, Record<string, unknown>>> }).events
    const { actor, request, source, target } = event!
    const digest = sha256(two)
    assert.equal(event!['action'], 'push')
    assert.deepEqual(target, {
      mediaType: ociManifest,
      size: two.length,
      digest,
      length: two.length,
      repository: 'team/app',
      url: `${server.url}/v2/team/app/manifests/${digest}`,
      tag: 'v1',
    })
    assert.deepEqual(
      [request!['addr'], request!['host'], request!['method'], actor],
      ['127.0.0.1', new URL(server.url).host, 'PUT', {}],
    )
    assert.match(String(source!['instanceID']), /^[0-9a-f-]{36}$/)
    assert.deepEqual(
      receiver.requests.map(request => JSON.parse(request.body).events[0].action),
      ['push', 'push', 'delete'],
    )
  })

  it('of garbage collection, is why it deleted', async () => {
    await using server = await TestAppliance.start(
      join(directory.path, 'data'),
      { webhooks: { ci: { url: receiver.url, events: ['delete'] } } },
      0,
    )
    await push(server.client, 'team/app', 'v1', one)
    await push(server.client, 'team/app', 'v1', two)
    const init = { headers: { 'Content-Type': 'application/json' }, body: '{}' }
    await (await server.client.request('POST', '/ipdr/v1/gc', init)).text()
    const [event] = await told(1)
    assert.deepEqual([event!.subject, event!.data.reason], [`team/app@${sha256(one)}`, 'untagged'])
    assert.equal('request' in event!.data, false)
  })

  it('of what a policy or a quota refuses, is what the client was told', async () => {
    await using server = await TestAppliance.start(join(directory.path, 'data'), {
      webhooks: { ci: { url: receiver.url, events: ['policy', 'quota'] } },
      immutableTags: ['team/app:v*'],
      quotas: [{ repositories: ['team/small'], tags: 1 }],
    })
    const { client } = server
    await push(client, 'team/app', 'v1', one)
    assert.equal((await client.pushManifest('team/app', 'v1', two)).status, 403)
    await push(client, 'team/small', 'v1', one)
    assert.equal((await client.pushManifest('team/small', 'v2', one)).status, 403)
    const [policy, quota] = await told(2)
    assert.deepEqual([policy!.type, policy!.subject], ['ipdr.policy', 'team/app:v1'])
    assert.match(String(policy!.data.reason), /tag v1 of team\/app is immutable/)
    assert.deepEqual([quota!.type, quota!.subject], ['ipdr.quota', 'team/small'])
    assert.match(String(quota!.data.reason), /the quota of team\/small is 1 tags/)
  })

  it('does not hang on the host that a client makes up', async () => {
    await using server = await start({ format: 'distribution' })
    await push(server.client, 'team/app', 'v1', one)
    const socket = connect(Number(new URL(server.url).port), '127.0.0.1')
    socket.end('GET /v2/team/app/manifests/v1 HTTP/1.1\r\nHost: 1.2.3.4:5:6\r\nConnection: close\r\n\r\n')
    await once(socket.resume(), 'close')
    await push(server.client, 'team/app', 'v2', one)
    await until('the last push', () => receiver.requests.some(({ body }) => body.includes('"v2"')))
  })
})

describe('who listens', () => {
  it('is told what happens, as server-sent events, and then nothing is kept', async () => {
    await using server = await TestAppliance.start(join(directory.path, 'data'))
    const { client } = server
    await push(client, 'team/app', 'v1', one)
    const controller = new AbortController()
    const response = await client.request('GET', '/ipdr/v1/events', { signal: controller.signal })
    assert.equal(response.headers.get('Content-Type'), 'text/event-stream; charset=utf-8')
    const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader()
    let text = ''
    const next = async (): Promise<CloudEvent> => {
      while (!/data: .*\n\n/.test(text)) {
        text += (await reader.read()).value
      }
      const [block = '', , data = ''] = /id: .*\nevent: (.*)\ndata: (.*)\n\n/.exec(text)!
      text = text.slice(text.indexOf(block) + block.length)
      return JSON.parse(data) as CloudEvent
    }
    await push(client, 'team/app', 'v1', two)
    assert.deepEqual(summary([await next(), await next()]), ['ipdr.push team/app:v1', 'ipdr.tag team/app:v1'])
    await client.request('HEAD', '/v2/team/app/manifests/v1')
    assert.deepEqual(summary([await next()]), ['ipdr.pull team/app:v1'])
    controller.abort()
    await until('nobody listens', async () => {
      const ended = await (await client.request('GET', '/ipdr/v1/events?live=false')).text()
      return !ended.includes('data:')
    })
  })

  it('is told of the history from an event on, and refused one that is not in it', async () => {
    await using server = await TestAppliance.start(join(directory.path, 'data'), { events: { history: 100 } })
    const { client } = server
    for (const tag of ['v1', 'v2', 'v3']) {
      await push(client, 'team/app', tag, one)
    }
    const idsOf = async (query: string): Promise<string[]> =>
      [
        ...(await (await client.request('GET', `/ipdr/v1/events?live=false${query}`)).text()).matchAll(/^id: (.*)$/gm),
      ].map(([, id]) => id!)
    const ids = await idsOf('')
    assert.equal(ids.length, 3)
    assert.deepEqual(await idsOf(`&since=${ids[0]}`), ids.slice(1))
    const headers = { 'Last-Event-ID': ids[1]! }
    const resumed = await (await client.request('GET', '/ipdr/v1/events?live=false', { headers })).text()
    assert.deepEqual([resumed.includes(ids[1]!), resumed.includes(ids[2]!)], [false, true])
    const refused = await client.request('GET', `/ipdr/v1/events?since=${ids[0]!.replace(/^./, 'f')}`)
    assert.equal(refused.status, 400)
    assert.match(await refused.text(), /since: this event is not in the history/)
  })
})

describe('a start', () => {
  it('is refused with a secret or a CA that is none, in a line that does not show it', async () => {
    const file = join(directory.path, 'wrong')
    await writeFile(file, 'my-geheim')
    for (const [webhook, message] of [
      [{ secret: file }, /^secret .*wrong of webhook ci must hold whsec_/],
      [{ secret: join(directory.path, 'none') }, /^secret .*none of webhook ci can't be read: no such file/],
      [{ ca: file }, /^CA .*wrong of webhook ci holds no certificate in PEM/],
    ] as const) {
      await assert.rejects(start(webhook), err => {
        assert.match((err as Error).message, message)
        assert.doesNotMatch((err as Error).message, /geheim/)
        return true
      })
    }
  })
})
