import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readdir, readFile } from 'node:fs/promises'
import type { IncomingMessage } from 'node:http'
import { get } from 'node:https'
import { join } from 'node:path'
import { after, before, describe, it, type TestContext } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { connect as connectTls } from 'node:tls'
import { CertificateAuthority } from '../fixtures/certificates.ts'
import { makeImage, randomBytes } from '../fixtures/images.ts'
import { malformedSession } from '../fixtures/malformed/http2.ts'
import { RawClient, type RawReply } from '../fixtures/malformed/raw-client.ts'
import { malformed, type Targets } from '../fixtures/malformed/requests.ts'
import { percentile } from '../fixtures/percentile.ts'
import { Random } from '../fixtures/random.ts'
import { location, RegistryClient } from '../fixtures/registry-client.ts'
import { ServerProcess } from '../fixtures/server.ts'
import { temporaryDirectory, type TemporaryDirectory } from '../fixtures/temporary.ts'
import { until } from '../fixtures/until.ts'

const second = 1000
const minute = 60 * second
const mebibyte = 1024 * 1024
const seed = process.env['MALFORMED_SEED'] ?? 'malformed'
const count = 20_000
const sessions = 480
/** Requests between two looks at the memory */
const sampled = 250
const clients = 16
/** An answer or the end of the connection; the server is slowed down by what else the machine does */
const limit = 10_000
const memoryMargin = 48 * mebibyte

/** What no client may see: a stack, a path of this machine or of the program */
const secrets = /\n\s+at \S|node_modules|node:internal|\.ts:\d+|\/src\/|\/tmp\/|\/proc\//

describe('twenty thousand malformed requests', { timeout: 10 * minute }, () => {
  let server: ServerProcess
  let client: RegistryClient
  let targets: Targets
  const kept = makeImage([{ 'a.txt': randomBytes(3 * mebibyte, 'kept') }])

  before(async () => {
    server = await ServerProcess.start({
      args: [
        '--names-publish',
        'false',
        '--names-dns',
        '127.0.0.1:9',
        '--limits-idle-timeout',
        '5s',
        '--limits-header-timeout',
        '5s',
        '--log-level',
        'error',
      ],
    })
    client = new RegistryClient(server)
    for (const [digest, bytes] of kept.content) {
      const isManifest = digest === kept.descriptor.digest
      const pushed = isManifest
        ? await client.pushManifest('kept/image', 'latest', bytes)
        : await client.pushBlob('kept/image', bytes)
      assert.equal(pushed.status, 201)
    }
    const [blob] = [...kept.content.keys()]
    targets = {
      blob: `/v2/kept/image/blobs/${blob}`,
      upload: location(await client.startUpload('fuzz/a')),
      token: (await readFile(join(server.dataDir, 'admin.token'), 'utf8')).trim(),
    }
  })

  after(async () => {
    await server?.[Symbol.asyncDispose]()
  })

  it('get an answer or an end, never a 500, a stack or a path; afterwards all is as it was', async t => {
    // the threads that read blocks start with the first ones, and have files of their own
    await client.digestOf(targets.blob)
    let before = await state()
    await until(
      'no more files are opened',
      async () => {
        const { files } = before
        await sleep(second)
        before = await state()
        return before.files === files
      },
      20_000,
    )
    const opened: string[] = []
    const kinds = new Map<string, number>()
    const random = new Random(seed)
    const requests = Array.from({ length: count }, () => malformed(random, targets))
    let next = 0
    const memory: number[] = []
    await Promise.all(
      Array.from({ length: clients }, async () => {
        const raw = new RawClient(server.port, limit)
        for (let request = requests[next++]; request !== undefined; request = requests[next++]) {
          const { bytes, framed, kind } = request
          const reply = await (framed ? raw.ask(bytes) : raw.exchange(bytes)).catch((err: Error) => ({
            status: -1,
            text: err.message,
          }))
          assertHarmless(reply, `${kind}: ${JSON.stringify(bytes.toString('latin1').slice(0, 300))}`)
          kinds.set(`${kind} ${reply.status}`, (kinds.get(`${kind} ${reply.status}`) ?? 0) + 1)
          opened.push(...[...reply.text.matchAll(/^Location: (\S+\/uploads\/\S+)\r$/gm)].map(([, path]) => path!))
          if (next % sampled === 0) {
            memory.push((await server.memory()).now)
          }
        }
        raw.close()
      }),
    )
    report(t, kinds)
    assert.equal(server.log.match(/request failed/g), null, server.log.slice(0, 2000))

    const raw = new RawClient(server.port, limit)
    for (const path of new Set(opened.filter(path => path !== targets.upload))) {
      assert.equal((await raw.ask(Buffer.from(`DELETE ${path} HTTP/1.1\r\nHost: a\r\n\r\n`))).status, 204)
    }
    raw.close()
    // fewer where a request that was changed by chance ended the open one
    assert.ok((await state()).uploads <= before.uploads, 'no upload is left behind')
    await until('all files are closed', async () => (await state()).files <= before.files + 2, 20_000)
    for (const digest of kept.content.keys()) {
      const path = digest === kept.descriptor.digest ? 'manifests' : 'blobs'
      assert.equal(await client.digestOf(`/v2/kept/image/${path}/${digest}`), digest)
    }
    assert.deepEqual(await (await client.request('GET', '/v2/kept/image/tags/list')).json(), {
      name: 'kept/image',
      tags: ['latest'],
    })
    assertFlat(t, memory)
  })

  async function state(): Promise<{ uploads: number; files: number }> {
    return {
      uploads: (await client.metrics())('ipdr_open_uploads'),
      files: (await readdir(`/proc/${server.pid}/fd`)).length,
    }
  }
})

