/** What the audit log has of each request */
import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, beforeEach, describe, it } from 'node:test'
import type { AuditRecord } from '../../src/access/audit/audit-log.ts'
import type { Administration } from '../../src/upkeep/administration.ts'
import { basic, htpasswd } from '../fixtures/access.ts'
import { authorized, json, TestApp, type RequestInit } from '../fixtures/app.ts'
import { TestAppliance } from '../fixtures/appliance.ts'
import { sha256 } from '../fixtures/images.ts'
import { emptyJson, imageManifest, ociManifest } from '../fixtures/manifests.ts'
import { temporaryDirectory } from '../fixtures/temporary.ts'
import { until } from '../fixtures/until.ts'

const rules = `rules:
  - { who: [anonymous], repositories: ['public/**'], actions: [pull] }
  - { who: [authenticated], repositories: ['team/**'], actions: [pull, push] }
  - { who: ['user:boss'], repositories: ['**'], actions: [pull, push, tag, delete, admin] }
`
const users = { writer: 'writer-pw', boss: 'boss-pw' }
const [writer, boss] = [basic('writer', 'writer-pw'), basic('boss', 'boss-pw')]
const [one, two] = ['one', 'two'].map(text => imageManifest({ annotations: { text } })) as [Buffer, Buffer]
const layer = Buffer.from('a layer')
const type = { 'Content-Type': ociManifest }

