import assert from 'node:assert/strict'
import type { ServerResponse } from 'node:http'
import { describe, it } from 'node:test'
import { fakeServer } from '../../../fixtures/fake-server.ts'
import { ipdr } from '../ipdr.ts'

const id = '019ae0b6-8a10-7000-8abc-0123456789ab'
const event = {
  specversion: '1.0',
  id,
  source: '//host:5000',
  type: 'ipdr.tag',
  subject: 'team/app:v1',
  time: '2026-11-30T14:00:00.000Z',
  datacontenttype: 'application/json',
  data: { repository: 'team/app', tag: 'v1', digest: 'sha256:2', previous: 'sha256:1', actor: 'alice\u001b[31m' },
}
const text = `: events\n\nid: ${id}\nevent: tag\ndata: ${JSON.stringify(event)}\n\n:\n\n`

/** Ends with an event that is not whole */
function stream(res: ServerResponse): void {
  res.writeHead(200, { 'Content-Type': 'text/event-stream' })
  // in pieces that end anywhere
  for (const piece of text.match(/.{1,7}/gs)!) {
    res.write(piece)
  }
  res.end('id: x\ndata: {"half":')
}

describe('ipdr events', () => {
  it('prints one event a line, without what a terminal would act on', async () => {
    await using server = await fakeServer((_request, res) => {
      stream(res)
    })
    const args = ['events', '--no-follow', '--since', id, '--docker-registry-host', server.host]
    const { code, out } = await ipdr(args)
    const line = `2026-11-30T14:00:00.000Z tag team/app:v1 sha256:2 was sha256:1 by alice\\u001b[31m ${id}\n`
    assert.deepEqual({ code, out }, { code: 0, out: line })
    assert.equal(server.requests[0]?.url, `/ipdr/v1/events?live=false&since=${id}`)
    assert.deepEqual(JSON.parse((await ipdr([...args, '--json'])).out), event)
  })

  it('says where to go on when the server stops, and what the server refuses', async () => {
    await using server = await fakeServer(({ url }, res) => {
      url.includes('since') ? res.writeHead(400).end('{"error":"since: it is not there"}') : stream(res)
    })
    const { code, err } = await ipdr(['events', '--docker-registry-host', server.host])
    assert.equal(code, 1)
    assert.match(err, new RegExp(`stopped sending events.*--since ${id}`, 's'))
    const refused = await ipdr(['events', '--since', id, '--docker-registry-host', server.host])
    assert.equal(refused.code, 1)
    assert.match(refused.err, /since: it is not there/)
  })

  it('has events sent again', async () => {
    await using server = await fakeServer((_request, res) => res.end('{"queued":2}'))
    const { code, out } = await ipdr([
      'events',
      'resend',
      id,
      id,
      '--webhook',
      'ci',
      '--docker-registry-host',
      server.host,
    ])
    assert.deepEqual({ code, out }, { code: 0, out: '2 queued\n' })
    assert.deepEqual(JSON.parse(server.requests[0]!.body), { ids: [id, id], webhook: 'ci' })
  })
})
