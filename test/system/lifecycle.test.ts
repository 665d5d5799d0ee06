import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdir, readFile } from 'node:fs/promises'
import { request, type ClientRequest, type IncomingMessage } from 'node:http'
import { connect } from 'node:net'
import { delimiter, join } from 'node:path'
import { suite, test } from 'node:test'
import { text } from 'node:stream/consumers'
import { freePort } from '../fixtures/free-port.ts'
import { randomBytes, sha256 } from '../fixtures/images.ts'
import { location, RegistryClient } from '../fixtures/registry-client.ts'
import { tryRun, type RunResult } from '../fixtures/run.ts'
import { ServerProcess, withoutSettings } from '../fixtures/server.ts'
import { temporaryDirectory } from '../fixtures/temporary.ts'
import { projectDirectory } from '../fixtures/tools.ts'
import { until } from '../fixtures/until.ts'

const second = 1000
const minute = 60 * second
const mebibyte = 1024 * 1024

suite('start', { timeout: 10 * minute }, () => {
  test('a second server on the same data directory is refused, and changes nothing', async () => {
    await using server = await ServerProcess.start()
    const client = new RegistryClient(server)
    const blob = randomBytes(2 * mebibyte, 'kept')
    assert.equal((await client.pushBlob('lifecycle/lock', blob)).status, 201)
    const before = await snapshot(server.dataDir)

    const { code, stdout, stderr } = await ipdr([
      'server',
      '--port',
      '0',
      '--data-dir',
      server.dataDir,
      '--network',
      'offline',
    ])

    assert.equal(code, 1)
    assert.equal(stdout, '')
    assert.deepEqual(messages(stderr), [`ipdr: data directory ${server.dataDir} is in use by another ipdr server`])
    assert.deepEqual(await snapshot(server.dataDir), before)
    assert.equal(await client.digestOf(`/v2/lifecycle/lock/blobs/${sha256(blob)}`), sha256(blob))
  })

  test('a port that is in use is told in one line', async () => {
    await using server = await ServerProcess.start()
    await using directory = await temporaryDirectory('lifecycle')
    const args = [
      '--host',
      '127.0.0.1',
      '--port',
      String(server.port),
      '--data-dir',
      directory.path,
      '--network',
      'offline',
    ]

    const { code, stdout, stderr } = await ipdr(['server', ...args])

    assert.equal(code, 1)
    assert.equal(stdout, '')
    assert.deepEqual(messages(stderr), [`ipdr: port ${server.port} on 127.0.0.1 is in use; choose another with --port`])
    // what had started is stopped: its locks are free
    await using other = await ServerProcess.start({ dataDir: directory.path })
    assert.equal((await fetch(`${other.url}/v2/`)).status, 200)
  })

  test('an unknown variable of ours is refused', async () => {
    await using directory = await temporaryDirectory('lifecycle')
    const { code, stdout, stderr } = await ipdr(['server', '--data-dir', join(directory.path, 'data')], {
      IPDR_FOO: '1',
    })
    assert.equal(code, 1)
    assert.equal(stdout, '')
    assert.match(stderr, /^ipdr: IPDR_FOO: .*unknown.*\n$/)
    assert.deepEqual(await readdir(directory.path), [])
  })
})

suite('stop', { timeout: 10 * minute }, () => {
  test('an upload in flight ends and is acknowledged, and is there after the next start', async () => {
    await using server = await ServerProcess.start()
    const client = new RegistryClient(server)
    const blob = randomBytes(8 * mebibyte, 'in flight')
    const upload = await beginUpload(server, blob)

    server.signal('SIGTERM')
    await until('no new connections are taken', async () => await refuses(server.port))
    upload.request.end(blob.subarray(upload.sent))

    assert.equal((await upload.response()).statusCode, 201)
    assert.deepEqual(await server.waitForEnd(), { code: 0, signal: null })
    await server.start()
    assert.equal(await client.digestOf(`/v2/lifecycle/upload/blobs/${sha256(blob)}`), sha256(blob))
  })

  test('an upload that stands still is cut off after the drain timeout, and goes on after the next start', async () => {
    await using server = await ServerProcess.start({ args: ['--limits-drain-timeout', '1s'] })
    const client = new RegistryClient(server)
    const blob = randomBytes(8 * mebibyte, 'stands still')
    const upload = await beginUpload(server, blob)

    server.signal('SIGTERM')
    assert.deepEqual(await server.waitForEnd(10 * second), { code: 0, signal: null })
    await assert.rejects(upload.response())

    await server.start()
    const range = (await client.request('GET', upload.location)).headers.get('Range')
    assert.equal(range, `0-${upload.sent - 1}`)
    assert.equal((await client.appendToUpload(upload.location, upload.sent, blob.subarray(upload.sent))).status, 202)
    assert.equal((await client.finishUpload(upload.location, sha256(blob))).status, 201)
  })

  for (const [name, code] of [
    ['SIGTERM', 143],
    ['SIGINT', 130],
  ] as const) {
    test(`a second ${name} ends the server at once`, async () => {
      await using server = await ServerProcess.start({ args: ['--limits-drain-timeout', '1h'] })
      const upload = await beginUpload(server, randomBytes(4 * mebibyte, name))
      const broken = assert.rejects(upload.response())

      server.signal(name)
      await until('no new connections are taken', async () => await refuses(server.port))
      server.signal(name)

      assert.deepEqual(await server.waitForEnd(2 * second), { code, signal: null })
      await broken
    })
  }

  test('an idle connection that is kept alive does not hold up the stop', async () => {
    await using server = await ServerProcess.start({ args: ['--limits-drain-timeout', '1h'] })
    const socket = connect(server.port, '127.0.0.1')
    socket.on('error', () => {})
    socket.write('GET /v2/ HTTP/1.1\r\nHost: localhost\r\n\r\n')
    await once(socket, 'data')
    await server.stop(10 * second)
    socket.destroy()
  })
})

