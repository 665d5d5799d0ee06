import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdir, readFile } from 'node:fs/promises'
import { connect as connectHttp2 } from 'node:http2'
import { Agent } from 'node:https'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import type { TLSSocket } from 'node:tls'
import type { Administration } from '../../src/upkeep/administration.ts'
import { basic, bearer } from '../fixtures/access.ts'
import { json, TestApp, type RequestInit } from '../fixtures/app.ts'
import { CertificateAuthority, readPair, type CertificatePair } from '../fixtures/certificates.ts'
import { imageManifest, ociManifest } from '../fixtures/manifests.ts'
import { temporaryDirectory, type TemporaryDirectory } from '../fixtures/temporary.ts'

const rules = `
groups:
  builders: ['cert:builder']
rules:
  - { who: [authenticated], repositories: ['team/**'], actions: [pull] }
  - { who: ['group:builders'], repositories: ['team/**'], actions: [push, tag] }
  - { who: ['user:builder', 'user:reader'], repositories: ['secret/**'], actions: [pull] }
  - { who: ['cert:boss'], repositories: ['**'], actions: [pull, push, tag, delete, admin] }
  - { who: ['cert:spiffe://cluster/runner'], repositories: ['runner/app'], actions: [pull] }
`
const team = '/v2/team/app/manifests/v1'

let directory: TemporaryDirectory
let authority: CertificateAuthority
let other: CertificateAuthority
let server: CertificatePair
let app: TestApp
const clients: Record<string, CertificatePair> = {}

before(async () => {
  directory = await temporaryDirectory('client-certificates')
  authority = await CertificateAuthority.create(directory.path)
  const elsewhere = join(directory.path, 'other')
  await mkdir(elsewhere)
  other = await CertificateAuthority.create(elsewhere)
  server = await readPair(await authority.issue('server'))
  for (const [name, subject, alternativeNames] of [
    ['builder', '/CN=builder'],
    ['boss', '/O=us/CN=boss', 'DNS:builder'],
    ['runner', '/O=us', 'DNS:runner.test,URI:spiffe://cluster/runner'],
    ['nameless', '/O=us'],
    ['blank', '/CN=boss is a builder', 'DNS:other'],
    ['twice', '/CN=boss/CN=builder'],
  ] as const) {
    clients[name] = await readPair(await authority.issueClient(name, subject, alternativeNames))
  }
  clients['another authority'] = await readPair(await other.issueClient('boss', '/CN=boss'))
  const administration = { peers: () => [] } as unknown as Administration
  app = await TestApp.start({
    access: {},
    administration,
    server: { tls: { ...server, clientCa: await readFile(authority.cert, 'utf8') } },
  })
  const manifest = { headers: { 'Content-Type': ociManifest }, body: imageManifest({ layers: [] }) }
  for (const repository of ['team/app', 'secret/app', 'runner/app']) {
    await app.request('POST', `/v2/${repository}/blobs/uploads/?digest=${emptyDigest}`, { body: '{}' })
    assert.equal((await app.request('PUT', `/v2/${repository}/manifests/v1`, manifest)).status, 201)
  }
  app.access.change({ rules, users: { reader: 'of the reader', builder: 'of the builder' } })
})
after(async () => {
  await app[Symbol.asyncDispose]()
  await directory[Symbol.asyncDispose]()
})

const emptyDigest = 'sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a'

type Options = Pick<RequestInit, 'agent' | 'client' | 'headers'>

async function statusOf(path: string, options: Options = {}): Promise<number> {
  return (await app.request('GET', path, options)).status
}

