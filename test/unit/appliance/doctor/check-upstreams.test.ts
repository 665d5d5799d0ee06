import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { readFile, writeFile } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { describe, it } from 'node:test'
import { checkClock } from '../../../../src/appliance/doctor/check-clock.ts'
import { checkUpstreams, type CheckedUpstreams } from '../../../../src/appliance/doctor/check-upstreams.ts'
import { parseConfig } from '../../../../src/config/load.ts'
import { basic } from '../../../fixtures/access.ts'
import { CertificateAuthority, readPair } from '../../../fixtures/certificates.ts'
import { fakeServer, type FakeServer, type SeenRequest } from '../../../fixtures/fake-server.ts'
import { temporaryDirectory } from '../../../fixtures/temporary.ts'

const { signal } = new AbortController()

async function check(upstream: Record<string, unknown>, stop = signal): Promise<CheckedUpstreams> {
  return await checkUpstreams(parseConfig({ upstreams: [{ name: 'up.test', ...upstream }] }), stop)
}

async function verdict(upstream: Record<string, unknown>): Promise<string> {
  const { findings } = await check(upstream)
  assert.equal(findings.length, 1)
  const [{ found, outcome }] = findings as [CheckedUpstreams['findings'][number]]
  return `${outcome}: ${found.replace(/https?:\S+/, 'URL').replace(/\d+ ms/, 'N ms')}`
}

/** A registry that wants `ann:right`, as a password or for a token */
async function withLogIn(kind: 'Basic' | 'Bearer'): Promise<FakeServer> {
  const server = await fakeServer(({ headers, url }: SeenRequest, res) => {
    const isRight = headers.authorization === basic('ann', 'right').Authorization
    if (url.startsWith('/token')) {
      res.writeHead(isRight ? 200 : 401).end(JSON.stringify({ token: 'a-token' }))
      return
    }
    const isIn = kind === 'Basic' ? isRight : headers.authorization === 'Bearer a-token'
    const challenge = kind === 'Basic' ? 'Basic realm="up"' : `Bearer realm="${server.url}/token",service="up"`
    res.writeHead(isIn ? 200 : 401, isIn ? {} : { 'WWW-Authenticate': challenge }).end('{}')
  })
  return server
}

describe('the check of upstreams', () => {
  it('asks each whether it is a registry, and how far its clock is off', async () => {
    const date = new Date(Date.now() - 120_000).toUTCString()
    await using server = await fakeServer((_request, res) => res.writeHead(200, { Date: date }).end('{}'))
    assert.equal(await verdict({ url: server.url }), 'ok: URL answered in N ms')
    assert.deepEqual(
      server.requests.map(({ method, url }) => `${method} ${url}`),
      ['GET /v2/'],
    )
    const { clocks } = await check({ url: server.url })
    const [clock] = checkClock(clocks)
    assert.match(`${clock!.outcome} ${clock!.found}`, /^warning this machine is 1[12]\d s ahead of upstream up\.test/)
  })

  for (const kind of ['Basic', 'Bearer'] as const) {
    it(`tells whether a log-in is taken: ${kind}`, async () => {
      await using directory = await temporaryDirectory()
      await using server = await withLogIn(kind)
      const file = join(directory.path, 'log-in')
      await writeFile(file, 'ann:right')
      assert.equal(
        await verdict({ url: server.url, credentials: file }),
        'ok: URL answered in N ms and takes the log-in',
      )
      await writeFile(file, 'ann:wrong')
      assert.equal(await verdict({ url: server.url, credentials: file }), 'wrong: URL refuses the log-in (401)')
      assert.equal(await verdict({ url: server.url }), 'wrong: URL wants a log-in (401)')
    })
  }

  it('asks a credential helper once', async t => {
    await using directory = await temporaryDirectory()
    await using server = await withLogIn('Basic')
    const asked = join(directory.path, 'asked')
    await writeFile(
      join(directory.path, 'docker-credential-doctor'),
      `#!/bin/sh\nread host\necho $host >> ${asked}\necho '{"Username":"ann","Secret":"right"}'\n`,
      { mode: 0o755 },
    )
    const { PATH } = process.env
    t.after(() => {
      process.env['PATH'] = PATH
    })
    process.env['PATH'] = `${directory.path}${delimiter}${PATH}`
    const taken = await verdict({ url: server.url, credentialHelper: 'doctor' })
    assert.equal(taken, 'ok: URL answered in N ms and takes the log-in')
    assert.equal(await readFile(asked, 'utf8'), `${server.host}\n`)
  })

  it('tells of a log-in that is not there', async () => {
    assert.match(
      await verdict({ url: 'http://127.0.0.1:9', credentials: '/none' }),
      /^wrong: log-in \/none of upstream/,
    )
  })

  it('knows what no registry answers, and one that is overloaded', async () => {
    let status = 404
    await using server = await fakeServer((_request, res) => res.writeHead(status).end())
    assert.equal(await verdict({ url: server.url }), 'wrong: URL answered 404, which no registry does')
    status = 502
    assert.equal(await verdict({ url: server.url }), 'wrong: URL does not work: it answered 502')
    status = 429
    assert.equal(await verdict({ url: server.url }), 'warning: URL is asked too often (429)')
  })

  it('names what is wrong with a certificate', async () => {
    await using directory = await temporaryDirectory()
    const authority = await CertificateAuthority.create(directory.path)
    const server = createServer(await readPair(await authority.issue('up')), (_req, res) => res.end('{}'))
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    try {
      const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`
      assert.match(await verdict({ url }), /^wrong: the certificate of URL is refused: UNABLE_TO_\w+$/)
      assert.equal(await verdict({ url, ca: authority.cert }), 'ok: URL answered in N ms')
    } finally {
      server.close()
      server.closeAllConnections()
    }
  })

  it('ends with the signal, and gives up on one that is silent', async () => {
    await using server = await fakeServer(async () => await new Promise(() => {}))
    const stop = new AbortController()
    const reason = new Error('stopped')
    const checking = check({ url: server.url }, stop.signal)
    stop.abort(reason)
    await assert.rejects(checking, reason)
    const began = performance.now()
    assert.equal(await verdict({ url: server.url }), 'wrong: URL does not answer within 5 s')
    assert.ok(performance.now() - began < 7000)
  })
})
