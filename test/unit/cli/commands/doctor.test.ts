import assert from 'node:assert/strict'
import { chmod, readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import type { Finding } from '../../../../src/appliance/doctor/finding.ts'
import { run } from '../../../../src/cli/program.ts'
import { TestAppliance } from '../../../fixtures/appliance.ts'
import { fakeServer } from '../../../fixtures/fake-server.ts'
import { freePort } from '../../../fixtures/free-port.ts'
import { snapshot } from '../../../fixtures/snapshot.ts'
import { temporaryDirectory } from '../../../fixtures/temporary.ts'
import { until } from '../../../fixtures/until.ts'
import { fakeContext } from '../fake-context.ts'
import { ipdr } from '../ipdr.ts'

interface Report {
  ok: number
  warnings: number
  wrong: number
  findings: Finding[]
}

async function report(...args: string[]): Promise<Report & { code: number; err: string }> {
  const { code, err, out } = await ipdr(['doctor', '--host', '127.0.0.1', '--network', 'offline', '--json', ...args])
  return { ...(JSON.parse(out) as Report), code, err }
}

/** What one check found */
function of({ findings }: Report, check: string): Finding[] {
  return findings.filter(finding => finding.check === check)
}

describe('ipdr doctor', () => {
  it('asks a running server, and tells when clients do not find it where the configuration says', async () => {
    await using directory = await temporaryDirectory()
    await chmod(directory.path, 0o700)
    const port = await freePort()
    await using _server = await TestAppliance.start(directory.path, { port })
    const right = await report('--data-dir', directory.path, '--port', `${port}`)
    assert.deepEqual([right.code, right.wrong, right.err], [0, 0, ''])
    assert.deepEqual(
      of(right, 'server').map(({ found }) => found),
      ['runs and is ready (OK)', `http://127.0.0.1:${port} answers`],
    )
    assert.equal(of(right, 'data directory')[0]!.found, `${directory.path} is in use by the server`)
    assert.match(of(right, 'clock')[0]!.found, /^agrees with the server/)
    assert.match(of(right, 'access rules')[0]!.advice!, /^ipdr access init private/)
    if (process.platform === 'linux') {
      assert.match(of(right, 'open files')[0]!.found, new RegExp(`^the server \\(process ${process.pid}\\)`))
    }
    const other = await report('--data-dir', directory.path, '--port', `${await freePort()}`)
    assert.deepEqual([other.code, other.wrong, of(other, 'registry port')[0]!.outcome], [1, 1, 'warning'])
    assert.match(of(other, 'server')[1]!.found, /can't be reached: ECONNREFUSED$/)
    assert.equal(
      (await readdir(directory.path)).some(name => name.startsWith('.doctor')),
      false,
    )
  })

  it('finds a server that has no socket by its port', { skip: process.platform !== 'linux' }, async () => {
    await using directory = await temporaryDirectory()
    const port = await freePort()
    await using _server = await TestAppliance.start(directory.path, { port })
    await rm(join(directory.path, 'admin.sock'))
    const found = await report('--data-dir', directory.path, '--port', `${port}`)
    assert.deepEqual([found.code, found.wrong], [0, 0])
    assert.equal(of(found, 'server')[1]!.found, `process ${process.pid} has no admin.sock, so its peers are not known`)
    const elsewhere = await report('--data-dir', directory.path, '--port', `${await freePort()}`)
    assert.match(
      of(elsewhere, 'data directory')[0]!.found,
      new RegExp(`^process ${process.pid} has .* open, but answers`),
    )
    assert.equal(elsewhere.code, 1)
  })

  it('tells of a server that is not ready, and of one that is not ours', async () => {
    await using directory = await temporaryDirectory()
    let status = 503
    const socket = join(directory.path, 'admin.sock')
    await using _server = await fakeServer((_request, res) => res.writeHead(status).end('starting or stopping'), socket)
    const flags = ['--data-dir', directory.path, '--port', '0']
    const [starting] = of(await report(...flags), 'server')
    assert.deepEqual([starting!.outcome, starting!.found], ['warning', 'runs, but is not ready: starting or stopping'])
    status = 200
    const other = await report(...flags)
    assert.deepEqual([other.code, of(other, 'server')[0]!.outcome], [1, 'wrong'])
  })

  it('looks at the directory itself without a server, and changes nothing', async () => {
    await using directory = await temporaryDirectory()
    const [dataDir, port] = [join(directory.path, 'data'), await freePort()]
    const flags = ['--data-dir', dataDir, '--port', `${port}`]
    const missing = await report(...flags)
    assert.deepEqual([missing.code, missing.wrong, await readdir(directory.path)], [0, 0, []])
    await (await TestAppliance.start(dataDir))[Symbol.asyncDispose]()
    const before = await snapshot(join(dataDir, 'index'))
    const found = await report(...flags)
    assert.deepEqual([found.code, found.wrong, of(found, 'data directory')[0]!.found], [0, 0, `${dataDir} can be used`])
    assert.deepEqual(await snapshot(join(dataDir, 'index')), before)
    assert.match(of(found, 'fsync')[0]!.found, /^takes /)
  })

  it('says what is wrong, what to do, and ends with 1', async () => {
    await using directory = await temporaryDirectory()
    await using upstream = await fakeServer((_request, res) => res.writeHead(500).end())
    await writeFile(join(directory.path, 'photo.jpg'), '')
    const flags = ['--data-dir', directory.path, '--port', upstream.host.split(':')[1]!, '--host', '127.0.0.1']
    const { code, err, out } = await ipdr([
      'doctor',
      ...flags,
      '--network',
      'offline',
      '--upstream',
      `up.test=${upstream.url}`,
    ])
    assert.equal(code, 1)
    assert.match(err, /^ipdr: something is wrong with this installation/)
    assert.match(out, /^wrong {4}registry port: port \d+ on 127\.0\.0\.1 is in use.*\n {9}-> Stop what listens there/m)
    assert.match(out, /^wrong {4}data directory: .* is neither empty nor a data directory of ipdr/m)
    assert.match(out, /^wrong {4}upstream up\.test: \S+ does not work: it answered 500\n {9}-> /m)
    assert.match(out, /^ok: \d+, warnings: \d+, wrong: 3\n$/m)
  })

  it('passes on what the configuration has wrong', async () => {
    const { code, findings } = await report('--port', 'x', '--log-level', 'loud')
    assert.deepEqual(
      findings.map(({ check, found, outcome }) => `${outcome} ${check}: ${found.split(':')[0]}`),
      [`ok Node.js: version ${process.versions.node}`, 'wrong configuration: port', 'wrong configuration: log.level'],
    )
    assert.equal(code, 1)
  })

  it('ends with Ctrl+C while an upstream is silent', async () => {
    await using directory = await temporaryDirectory()
    await using upstream = await fakeServer(async () => await new Promise(() => {}))
    const context = fakeContext()
    const flags = ['--data-dir', directory.path, '--port', '0', '--upstream', `up.test=${upstream.url}`]
    const running = run(['doctor', '--network', 'offline', ...flags], context)
    await until('the upstream is asked', () => upstream.requests.length > 0)
    context.process.emit('SIGINT')
    assert.equal(await running, 130)
  })
})
