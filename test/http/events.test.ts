import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
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
    assert.equal(headers['content-type'], 'application/cloudevents+json; charset=UTF-8')
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