describe('a client certificate', () => {
  it('is a log-in, without any token', async () => {
    const client = clients['builder']
    assert.deepEqual(await statusOf('/v2/', { client }), 200)
    assert.deepEqual(await statusOf(team, { client }), 200)
    assert.equal((await app.request('POST', '/v2/team/app/blobs/uploads/', { client })).status, 202)
    assert.equal((await app.request('DELETE', team, { client })).status, 403)
    assert.equal(await statusOf('/ipdr/v1/peers', { client }), 403)
    assert.equal(await statusOf('/ipdr/v1/peers', { client: clients['boss'] }), 200)
  })

  it('is one over HTTP/2, too', async () => {
    for (const [client, expected] of [
      [clients['builder'], 200],
      [clients['another authority'], 401],
      [undefined, 401],
    ] as const) {
      const session = connectHttp2(`https://127.0.0.1:${app.port}`, { ...client, rejectUnauthorized: false })
      try {
        const stream = session.request({ ':path': team })
        const [headers] = await once(stream, 'response')
        assert.equal(headers[':status'], expected)
        stream.close()
      } finally {
        session.close()
      }
    }
  })

  it('is no user of that name', async () => {
    assert.equal(await statusOf('/v2/secret/app/manifests/v1', { client: clients['builder'] }), 403)
    const headers = basic('builder', 'of the builder')
    assert.equal(await statusOf('/v2/secret/app/manifests/v1', { headers }), 200)
  })

  it('names by the common name, or else by a URI before other names', async () => {
    const readable = async (name: string): Promise<number[]> =>
      await Promise.all(
        [team, '/v2/secret/app/manifests/v1', '/v2/runner/app/manifests/v1'].map(
          async path => await statusOf(path, { client: clients[name] }),
        ),
      )
    assert.deepEqual(await readable('boss'), [200, 200, 200])
    assert.deepEqual(await readable('runner'), [200, 403, 200])
    assert.deepEqual(await readable('blank'), [200, 403, 403])
  })

  it('that names nobody, or was signed by another authority, or not for clients, is none', async () => {
    for (const name of ['nameless', 'twice', 'another authority']) {
      assert.equal(await statusOf('/v2/', { client: clients[name] }), 401, name)
      assert.equal(await statusOf(team, { client: clients[name] }), 401, name)
      const headers = basic('reader', 'of the reader')
      assert.equal(await statusOf(team, { client: clients[name], headers }), 200, name)
    }
    assert.equal(await statusOf('/v2/'), 401)
  })

  it('counts for less than what stands in Authorization', async () => {
    const client = clients['boss']
    assert.equal(await statusOf(team, { client, headers: basic('reader', 'wrong') }), 401)
    assert.equal(
      await statusOf('/v2/runner/app/manifests/v1', { client, headers: basic('reader', 'of the reader') }),
      403,
    )
  })

  it('has tokens that are worth nothing without it', async () => {
    const client = clients['builder']
    const path = '/auth/token?offline_token=true&scope=repository:team/app:pull'
    const { token, refresh_token } = json(await app.request('GET', path, { client })) as {
      token: string
      refresh_token?: string
    }
    assert.equal(refresh_token, undefined)
    const headers = bearer(token)
    assert.equal(await statusOf(team, { client, headers }), 200)
    assert.equal(await statusOf(team, { headers }), 401)
    assert.equal(await statusOf(team, { client: clients['boss'], headers }), 401)
  })

  it('counts no more, on connections that are there, once its authority is another one', async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    const resuming = new Agent({ maxCachedSessions: 10 })
    const client = clients['builder']
    const options = { client, agent }
    try {
      const { socket, status } = await app.request('GET', team, options)
      assert.equal(status, 200)
      assert.equal(await statusOf(team, { client, agent: resuming }), 200)
      app.setCertificate({ ...server, clientCa: await readFile(authority.cert, 'utf8') })
      assert.equal(await statusOf(team, options), 200, 'nothing has changed')
      app.setCertificate({ ...server, clientCa: await readFile(other.cert, 'utf8') })
      const later = await app.request('GET', team, options)
      assert.ok(later.socket === socket)
      assert.equal(later.status, 401)
      assert.equal(await statusOf(team, { client }), 401)
      assert.equal(await statusOf(team, { client, agent: resuming }), 401, 'nor in a session that is resumed')
      assert.equal(await statusOf(team, { client: clients['another authority'] }), 200)
    } finally {
      app.setCertificate({ ...server, clientCa: await readFile(authority.cert, 'utf8') })
      agent.destroy()
      resuming.destroy()
    }
  })

  it('is not taken from a session that had none', async () => {
    const agent = new Agent({ keepAlive: false, maxCachedSessions: 10 })
    try {
      const statuses = []
      let reused = 0
      for (let i = 0; i < 5; i++) {
        const { status, socket } = await app.request('GET', team, { agent })
        statuses.push(status)
        reused += (socket as TLSSocket).isSessionReused() ? 1 : 0
      }
      assert.deepEqual(statuses, [401, 401, 401, 401, 401])
      assert.ok(reused > 0, 'sessions are resumed')
    } finally {
      agent.destroy()
    }
  })
})
