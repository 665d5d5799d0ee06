/** A real browser, a real provider of OpenID Connect and a real server; and pages that try to use the log-in */
import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { basic, bearer, initAccess } from '../fixtures/access.ts'
import { CertificateAuthority } from '../fixtures/certificates.ts'
import { Chromium } from '../fixtures/chromium.ts'
import type { ChromiumPage } from '../fixtures/chromium-page.ts'
import { HostileSite } from '../fixtures/hostile-site.ts'
import { sha256 } from '../fixtures/images.ts'
import { audience } from '../fixtures/issuer.ts'
import { LoginProvider, registryClient, workloadClient } from '../fixtures/login-provider.ts'
import { startNginx, type Nginx } from '../fixtures/nginx.ts'
import { tryRun } from '../fixtures/run.ts'
import { ServerProcess } from '../fixtures/server.ts'
import { temporaryDirectory } from '../fixtures/temporary.ts'
import { builtTool } from '../fixtures/tools.ts'
import { until } from '../fixtures/until.ts'
import { Visitor } from '../fixtures/visitor.ts'

const stolen = 'stolen'
const upload = `/v2/team/app/blobs/uploads/?digest=${sha256(Buffer.from(stolen))}`

describe('a log-in by a browser', { timeout: 600_000 }, () => {
  const resources = new AsyncDisposableStack()
  let directory: string
  let server: ServerProcess
  let provider: LoginProvider
  let proxy: Nginx

  before(async () => {
    directory = resources.use(await temporaryDirectory('log-in')).path
    const dataDir = join(directory, 'data')
    await initAccess('private', dataDir)
    const args = ['--hosts', 'registry.example', '--log-format', 'json']
    server = resources.use(await ServerProcess.start({ dataDir, args }))
    const authority = await CertificateAuthority.create(directory)
    const tls = await authority.issue('nginx')
    const init = { directory: join(directory, 'nginx'), config: 'nginx.conf', tls, registry: server.host }
    proxy = resources.use(await startNginx(init))
    const origins = ['http://registry.example', 'http://127.0.0.1'].map(origin => `${origin}:${server.port}`)
    const redirectUris = [...origins, `https://localhost:${proxy.port}`].map(origin => `${origin}/auth/callback`)
    provider = resources.use(await LoginProvider.start({ people: { alice: { groups: ['developers'] } }, redirectUris }))
    await writeFile(join(dataDir, 'corp-secret'), registryClient.secret)
    await writeFile(
      join(dataDir, 'access.yml'),
      `
issuers:
  corp:
    issuer: ${provider.url}
    audience: https://${audience}
    groupsClaim: groups
    login: { clientId: ${registryClient.id}, clientSecretFile: corp-secret, scopes: [groups] }
rules:
  - { who: ['group:corp:developers', 'user:corp:${workloadClient.id}'], repositories: ['team/**'], actions: [pull, push, tag] }
`,
    )
    await until('the rules', async () => {
      const reply = await fetch(`${server.url}/auth/login`, { redirect: 'manual' })
      return reply.status === 302
    })
  })
  after(async () => {
    await resources.disposeAsync()
  })

  async function logIn(page: ChromiumPage, url: string): Promise<void> {
    await page.open(`${url}/auth/login?issuer=corp&to=/auth/me`)
    await page.waitFor(/\/interaction\//, /<form/)
    await page.run(`document.forms[0].user.value = 'alice'; document.forms[0].submit()`)
    assert.match(await page.waitFor(/\/auth\/me$/, /"name"/), /"name":"corp:alice".*"groups":\["corp:developers"\]/)
  }

  /** `<method> <path> <status> <user>` of what a browser sent since the log had this length */
  function requests(since: number): string[] {
    return server.log
      .slice(since)
      .split('\n')
      .filter(line => line.includes('Mozilla/'))
      .map(line => JSON.parse(line) as Record<string, string>)
      .map(({ method, url, status, user }) => `${method} ${url} ${status} ${user}`)
      .filter(line => !line.includes('favicon'))
  }

  for (const [registry, attacker] of [
    ['registry.example', 'evil.example'],
    ['registry.example', 'evil.registry.example'],
    // other ports of one host get its cookies
    ['127.0.0.1', '127.0.0.1'],
  ] as const) {
    it(`to ${registry} works, and is of no use to a page of ${attacker}`, async () => {
      const url = `http://${registry}:${server.port}`
      await using browser = await Chromium.open('about:blank')
      const page = await browser.page()
      await logIn(page, url)
      assert.ok((await page.cookies()).includes(`ipdr-session at ${registry}`))
      await page.open(`${url}/v2/_catalog`)
      await page.waitFor(/_catalog$/, /repositories/)
      const since = server.log.length
      await using site = await HostileSite.start(`
        const credentials = 'include'
        await take('catalog', '${url}/v2/_catalog', { credentials })
        await take('me', '${url}/auth/me', { credentials, mode: 'no-cors' })
        await take('blob', '${url}${upload}', { method: 'POST', mode: 'no-cors', credentials, body: '${stolen}' })
        await take('logout', '${url}/auth/logout', { method: 'POST', mode: 'no-cors', credentials })
        await submit('${url}/v2/team/form/blobs/uploads/')`)
      await page.open(site.urlAt(attacker))
      assert.deepEqual(await site.loot(), {})
      const got = await until('the form', () =>
        requests(since).some(line => line.startsWith('POST /v2/team/form')) ? requests(since) : undefined,
      )
      assert.deepEqual(got.filter(line => line.startsWith('POST')).sort(), [
        'POST /auth/logout 403 undefined',
        `POST ${upload} 403 undefined`,
        'POST /v2/team/form/blobs/uploads/ 403 undefined',
      ])
      // without TLS, nothing tells a read by a page of the same site from one that somebody opens; yet it gets nothing
      const unknown = attacker.endsWith(`.${registry}`) ? ['GET /auth/me 200 corp:alice'] : []
      assert.deepEqual(
        got.filter(line => line.includes('corp:alice')),
        unknown,
      )
      await page.open(`${url}/auth/me`)
      await page.waitFor(/\/auth\/me$/, /corp:alice/)
    })
  }

  it('works behind nginx, which ends TLS', async () => {
    const visitor = new Visitor()
    const form = await visitor.open(`https://localhost:${proxy.port}/auth/login?issuer=corp`)
    const page = await visitor.logIn(form, 'alice')
    assert.equal(page.url, `https://localhost:${proxy.port}/auth/me`)
    assert.match(page.text, /"name":"corp:alice"/)
    assert.match(visitor.seen.at(-1) ?? '', /^__Host-ipdr-session=.*; Secure;/)
  })

  it('is offered where a page needs one', async () => {
    await using browser = await Chromium.open(`${server.url}/v2/team/app/tags/list`)
    const page = await browser.page()
    const html = await page.waitFor(/tags\/list$/, /logIn/)
    assert.match(html, /\/auth\/login\?issuer=corp&amp;to=%2Fv2%2Fteam%2Fapp%2Ftags%2Flist/)
  })

  it('stands beside the tokens of workloads of the same provider', async () => {
    const token = await provider.workloadToken()
    for (const headers of [bearer(token), basic('x', token)]) {
      const reply = await fetch(`${server.url}/auth/me`, { headers })
      assert.equal(((await reply.json()) as { name: string }).name, `corp:${workloadClient.id}`)
    }
    const env = { HOME: directory, DOCKER_CONFIG: directory }
    const crane = async (...args: string[]): Promise<string> => {
      const { code, stdout, stderr } = await tryRun(builtTool('crane'), args, { cwd: directory, env })
      assert.equal(code, 0, stderr)
      return stdout
    }
    await crane('auth', 'login', server.host, '-u', 'x', '-p', token)
    await writeFile(join(directory, 'layer.tar'), Buffer.alloc(1024))
    await crane('append', '--oci-empty-base', '-f', 'layer.tar', '-t', `${server.host}/team/built:v1`)
    assert.match(await crane('manifest', `${server.host}/team/built:v1`), /"layers"/)
    const { code, stderr } = await tryRun(
      builtTool('crane'),
      ['append', '--oci-empty-base', '-f', 'layer.tar', '-t', `${server.host}/sales/built:v1`],
      { cwd: directory, env },
    )
    assert.notEqual(code, 0)
    assert.match(stderr, /DENIED|403/)
    assert.ok(!server.log.includes(token))
  })
})
