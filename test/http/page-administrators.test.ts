/** Who sees the pages for administrators, and who is kept from them */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { request, type IncomingMessage } from 'node:http'
import { after, before, describe, it } from 'node:test'
import type { AuditRecord } from '../../src/access/audit/audit-log.ts'
import { Events } from '../../src/events/events.ts'
import { basic } from '../fixtures/access.ts'
import { assertError, authorized, json, TestApp, type Reply } from '../fixtures/app.ts'
import { recordingLog } from '../fixtures/recording-log.ts'
import { until } from '../fixtures/until.ts'

const html = { Accept: 'text/html,application/xhtml+xml,*/*;q=0.8', 'User-Agent': 'Mozilla/5.0' }
const rules = `rules:\n  - { who: ['user:root'], repositories: ['**'], actions: [pull, push, delete, admin] }`
const users = { root: 'of root', alice: 'of alice' }
const wrong = { Authorization: 'Bearer wrong' }
const paths = ['/ui/api/network', '/ui/api/storage', '/ui/api/access', '/ui/api/upstreams', '/ui/api/live?of=network']
const status = {
  network: { report: async () => ({ peers: 1 }) as never },
  storage: { report: async () => ({ used: 5 }) as never },
}

interface Session {
  mayAdminister: boolean
  takesToken: boolean
  adminAddress?: { host: string; port: number }
}

async function sessionOf(app: TestApp, headers: Record<string, string> = {}, port?: number): Promise<Session> {
  const reply = await app.request('GET', '/ui/api/session', { headers, port: port ?? app.port })
  assert.equal(reply.status, 200)
  return json(reply) as Session
}

async function mayAdminister(app: TestApp, headers: Record<string, string> = {}): Promise<boolean> {
  return (await sessionOf(app, headers)).mayAdminister
}

/** The status of an answer, of which no more is read: one may have no end */
async function statusOf(port: number, path: string, headers: Record<string, string>, method = 'GET'): Promise<number> {
  const sent = request({ host: '127.0.0.1', port, path, method, headers, agent: false })
  sent.on('error', () => {})
  sent.end()
  const [res] = (await once(sent, 'response')) as [IncomingMessage]
  res.resume()
  sent.destroy()
  return res.statusCode!
}