suite('npm', { timeout: 10 * minute }, () => {
  // as after a log-in: without the folders that npm adds for its scripts
  const env = {
    ...Object.fromEntries(Object.entries(withoutSettings(process.env)).filter(([name]) => !name.startsWith('npm_'))),
    PATH: (process.env.PATH ?? '')
      .split(delimiter)
      .filter(directory => !directory.includes('node_modules'))
      .join(delimiter),
  }

  test('npm run ipdr prints nothing but what the command prints', async () => {
    const { code, stdout } = await tryRun('npm', ['run', '-s', 'ipdr', '--', 'version'], { cwd: projectDirectory, env })
    assert.equal(code, 0)
    const { version } = JSON.parse(await readFile(join(projectDirectory, 'package.json'), 'utf8')) as {
      version: string
    }
    assert.match(stdout, new RegExp(`^ipdr +${version.replaceAll('.', '\\.')}\\ncommit +\\S.*\\nnode +24\\.`))
  })

  test('npm start serves until npm is told to stop', async () => {
    await using directory = await temporaryDirectory('npm')
    const port = await freePort()
    const args = [
      'start',
      '--',
      '-p',
      String(port),
      '--data-dir',
      directory.path,
      '--network',
      'offline',
      '--host',
      '127.0.0.1',
    ]
    const npm = spawn('npm', args, { cwd: projectDirectory, env, stdio: ['ignore', 'pipe', 'pipe'] })
    const output = text(npm.stdout)
    const log = text(npm.stderr)
    const ended = once(npm, 'close')
    try {
      await until(
        'the server is ready',
        async () => (await fetch(`http://127.0.0.1:${port}/readyz`)).status === 200,
        30 * second,
      )
    } finally {
      npm.kill('SIGTERM')
      await ended
    }
    assert.match(await output, /IPDR is ready/)
    assert.match(await log, /stopped/)
    assert.ok(await refuses(port), 'the server outlives npm')
    // nothing of it is left that holds the directory
    await using server = await ServerProcess.start({ dataDir: directory.path })
    assert.equal((await fetch(`${server.url}/v2/`)).status, 200)
  })
})

async function ipdr(args: readonly string[], variables: Record<string, string> = {}): Promise<RunResult> {
  return await tryRun(process.execPath, [join(projectDirectory, 'src/main.js'), ...args], {
    env: { ...variables },
    timeout: 30 * second,
  })
}

/** What a user is told, without the log */
function messages(stderr: string): string[] {
  return stderr.split('\n').filter(line => line !== '' && !/^\d{4}-\d\d-\d\dT\S+ (info|debug)/.test(line))
}

/** Every file with its digest; LevelDB's diary is left out, as it tells of failed attempts to open too */
async function snapshot(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true })
  const files = entries
    .filter(entry => entry.isFile() && !/^LOG(\.old)?$/.test(entry.name))
    .map(({ parentPath, name }) => join(parentPath, name))
  return await Promise.all(files.sort().map(async file => `${file} ${sha256(await readFile(file))}`))
}

interface Upload {
  location: string
  request: ClientRequest
  sent: number
  response: () => Promise<IncomingMessage>
}

/** Begins the last request of an upload; returns once half of the blob has arrived */
async function beginUpload(server: ServerProcess, blob: Buffer): Promise<Upload> {
  const client = new RegistryClient(server)
  const upload = location(await client.startUpload('lifecycle/upload'))
  const sent = Math.floor(blob.length / 2)
  const url = new URL(upload, server.url)
  url.searchParams.set('digest', sha256(blob))
  const put = request(url, { method: 'PUT', headers: { 'Content-Length': blob.length } })
  const response = Promise.withResolvers<IncomingMessage>()
  response.promise.catch(() => {})
  put.on('response', message => {
    message.resume()
    response.resolve(message)
  })
  put.on('error', response.reject)
  put.write(blob.subarray(0, sent))
  await until('half of the blob has arrived', async () => {
    return (await client.request('GET', upload)).headers.get('Range') === `0-${sent - 1}`
  })
  return { location: upload, request: put, sent, response: async () => await response.promise }
}

async function refuses(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1')
  try {
    await once(socket, 'connect')
    return false
  } catch (err) {
    return (err as NodeJS.ErrnoException).code === 'ECONNREFUSED'
  } finally {
    socket.destroy()
  }
}
