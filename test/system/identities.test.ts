/** API keys, tokens of other issuers and client certificates, with the clients that people use */
import assert from 'node:assert/strict'
import { copyFile, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { bearer, initAccess } from '../fixtures/access.ts'
import { CertificateAuthority, type CertificatePaths } from '../fixtures/certificates.ts'
import { startContainerd } from '../fixtures/containerd.ts'
import { makeImage, writeLayout } from '../fixtures/images.ts'
import { ipdr, tryIpdr } from '../fixtures/ipdr.ts'
import { audience, TestIssuer } from '../fixtures/issuer.ts'
import { tryRun, type RunResult } from '../fixtures/run.ts'
import { ServerProcess } from '../fixtures/server.ts'
import { temporaryDirectory } from '../fixtures/temporary.ts'
import { builtTool, installedTool } from '../fixtures/tools.ts'
import { until } from '../fixtures/until.ts'

const minute = 60_000

suite('who asks', { timeout: 10 * minute }, () => {
  const resources = new AsyncDisposableStack()
  let directory: string
  let dataDir: string
  let plain: ServerProcess
  let secure: ServerProcess
  let authority: CertificateAuthority
  let builder: CertificatePaths
  let issuer: TestIssuer

  before(async () => {
    issuer = resources.use(await TestIssuer.start())
    directory = resources.use(await temporaryDirectory('identities')).path
    authority = await CertificateAuthority.create(directory)
    builder = await authority.issueClient('builder', '/CN=builder')
    const rules = `
issuers:
  github:
    issuer: ${issuer.url}
    audience: ${audience}
    userClaim: repository
    require: { repository_owner: example-org }
rules:
  - { who: ['user:github:example-org/app', 'cert:builder'], repositories: ['team/**'], actions: [pull, push, tag] }
  - { who: ['issuer:github'], repositories: ['team/**'], actions: [pull] }
`
    dataDir = join(directory, 'data')
    for (const data of [dataDir, join(directory, 'secure')]) {
      await initAccess('private', data)
      await writeFile(join(data, 'access.yml'), rules)
    }
    plain = resources.use(await ServerProcess.start({ dataDir }))
    const args = ['--tls-client-ca', authority.cert]
    const tls = await authority.issue('server')
    secure = resources.use(await ServerProcess.start({ dataDir: join(directory, 'secure'), args, tls }))
    const image = makeImage([{ file: Buffer.from('content') }], { os: 'linux', architecture: 'amd64' })
    await writeLayout(join(directory, 'layout'), image)
  })
  after(async () => {
    await resources.disposeAsync()
  })

  async function use(tool: string, args: readonly string[], env: Record<string, string> = {}): Promise<RunResult> {
    const home = join(directory, 'home', tool.split('/').at(-1)!)
    await mkdir(home, { recursive: true })
    return await tryRun(tool, args, { cwd: directory, env: { HOME: home, DOCKER_CONFIG: home, ...env } })
  }

  async function assertWorks(result: Promise<RunResult>): Promise<string> {
    const { code, stdout, stderr } = await result
    assert.equal(code, 0, stdout + stderr)
    return stdout
  }

  async function assertFails(result: Promise<RunResult>, message: RegExp): Promise<void> {
    const { code, stdout, stderr } = await result
    assert.notEqual(code, 0)
    assert.match(stdout + stderr, message)
  }

  const clients: Record<string, Record<'logIn' | 'push' | 'read', (...args: string[]) => string[]>> = {
    crane: {
      logIn: (host, user, password) => ['auth', 'login', host!, '-u', user!, '-p', password!],
      push: image => ['push', 'layout', image!],
      read: image => ['manifest', image!],
    },
    oras: {
      logIn: (host, user, password) => ['login', '--plain-http', host!, '-u', user!, '-p', password!],
      push: image => ['cp', '--from-oci-layout', '--to-plain-http', 'layout:latest', image!],
      read: image => ['manifest', 'fetch', '--plain-http', image!],
    },
  }

  for (const [tool, { logIn, push, read }] of Object.entries(clients)) {
    test(`${tool} logs in with an API key, until it is revoked`, async () => {
      const program = builtTool(tool)
      const image = `${plain.host}/keys/${tool}:v1`
      await assertFails(use(program, push!(image)), /401|unauthorized/i)
      const scope = 'keys/**:pull,push,tag'
      const key = await ipdr(['key', 'create', tool, '--scope', scope, '--expires', '1d', '--data-dir', dataDir])
      await until('the key', async () => (await statusOf(key)) === 200)
      await assertWorks(use(program, logIn!(plain.host, tool, key)))
      await assertWorks(use(program, push!(image)))
      await assertWorks(use(program, read!(image)))
      await assertFails(use(program, push!(`${plain.host}/team/${tool}:v1`)), /403|denied|DENIED/)
      assert.equal(
        (await tryIpdr(['access', 'check', `key:${tool}`, 'keys/app', 'push', '--data-dir', dataDir])).code,
        0,
      )
      const revoked = Date.now()
      await ipdr(['key', 'revoke', tool, '--data-dir', dataDir])
      await until('no key', async () => (await statusOf(key)) === 401)
      assert.ok(Date.now() - revoked < 5000)
      await assertFails(use(program, read!(image)), /401|unauthorized/i)
      assert.ok(!plain.log.includes(key))
    })

    test(`${tool} logs in with the token of a workload, and nobody else's`, async () => {
      const program = builtTool(tool)
      const image = `${plain.host}/team/${tool}:v1`
      const logInWith = async (claims: Record<string, string>): Promise<RunResult> =>
        await use(program, logIn!(plain.host, 'oidc', await issuer.token(claims)))
      const claims = { repository_owner: 'example-org', repository: 'example-org/app' }
      await logInWith({ ...claims, repository_owner: 'stranger' })
      await assertFails(use(program, push!(image)), /401|unauthorized/i)
      await assertWorks(logInWith(claims))
      await assertWorks(use(program, push!(image)))
      await assertWorks(logInWith({ ...claims, repository: 'example-org/other' }))
      await assertWorks(use(program, read!(image)))
      await assertFails(use(program, push!(`${plain.host}/team/${tool}:v2`)), /403|denied|DENIED/)
    })
  }

  /** Of a log-in with a bearer token */
  async function statusOf(token: string): Promise<number> {
    return (await fetch(`${plain.url}/v2/`, { headers: bearer(token) })).status
  }

  for (const version of ['--http1.1', '--http2']) {
    test(`curl ${version} is known by its certificate`, async () => {
      const curl = async (args: string[] = []): Promise<string> =>
        await assertWorks(
          use(installedTool('curl'), [
            ...[
              '--silent',
              version,
              '--cacert',
              authority.cert,
              '--output',
              '/dev/null',
              '--write-out',
              '%{http_code}',
            ],
            ...args,
            `https://localhost:${secure.port}/v2/team/curl/tags/list`,
          ]),
        )
      assert.equal(await curl(), '401')
      assert.equal(await curl(['--cert', builder.cert, '--key', builder.key]), '404')
      const other = await authority.issueClient('other', '/CN=other')
      assert.equal(await curl(['--cert', other.cert, '--key', other.key]), '403')
    })
  }

  test('skopeo is known by the certificate of its --cert-dir', async () => {
    const certificates = await certificateDirectory('skopeo')
    const policy = join(directory, 'policy.json')
    await writeFile(policy, JSON.stringify({ default: [{ type: 'insecureAcceptAnything' }] }))
    const target = `docker://localhost:${secure.port}/team/skopeo:v1`
    const copy = ['--policy', policy, 'copy', '--dest-cert-dir', certificates, 'oci:layout', target]
    await assertWorks(use(installedTool('skopeo'), copy))
    const inspect = ['inspect', '--cert-dir', certificates, '--raw', target]
    await assertWorks(use(installedTool('skopeo'), inspect))
    const trusting = join(directory, 'trusting')
    await mkdir(trusting)
    await copyFile(authority.cert, join(trusting, 'ca.crt'))
    await assertFails(
      use(installedTool('skopeo'), ['inspect', '--cert-dir', trusting, target]),
      /unauthorized|authentication required/,
    )
  })

  test('containerd is known by the certificate of its hosts.toml', async () => {
    await using containerd = await startContainerd()
    const host = `localhost:${secure.port}`
    const certificates = await certificateDirectory('containerd')
    const hosts = join(directory, 'hosts', host)
    await mkdir(hosts, { recursive: true })
    const fetchImage = async (client: string): Promise<RunResult> => {
      const text = `server = "https://${host}"\n[host."https://${host}"]\nca = "${authority.cert}"\n${client}`
      await writeFile(join(hosts, 'hosts.toml'), text)
      return await containerd.ctr('content', 'fetch', '--hosts-dir', join(directory, 'hosts'), `${host}/team/skopeo:v1`)
    }
    await assertFails(fetchImage(''), /401|[Uu]nauthorized|authorization failed/)
    await assertWorks(fetchImage(`client = [["${certificates}/client.cert", "${certificates}/client.key"]]\n`))
  })

  async function certificateDirectory(name: string): Promise<string> {
    const path = join(directory, name)
    await mkdir(path)
    await copyFile(authority.cert, join(path, 'ca.crt'))
    await copyFile(builder.cert, join(path, 'client.cert'))
    await copyFile(builder.key, join(path, 'client.key'))
    return path
  }
})