describe('the audit log', () => {
  const records: AuditRecord[] = []
  const resources = new AsyncDisposableStack()
  let app: TestApp
  let socketPath: string
  before(async () => {
    socketPath = join(resources.use(await temporaryDirectory('audit')).path, 'admin.sock')
    app = resources.use(
      await TestApp.start({
        access: { rules, users },
        auditLog: { write: record => void records.push(record) },
        administration: { peers: () => [] } as unknown as Administration,
        socket: socketPath,
      }),
    )
  })
  after(async () => {
    await resources.disposeAsync()
  })
  beforeEach(() => {
    records.length = 0
  })

  /** The records of one request, without what is the same in all */
  async function recordsOf(method: string, path: string, init: RequestInit = {}): Promise<Record<string, unknown>[]> {
    const id = `test-${Math.random().toString(36).slice(2)}`
    records.length = 0
    const { status } = await app.request(method, path, { ...init, headers: { ...init.headers, 'X-Request-Id': id } })
    await app.logLine(id)
    return records.map(({ id: found, address, method: asked, status: answered, ...record }) => {
      assert.equal(found, id)
      assert.equal(address, init.socketPath === undefined ? '127.0.0.1' : undefined)
      assert.equal(asked, method)
      assert.equal(answered, status)
      return Object.fromEntries(Object.entries(record).filter(([, value]) => value !== undefined))
    })
  }

  const user = (name: string): object => ({ who: name, kind: 'user' })
  const stranger = { who: 'anonymous', kind: 'anonymous' }
  const rule = (line: number): object => ({ rule: `access.yml, line ${line}` })
  const allowed = (action: string): object => ({ action, outcome: 'allowed' })
  const denied = (action: string): object => ({ action, outcome: 'denied' })
  const failed = (action: string): object => ({ action, outcome: 'failed' })
  const app1 = { repository: 'team/app', reference: 'v1' }
  const manifests = '/v2/team/app/manifests'

  it('has pushes, moves of tags and pulls', async () => {
    const upload = async (bytes: Buffer): Promise<unknown> =>
      await recordsOf('POST', `/v2/team/app/blobs/uploads/?digest=${sha256(bytes)}`, { headers: writer, body: bytes })
    const blob = { repository: 'team/app', digest: sha256(layer) }
    assert.deepEqual(await upload(layer), [{ ...allowed('push'), ...user('writer'), ...blob, ...rule(3) }])
    await upload(emptyJson)
    const begun = await app.request('POST', '/v2/team/app/blobs/uploads/', { headers: writer })
    const path = `${String(begun.headers.location)}?digest=${sha256(layer)}`
    assert.deepEqual(await recordsOf('PUT', path, { headers: writer, body: layer }), [
      { ...allowed('push'), ...user('writer'), ...blob, ...rule(3) },
    ])
    const put = async (tag: string, body: Buffer, headers: Record<string, string>): Promise<unknown> =>
      await recordsOf('PUT', `${manifests}/${tag}`, { headers: { ...headers, ...type }, body })
    const digest = (bytes: Buffer): object => ({ digest: sha256(bytes) })
    assert.deepEqual(await put('v1', one, writer), [
      { ...allowed('push'), ...user('writer'), ...app1, ...digest(one), ...rule(3) },
    ])
    assert.deepEqual(await put('v1', two, writer), [{ ...denied('push'), ...user('writer'), ...app1, rule: 'none' }])
    assert.deepEqual(await put('v1', two, boss), [
      { ...allowed('tag'), ...user('boss'), ...app1, ...digest(two), moved: ['v1'], ...rule(4) },
    ])
    for (const method of ['GET', 'HEAD']) {
      assert.deepEqual(await recordsOf(method, `${manifests}/v1`, { headers: writer }), [
        {
          ...{ ...allowed('pull'), ...user('writer'), ...app1, ...digest(two), ...rule(3) },
          ...(method === 'GET' ? { sources: { disk: two.byteLength } } : {}),
        },
      ])
    }
    assert.deepEqual(await recordsOf('GET', `${manifests}/none`, { headers: writer }), [
      { ...failed('pull'), ...user('writer'), ...app1, reference: 'none', ...rule(3) },
    ])
    assert.deepEqual(await recordsOf('GET', '/dig?q=team/app:v1', { headers: writer }), [
      { ...allowed('pull'), ...user('writer'), path: '/dig', reference: 'team/app:v1', ...digest(two), ...rule(3) },
    ])
    assert.deepEqual(await recordsOf('GET', `/v2/team/app/blobs/${sha256(layer)}`, { headers: writer }), [])
  })

  it('has mounts and deletes', async () => {
    const mount = `/v2/team/copy/blobs/uploads/?mount=${sha256(layer)}&from=team/app`
    assert.deepEqual(await recordsOf('POST', mount, { headers: writer }), [
      {
        ...allowed('mount'),
        ...user('writer'),
        repository: 'team/copy',
        digest: sha256(layer),
        from: 'team/app',
        ...rule(3),
      },
    ])
    assert.deepEqual(await recordsOf('DELETE', `${manifests}/v1`, { headers: writer }), [
      { ...denied('delete'), ...user('writer'), ...app1, rule: 'none' },
    ])
    assert.deepEqual(await recordsOf('DELETE', `${manifests}/v1`, { headers: boss }), [
      { ...allowed('delete'), ...user('boss'), ...app1, ...rule(4) },
    ])
    assert.deepEqual(await recordsOf('DELETE', `/v2/team/copy/blobs/${sha256(layer)}`, { headers: boss }), [
      { ...allowed('delete'), ...user('boss'), repository: 'team/copy', digest: sha256(layer), ...rule(4) },
    ])
  })

  it('has refusals of what it does not have otherwise, and none of a question how to log in', async () => {
    assert.deepEqual(await recordsOf('GET', '/v2/'), [])
    assert.deepEqual(await recordsOf('GET', `${manifests}/v1`), [
      { ...denied('pull'), ...stranger, ...app1, rule: 'none' },
    ])
    assert.deepEqual(await recordsOf('GET', '/v2/team/app/tags/list'), [
      { ...denied('pull'), ...stranger, repository: 'team/app', rule: 'none' },
    ])
    assert.deepEqual(await recordsOf('POST', '/v2/team/app/blobs/uploads/'), [
      { ...denied('push'), ...stranger, repository: 'team/app', rule: 'none' },
    ])
    assert.deepEqual(await recordsOf('GET', '/v2/public/x/tags/list'), [])
    assert.deepEqual(await recordsOf('GET', '/none'), [])
    assert.deepEqual(await recordsOf('GET', '/livez'), [])
    await app.stores.readOnly.turnOn('moving')
    try {
      assert.deepEqual(await recordsOf('DELETE', `${manifests}/v1`, { headers: boss }), [
        { ...denied('delete'), ...user('boss'), path: `${manifests}/v1` },
      ])
    } finally {
      await app.stores.readOnly.turnOff()
    }
  })

  it('has log-ins, and names only users that there are', async () => {
    const token = '/auth/token?scope=repository:team/app:pull'
    assert.deepEqual(await recordsOf('GET', token, { headers: writer }), [
      { ...allowed('log-in'), ...user('writer'), path: '/auth/token' },
    ])
    const login = (who: string | undefined, path: string): object => ({
      ...failed('log-in'),
      ...(who === undefined ? {} : { who }),
      kind: 'unknown',
      path,
    })
    const form = (fields: Record<string, string>): RequestInit => ({
      headers: { 'Content-Type': 'application/x-www-form-urlencoded' },
      body: new URLSearchParams(fields).toString(),
    })
    const grant = { grant_type: 'password', username: 'boss', password: 'secret-guess' }
    assert.deepEqual(await recordsOf('GET', token, { headers: basic('writer', 'secret-guess') }), [
      login('writer', '/auth/token'),
    ])
    assert.deepEqual(await recordsOf('POST', '/auth/token', form(grant)), [login('boss', '/auth/token')])
    assert.deepEqual(await recordsOf('POST', '/auth/token', form({ ...grant, username: 'secret-guess' })), [
      login(undefined, '/auth/token'),
    ])
    assert.deepEqual(await recordsOf('GET', '/v2/', { headers: basic('secret-guess', 'x') }), [
      login(undefined, '/v2/'),
    ])
    assert.deepEqual(await recordsOf('GET', '/v2/', { headers: { Authorization: 'Bearer secret-guess' } }), [
      login(undefined, '/v2/'),
    ])
  })

  it('has administration, by whatever it was allowed', async () => {
    const path = '/ipdr/v1/peers'
    const admin = (who: string): object => ({ ...allowed('admin'), who, kind: 'administrator', path })
    assert.deepEqual(await recordsOf('GET', path, { headers: authorized }), [admin('admin token')])
    assert.deepEqual(await recordsOf('GET', path, { socketPath }), [admin('admin socket')])
    assert.deepEqual(await recordsOf('GET', path, { headers: boss }), [{ ...allowed('admin'), ...user('boss'), path }])
    assert.deepEqual(await recordsOf('GET', path, { headers: writer }), [
      { ...denied('admin'), ...user('writer'), path },
    ])
    assert.deepEqual(await recordsOf('GET', path), [{ ...denied('admin'), ...stranger, path }])
  })

  it('keeps names as they are, however they are crafted, and what a proxy says', async () => {
    const name = 'team/a\n{"action":"forged"}'
    const [record] = await recordsOf('GET', `/v2/${encodeURIComponent(name)}/manifests/v1`, {
      headers: { ...writer, 'X-Forwarded-For': '192.0.2.7' },
    })
    assert.deepEqual(record, {
      ...failed('pull'),
      ...user('writer'),
      repository: name,
      reference: 'v1',
      forwarded: '192.0.2.7',
    })
  })
})