describe('sessions of HTTP/2 that are none', { timeout: 10 * minute }, () => {
  let directory: TemporaryDirectory
  let server: ServerProcess

  before(async () => {
    directory = await temporaryDirectory('malformed')
    const authority = await CertificateAuthority.create(directory.path)
    server = await ServerProcess.start({
      tls: await authority.issue('server'),
      args: ['--names-publish', 'false', '--limits-idle-timeout', '5s', '--log-level', 'error'],
    })
  })

  after(async () => {
    await server?.[Symbol.asyncDispose]()
    await directory?.[Symbol.asyncDispose]()
  })

  it('end, and leave nothing behind', async t => {
    const files = async (): Promise<number> => (await readdir(`/proc/${server.pid}/fd`)).length
    const before = await files()
    const random = new Random(seed)
    const memory: number[] = []
    for (let done = 0; done < sessions; done += clients) {
      await Promise.all(
        Array.from({ length: clients }, async () => {
          const { bytes, kinds } = malformedSession(random)
          const text = await exchange(server.port, bytes).catch((err: Error) => {
            throw new Error(`${err.message}: ${kinds.join()}`, { cause: err })
          })
          assert.doesNotMatch(text, secrets, kinds.join())
        }),
      )
      memory.push((await server.memory()).now)
    }
    await until('all files are closed', async () => (await files()) <= before + 2, 20_000)
    const [response] = (await once(
      get(`${server.url}/v2/`, { rejectUnauthorized: false, agent: false }),
      'response',
    )) as [IncomingMessage]
    response.resume()
    assert.equal(response.statusCode, 200)
    assert.equal(server.log, '')
    assertFlat(t, memory)
  })
})

/**
 * Sends bytes as a client of HTTP/2, and returns what comes back until the connection is closed; our side ends when
 * nothing comes any more
 */
async function exchange(port: number, bytes: Uint8Array): Promise<string> {
  const socket = connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false, ALPNProtocols: ['h2'] }).on(
    'error',
    () => {},
  )
  let text = ''
  socket
    .setEncoding('latin1')
    .setTimeout(100, () => {
      socket.end()
    })
    .on('data', data => {
      text += data
    })
  socket.write(bytes)
  const closed = await Promise.race([
    new Promise<true>(resolve => {
      socket.once('close', () => {
        resolve(true)
      })
    }),
    sleep(limit, false, { ref: false }),
  ])
  socket.destroy()
  if (!closed) {
    throw new Error(`no end within ${limit} ms`)
  }
  return text
}

/**
 * Compares the second quarter of the samples with the last one: by medians, as a single look may come right before
 * memory is given back
 */
function assertFlat(t: TestContext, samples: readonly number[]): void {
  const quarter = Math.floor(samples.length / 4)
  const second = percentile(samples.slice(quarter, 2 * quarter), 0.5)
  const last = percentile(samples.slice(3 * quarter), 0.5)
  const [before, after] = [second, last].map(bytes => `${Math.round(bytes / mebibyte)} MiB`)
  t.diagnostic(`memory: ${before} in the second quarter, ${after} in the last`)
  assert.ok(last - second < memoryMargin, 'memory is flat')
}

function assertHarmless({ status, text }: RawReply, what: string): void {
  assert.notEqual(status, -1, `${text}\n${what}`)
  assert.doesNotMatch(text, /^HTTP\/1\.1 5(?!03)\d\d /m, `${text.slice(0, 500)}\n${what}`)
  assert.doesNotMatch(text, secrets, what)
}

function report(t: TestContext, kinds: Map<string, number>): void {
  t.diagnostic(
    [...kinds]
      .sort()
      .map(([kind, count]) => `${kind}: ${count}`)
      .join(', '),
  )
}
