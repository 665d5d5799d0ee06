import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { CloudEvent } from '../../src/events/formats/cloud-event.ts'
import { freePort } from '../fixtures/free-port.ts'
import { sha256 } from '../fixtures/images.ts'
import { emptyJson, imageManifest } from '../fixtures/manifests.ts'
import { RegistryClient } from '../fixtures/registry-client.ts'
import { ServerProcess } from '../fixtures/server.ts'
import { temporaryDirectory, type TemporaryDirectory } from '../fixtures/temporary.ts'
import { projectDirectory } from '../fixtures/tools.ts'
import { until } from '../fixtures/until.ts'

const second = 1000
const repositories = ['team/a', 'team/b', 'team/c']

/** Ends when it is killed; what it got stays */
class Receiver {
  readonly file: string
  readonly port: number
  #child: ChildProcess | undefined

  constructor(directory: string, port: number) {
    this.file = join(directory, 'received')
    this.port = port
  }

  async start(): Promise<void> {
    const script = join(projectDirectory, 'test/fixtures/webhook-receiver.ts')
    this.#child = spawn(process.execPath, [script, String(this.port), this.file], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    await once(this.#child.stdout!, 'data')
  }

  async kill(): Promise<void> {
    const child = this.#child
    this.#child = undefined
    if (child !== undefined) {
      child.kill('SIGKILL')
      await once(child, 'exit')
    }
  }

  /** In the order in which they came first */
  async events(): Promise<CloudEvent[]> {
    const lines = (await readFile(this.file, 'utf8').catch(() => '')).split('\n').filter(line => line !== '')
    const events = lines.map(line => JSON.parse(line) as CloudEvent)
    return [...new Map(events.map(event => [event.id, event])).values()]
  }
}

/** Pushes to one tag, one manifest after the other, until it is told to stop */
class Pusher {
  readonly repository: string
  /** Digests that were acknowledged, in order */
  readonly acknowledged: string[] = []
  #count = 0
  #stopped = false
  #running: Promise<void> | undefined

  constructor(repository: string) {
    this.repository = repository
  }

  start(url: string): void {
    this.#stopped = false
    this.#running = this.#run(new RegistryClient(url))
  }

  async stop(): Promise<void> {
    this.#stopped = true
    await this.#running
  }

  async #run(client: RegistryClient): Promise<void> {
    while (!this.#stopped) {
      const bytes = imageManifest({ annotations: { number: String(this.#count++), of: this.repository } })
      // the server may be killed at any moment
      const pushed = await client
        .pushBlob(this.repository, emptyJson)
        .then(async () => await client.pushManifest(this.repository, 'v1', bytes))
        .catch(() => undefined)
      if (pushed?.status === 201) {
        this.acknowledged.push(sha256(bytes))
      }
      await sleep(5)
    }
  }
}

describe('a webhook', () => {
  let directory: TemporaryDirectory
  let receiver: Receiver
  let server: ServerProcess
  const pushers = repositories.map(repository => new Pusher(repository))

  before(async () => {
    directory = await temporaryDirectory('events')
    receiver = new Receiver(directory.path, await freePort())
    await receiver.start()
    server = await ServerProcess.start({ args: ['--webhook', `ci=http://127.0.0.1:${receiver.port}/hook`] })
  })

  after(async () => {
    await receiver.kill()
    await server[Symbol.asyncDispose]()
    await directory[Symbol.asyncDispose]()
  })

  async function pushFor(ms: number, meanwhile: () => Promise<void>): Promise<void> {
    for (const pusher of pushers) {
      pusher.start(server.url)
    }
    await sleep(ms / 2)
    await meanwhile()
    await sleep(ms / 2)
    await Promise.all(pushers.map(async pusher => await pusher.stop()))
  }

  it('misses no push and gets none out of order, while its receiver and the server are killed', async () => {
    await pushFor(2 * second, async () => await receiver.kill())
    // nobody listens now
    await pushFor(2 * second, async () => {
      await server.kill()
      await server.start()
      for (const pusher of pushers) {
        await pusher.stop()
        pusher.start(server.url)
      }
    })
    await receiver.start()
    await pushFor(2 * second, async () => {
      await server.kill()
      await receiver.kill()
      await receiver.start()
      await server.start()
      for (const pusher of pushers) {
        await pusher.stop()
        pusher.start(server.url)
      }
    })
    await until('the queue is empty', isEmpty, 90 * second)
    const events = await receiver.events()
    assert.ok(events.length > 100, `${events.length} events`)
    for (const { acknowledged, repository } of pushers) {
      const own = events.filter(({ data }) => data.repository === repository)
      assert.deepEqual(
        own.map(({ id }) => id).toSorted(),
        own.map(({ id }) => id),
      )
      const pushed = own.filter(({ type }) => type === 'ipdr.push').map(({ data }) => String(data.digest))
      // a push may have been done that was not acknowledged, as the server was killed in between
      assert.deepEqual(
        pushed.filter(digest => acknowledged.includes(digest)),
        acknowledged,
      )
      assert.ok(pushed.length - acknowledged.length <= 2)
      const moves = own.filter(({ type }) => type === 'ipdr.tag').map(({ data }) => [data.previous, data.digest])
      assert.deepEqual(
        moves,
        pushed.slice(1).map((digest, i) => [pushed[i], digest]),
      )
    }
  })

  async function isEmpty(): Promise<boolean> {
    const client = new RegistryClient(server)
    const { webhooks } = (await (await client.request('GET', '/ipdr/v1/webhooks')).json()) as {
      webhooks: Array<{ waiting: number }>
    }
    return webhooks[0]?.waiting === 0
  }

  it('has its history printed by ipdr events, which ends with the server', async () => {
    const main = join(projectDirectory, 'src/main.js')
    const child = spawn(process.execPath, [main, 'events', '--json', '--data-dir', server.dataDir], {
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let [out, err] = ['', '']
    child.stdout.on('data', text => (out += String(text)))
    child.stderr.on('data', text => (err += String(text)))
    const ended = once(child, 'close')
    const client = new RegistryClient(server)
    await until('an event is printed', async () => {
      await client.request('HEAD', '/v2/team/a/manifests/v1')
      return out.includes('\n')
    })
    const { subject, type } = JSON.parse(out.split('\n')[0]!) as CloudEvent
    assert.deepEqual([type, subject], ['ipdr.pull', 'team/a:v1'])
    const began = performance.now()
    await server.stop()
    assert.ok(performance.now() - began < 5 * second, 'a listener holds up no stop')
    assert.equal((await ended)[0], 1)
    assert.match(err, /stopped sending events.*--since/s)
  })
})