describe('the audit log of a server', () => {
  it('is a file that tells of requests, and of users and rules that change, and never of a secret', async () => {
    await using directory = await temporaryDirectory('audit')
    const [dataDir, path] = ['data', 'audit.log'].map(name => join(directory.path, name)) as [string, string]
    const linesOf = async (): Promise<Record<string, unknown>[]> =>
      (await readFile(path, 'utf8'))
        .split('\n')
        .slice(0, -1)
        .map(line => JSON.parse(line) as Record<string, unknown>)
    const hashes = htpasswd(users)
    {
      await using server = await TestAppliance.start(dataDir, { access: { auditLog: path } })
      assert.equal((await server.client.request('GET', '/v2/team/app/manifests/v1')).status, 404)
      await writeFile(join(dataDir, 'htpasswd'), hashes)
      await writeFile(join(dataDir, 'access.yml'), rules)
      await until('the users', async () => (await linesOf()).some(({ action }) => action === 'users'))
      const answer = await server.client.request('GET', '/auth/token', { headers: writer })
      const { token } = json({ body: Buffer.from(await answer.arrayBuffer()) } as never) as { token: string }
      await until('the log-in', async () => (await linesOf()).some(({ action }) => action === 'log-in'))
      await writeFile(join(dataDir, 'access.yml'), 'rules: nonsense')
      await until('the complaint', async () => (await linesOf()).some(({ reason }) => reason !== undefined))
      const text = await readFile(path, 'utf8')
      for (const secret of [token, 'writer-pw', ...hashes.split('\n').map(line => line.split(':')[1]!)].filter(
        Boolean,
      )) {
        assert.ok(!text.includes(secret))
      }
    }
    const lines = (await linesOf()).map(({ action, outcome, who, added }) => [action, outcome, who, added])
    assert.deepEqual(lines, [
      ['pull', 'failed', 'anonymous', undefined],
      ['rules', 'changed', undefined, undefined],
      ['users', 'changed', undefined, ['writer', 'boss']],
      ['log-in', 'allowed', 'writer', undefined],
      ['rules', 'failed', undefined, undefined],
    ])
  })
})
