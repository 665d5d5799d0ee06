/** What pages follow while somebody looks at them */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { request, type ClientRequest, type IncomingMessage } from 'node:http'
import { after, before, beforeEach, describe, it } from 'node:test'
import { Events } from '../../src/events/events.ts'
import { basic } from '../fixtures/access.ts'
import { authorized, json, TestApp } from '../fixtures/app.ts'
import { recordingLog } from '../fixtures/recording-log.ts'
import { until } from '../fixtures/until.ts'

const change = { commit: async () => {} } as never
const rules = `
rules:
  - { who: ['user:alice'], repositories: ['team/**'], actions: [pull] }
  - { who: ['user:root'], repositories: ['**'], actions: [pull, push, tag, delete, admin] }
`
const users = { alice: 'of alice', root: 'of root' }

/** Somebody who reads the events */
class Reader implements Disposable {
  readonly #request: ClientRequest
  text = ''
  hasEnded = false

  private constructor(sent: ClientRequest, res: IncomingMessage) {
    this.#request = sent
    res.setEncoding('utf8').on('data', (data: string) => {
      this.text += data
    })
    res.on('close', () => {
      this.hasEnded = true
    })
  }

  static async open({ port }: TestApp, query: string, headers: Record<string, string>): Promise<Reader> {
    const sent = request({ host: '127.0.0.1', port, path: `/ui/api/live${query}`, headers, agent: false })
    sent.on('error', () => {})
    sent.end()
    const [res] = (await once(sent, 'response')) as [IncomingMessage]
    assert.deepEqual([res.statusCode, res.headers['content-type']], [200, 'text/event-stream; charset=utf-8'])
    const reader = new Reader(sent, res)
    await until('it is ready', () => reader.text.startsWith('event: ready\ndata: {}\n\n'))
    return reader
  }

  [Symbol.dispose](): void {
    this.#request.destroy()
  }
}

describe('the events of pages', () => {
  let app: TestApp
  let events: Events
  let reported = 0
  const tell = async (repository: string): Promise<void> => {
    await events.commit(change, () => [{ kind: 'push', repository }])
  }

  before(async () => {
    events = new Events({ index: { change: () => change }, log: recordingLog() }, { kinds: new Set(), source: '//x' })
    await events.start()
    const report = async (): Promise<never> => ({ peers: ++reported }) as never
    const storage = async (): Promise<never> => ({ used: 5 }) as never
    app = await TestApp.start({ access: {}, events, status: { network: { report }, storage: { report: storage } } })
  })
  beforeEach(() => {
    app.access.change({ rules, users })
    reported = 0
  })
  after(async () => {
    await app[Symbol.asyncDispose]()
  })

  it('name repositories that have changed, to those who may pull them, and nobody listens without them', async () => {
    assert.equal(events.wants('push'), false)
    {
      using alice = await Reader.open(app, '', basic('alice', 'of alice'))
      using root = await Reader.open(app, '', basic('root', 'of root'))
      for (const repository of ['team/b', 'secret', 'team/a', 'team/a']) {
        await tell(repository)
      }
      await until('both are told', () => alice.text.includes('images') && root.text.includes('images'))
      assert.match(alice.text, /event: images\ndata: \{"repositories":\["team\/b","team\/a"\]\}\n\n$/)
      assert.match(root.text, /\["team\/b","secret","team\/a"\]/)
      assert.equal(reported, 0)
    }
    await until('nobody listens', () => !events.wants('push'))
  })

  it('name none where too many have changed', async () => {
    using root = await Reader.open(app, '', basic('root', 'of root'))
    for (let i = 0; i < 60; i++) {
      await tell(`many/${i}`)
    }
    await until('it is told', () => root.text.includes('images'))
    assert.match(root.text, /data: \{"repositories":\[\]\}\n\n$/)
  })

  it('have what a page shows for administrators alone, once for all of them', async () => {
    for (const [headers, status] of [
      [{}, 401],
      [basic('alice', 'of alice'), 403],
    ] as const) {
      assert.equal((await app.get('/ui/api/live?of=network', headers)).status, status)
    }
    using root = await Reader.open(app, '?of=network', basic('root', 'of root'))
    await until('the report is there', () => root.text.includes('event: report\ndata: {"peers":1}\n\n'))
    using same = await Reader.open(app, '?of=storage', basic('root', 'of root'))
    await until('the other is there', () => same.text.includes('{"used":5}'))
  })

  it('end when the rules change, so that the page asks with those of now', async () => {
    using alice = await Reader.open(app, '', basic('alice', 'of alice'))
    app.access.change({ rules: rules.replace('team', 'other'), users })
    await tell('team/a')
    await until('it has ended', () => alice.hasEnded)
    assert.doesNotMatch(alice.text, /team/)
  })

  it('end when the server stops, and are for a bounded number of pages', async () => {
    const readers = new DisposableStack()
    for (let i = 0; i < 100; i++) {
      readers.use(await Reader.open(app, '', basic('root', 'of root')))
    }
    const refused = await app.get('/ui/api/live', basic('root', 'of root'))
    assert.equal(refused.status, 429)
    assert.match((json(refused) as { error: string }).error, /100 pages/)
    readers.dispose()
    using last = await until('there is room', async () => await Reader.open(app, '', basic('root', 'of root')))
    events.endListening()
    await until('it has ended', () => last.hasEnded)
  })

  it('are nothing that the token of the administration is needed for', async () => {
    assert.equal((await app.get('/ui/api/live?of=nothing', authorized)).status, 401)
    assert.equal((await app.get('/ui/api/live?of=nothing')).status, 400)
  })
})
