import assert from 'node:assert/strict'
import { copyFile, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { bearer, initAccess } from '../../fixtures/access.ts'
import { writeBusyboxContext } from '../../fixtures/busybox.ts'
import { CertificateAuthority, outsideAddress } from '../../fixtures/certificates.ts'
import { startDocker, type Docker } from '../../fixtures/docker.ts'
import { copyEtc } from '../../fixtures/etc.ts'
import { ipdr } from '../../fixtures/ipdr.ts'
import { audience, TestIssuer } from '../../fixtures/issuer.ts'
import { ServerProcess } from '../../fixtures/server.ts'
import { temporaryDirectory } from '../../fixtures/temporary.ts'
import { until } from '../../fixtures/until.ts'

suite('docker', { timeout: 600_000 }, () => {
  const resources = new AsyncDisposableStack()
  let directory: string
  let etc: string
  let dataDir: string
  let plain: ServerProcess
  let secure: ServerProcess
  let authority: CertificateAuthority
  let issuer: TestIssuer
  let docker: Docker

  before(async () => {
    issuer = resources.use(await TestIssuer.start())
    directory = resources.use(await temporaryDirectory('identities')).path
    authority = await CertificateAuthority.create(directory)
    etc = await copyEtc(directory, { 'registry.test': outsideAddress() })
    dataDir = join(directory, 'plain')
    for (const data of [dataDir, join(directory, 'secure')]) {
      await initAccess('private', data)
      await writeFile(
        join(data, 'access.yml'),
        `
issuers:
  ci: { issuer: '${issuer.url}', audience: ${audience} }
rules:
  - { who: ['user:ci:robot', 'cert:builder'], repositories: ['team/**'], actions: [pull, push] }
`,
      )
    }
    plain = resources.use(await ServerProcess.start({ dataDir }))
    const args = ['--host', '0.0.0.0', '--tls-client-ca', authority.cert]
    const tls = await authority.issue('server')
    secure = resources.use(await ServerProcess.start({ dataDir: join(directory, 'secure'), args, tls }))
    docker = resources.use(await startDocker({ etc }))
    await writeBusyboxContext(join(directory, 'context'))
    await docker.run(['build', '--tag', 'helloworld', join(directory, 'context')])
  })
  after(async () => {
    await resources.disposeAsync()
  })

  async function push(image: string): Promise<string> {
    await docker.run(['tag', 'helloworld', image])
    return await docker.run(['push', image])
  }

  async function logIn(user: string, password: string): Promise<void> {
    const host = `localhost:${plain.port}`
    assert.match(await docker.run(['login', '-u', user, '--password-stdin', host], { input: password }), /Succeeded/)
  }

  test('logs in with an API key, until it is revoked', async () => {
    const key = await ipdr(['key', 'create', 'robot', '--scope', 'keys/**:pull,push', '--data-dir', dataDir])
    const statusOf = async (): Promise<number> => (await fetch(`${plain.url}/v2/`, { headers: bearer(key) })).status
    await until('the key', async () => (await statusOf()) === 200)
    const image = `localhost:${plain.port}/keys/app`
    await logIn('robot', key)
    await push(image)
    await docker.run(['image', 'rm', image])
    await docker.run(['pull', image])
    await assert.rejects(push(`localhost:${plain.port}/team/app`), /denied/)
    await ipdr(['key', 'revoke', 'robot', '--data-dir', dataDir])
    await until('no key', async () => (await statusOf()) === 401)
    await assert.rejects(docker.run(['pull', image]), /unauthorized|denied/)
  })

  test('logs in with the token of a workload', async () => {
    await logIn('oidc', await issuer.token({ sub: 'robot' }))
    await push(`localhost:${plain.port}/team/app`)
    await docker.run(['pull', `localhost:${plain.port}/team/app`])
    await assert.rejects(push(`localhost:${plain.port}/keys/app`), /denied/)
    await docker.run(['logout', `localhost:${plain.port}`])
    await assert.rejects(docker.run(['pull', `localhost:${plain.port}/team/app`]), /unauthorized|denied/)
  })

  test('is known by the certificate of its certs.d, without a log-in', async () => {
    const host = `registry.test:${secure.port}`
    const certificates = join(etc, 'docker/certs.d', host)
    await mkdir(certificates, { recursive: true })
    await copyFile(authority.cert, join(certificates, 'ca.crt'))
    await assert.rejects(push(`${host}/team/app`), /unauthorized|no basic auth credentials/)
    const { cert, key } = await authority.issueClient('builder', '/CN=builder')
    await copyFile(cert, join(certificates, 'client.cert'))
    await copyFile(key, join(certificates, 'client.key'))
    await push(`${host}/team/app`)
    await docker.run(['image', 'rm', `${host}/team/app`])
    await docker.run(['pull', `${host}/team/app`])
    await assert.rejects(push(`${host}/keys/app`), /denied/)
  })
})