describe('an administrator of pages', () => {
  let events: Events
  let app: TestApp
  let apart: TestApp
  before(async () => {
    const change = { commit: async () => {} } as never
    events = new Events({ index: { change: () => change }, log: recordingLog() }, { kinds: new Set(), source: '//x' })
    await events.start()
    const administration = {} as never
    app = await TestApp.start({ administration, events, status })
    apart = await TestApp.start({ administration, events, status, adminPort: true })
  })
  after(async () => {
    await app[Symbol.asyncDispose]()
    await apart[Symbol.asyncDispose]()
  })

  it('is who the rules let administer, or who shows the token where there are no rules', async () => {
    await using open = await TestApp.start()
    assert.equal(await mayAdminister(open), false)
    assert.equal(await mayAdminister(open, wrong), false)
    assert.equal(await mayAdminister(open, authorized), true)
    assert.equal((await sessionOf(open)).takesToken, true)
    open.access.change({ rules, users })
    assert.equal(await mayAdminister(open, basic('root', 'of root')), true)
    assert.equal(await mayAdminister(open, basic('alice', 'of alice')), false)
    assert.partialDeepStrictEqual(await sessionOf(open), { mayAdminister: false, takesToken: false })
    open.access.change({ rules: rules.replace('user:root', 'anonymous'), users })
    assert.equal(await mayAdminister(open), false)
  })

  it('sees on an open registry what nobody sees with a wrong token, an old one or none', async () => {
    for (const path of paths) {
      assert.equal(await statusOf(app.port, path, authorized), 200, path)
      for (const headers of [{}, wrong, basic('admin', 'token-of-the-test-app')]) {
        const reply = await app.get(path, headers)
        assert.equal(reply.status, 401, path)
        assert.doesNotMatch(String(reply.headers['www-authenticate']), /Basic/i)
      }
    }
    app.isTokenWithdrawn = true
    for (const path of paths) {
      assert.equal((await app.get(path, authorized)).status, 401, path)
    }
    assert.equal(await mayAdminister(app, authorized), false)
    app.isTokenWithdrawn = false
  })

  it('is in the audit log by the token, which is not there itself', async () => {
    const lines: AuditRecord[] = []
    const auditLog = { write: (line: AuditRecord): void => void lines.push(line) }
    await using open = await TestApp.start({ auditLog })
    const headers = { ...authorized, Origin: `http://127.0.0.1:${open.port}` }
    assert.equal((await open.request('DELETE', '/ui/api/access/keys?name=none', { headers })).status, 404)
    await until('the line is there', () => lines.length > 0)
    assert.partialDeepStrictEqual(lines, [{ action: 'admin', who: 'admin token', kind: 'administrator' }])
    assert.doesNotMatch(JSON.stringify(lines), /token-of-the-test-app/)
  })

  it('is told nothing more by a page that is open once the token is withdrawn', async () => {
    const options = { host: '127.0.0.1', port: app.port, path: '/ui/api/live?of=network', headers: authorized }
    const sent = request({ ...options, agent: false })
    sent.end()
    const [res] = (await once(sent, 'response')) as [IncomingMessage]
    let text = ''
    res.setEncoding('utf8').on('data', (data: string) => {
      text += data
    })
    await until('a report is there', () => text.includes('event: report'))
    app.isTokenWithdrawn = true
    await once(res, 'end')
    app.isTokenWithdrawn = false
  })

  it('is not used by a page of another site, nor by a name that an attacker has had resolved to this server', async () => {
    for (const port of [app.port, apart.adminPort]) {
      const attacks = [
        [403, { Origin: 'https://evil.example', Host: `127.0.0.1:${port}` }],
        [403, { 'Sec-Fetch-Site': 'cross-site', Host: `127.0.0.1:${port}` }],
        [403, { 'Sec-Fetch-Site': 'same-site', Host: `127.0.0.1:${port}` }],
        [403, { Origin: 'null', Host: `127.0.0.1:${port}` }],
        [421, { Origin: `http://evil.example:${port}`, Host: `evil.example:${port}` }],
      ] as const
      for (const [refusal, headers] of attacks) {
        for (const [method, path] of [...paths.map(path => ['GET', path]), ['POST', '/ui/api/gc']] as const) {
          const found = await statusOf(port, path!, { ...authorized, ...headers }, method)
          assert.equal(found, refusal, `${method} ${path} ${JSON.stringify(headers)}`)
        }
      }
      const own = { Origin: `http://127.0.0.1:${port}`, 'Sec-Fetch-Site': 'same-origin' }
      assert.equal(await statusOf(port, '/ui/api/network', { ...authorized, ...own }), 200)
    }
  })

  it('is told of the port that administration has for itself, where he may know', async () => {
    assert.deepEqual(await sessionOf(apart, authorized), {
      mayAdminister: false,
      mayLogOut: false,
      takesToken: false,
      adminAddress: { host: '127.0.0.1', port: apart.adminPort },
      logIn: [],
    })
    for (const path of paths) {
      assert.equal((await apart.get(path, authorized)).status, 403, path)
    }
    apart.access.change({ rules, users })
    assert.ok((await sessionOf(apart, basic('root', 'of root'))).adminAddress)
    assert.equal((await sessionOf(apart, basic('alice', 'of alice'))).adminAddress, undefined)
    assert.equal((await sessionOf(apart)).adminAddress, undefined)
    apart.access.change({})
  })

  describe('at a port of his own', () => {
    const get = async (path: string, headers: Record<string, string> = {}): Promise<Reply> =>
      await apart.request('GET', path, { headers, port: apart.adminPort })

    it('finds the pages for administrators and no others', async () => {
      const page = await get('/', html)
      assert.equal(page.status, 200)
      assert.match(String(page.body), /<html data-pages="administration"/)
      assert.match(String(page.headers['content-security-policy']), /default-src 'none'/)
      assert.doesNotMatch(String((await apart.get('/', html)).body), /data-pages/)
      const file = /"(ui\/\w+\/main\.ts)"/.exec(String(page.body))![1]!
      assert.equal((await get(`/${file}`)).status, 200)
      assertError(await get('/v2/', authorized), 'NOT_FOUND')
      for (const path of ['repositories', 'tags?repository=app', 'history?repository=app']) {
        assert.equal((await get(`/ui/api/${path}`, authorized)).status, 404, path)
      }
    })

    it('shows the token, whether there are rules or not, and nobody else sees anything', async () => {
      for (const access of [{}, { rules, users }]) {
        apart.access.change(access)
        for (const path of [...paths, '/ui/api/live', '/ui/api/repositories']) {
          for (const headers of [{}, wrong, ...('rules' in access ? [basic('alice', 'wrong')] : [])]) {
            const reply = await get(path, headers)
            assert.equal(reply.status, 401, path)
            assert.doesNotMatch(String(reply.headers['www-authenticate']), /Basic/i)
          }
        }
        for (const path of [...paths, '/ui/api/live']) {
          assert.equal(await statusOf(apart.adminPort, path, authorized), 200, path)
        }
        assert.partialDeepStrictEqual(await sessionOf(apart, authorized, apart.adminPort), { mayAdminister: true })
        assert.partialDeepStrictEqual(await sessionOf(apart, wrong, apart.adminPort), {
          mayAdminister: false,
          takesToken: true,
        })
      }
      apart.access.change({})
    })

    it('or logs in by a password where there are rules', async () => {
      apart.access.change({ rules, users })
      const asked = await get('/ui/log-in?to=/-/storage')
      assert.deepEqual([asked.status, asked.headers['www-authenticate']], [401, 'Basic realm="ipdr", charset="UTF-8"'])
      const { headers } = await get('/ui/log-in?to=/-/storage', basic('root', 'of root'))
      assert.equal(headers['location'], '../#/-/storage')
      assert.equal(await statusOf(apart.adminPort, '/ui/api/network', basic('root', 'of root')), 200)
      assert.equal(await statusOf(apart.adminPort, '/ui/api/network', basic('alice', 'of alice')), 403)
      apart.access.change({})
    })
  })

  it('finds no pages by a socket, and none where they are turned off', async () => {
    await using without = await TestApp.start({ ui: false, adminPort: true })
    for (const path of ['/', '/ui/api/session', '/ui/api/network']) {
      const reply = await without.request('GET', path, { headers: { ...html, ...authorized }, port: without.adminPort })
      assertError(reply, 'NOT_FOUND')
    }
  })
})
