import assert from 'node:assert/strict'
import { copyFile, mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { greeting, writeBusyboxContext } from '../../fixtures/busybox.ts'
import { CertificateAuthority, outsideAddress } from '../../fixtures/certificates.ts'
import { startDocker, type Docker } from '../../fixtures/docker.ts'
import { copyEtc, withEtc } from '../../fixtures/etc.ts'
import { preparePodman } from '../../fixtures/podman.ts'
import { run } from '../../fixtures/run.ts'
import { ServerProcess } from '../../fixtures/server.ts'
import { temporaryDirectory } from '../../fixtures/temporary.ts'
import { projectDirectory } from '../../fixtures/tools.ts'

describe('names and certificates that clients know', { timeout: 600_000 }, () => {
  const resources = new AsyncDisposableStack()
  let directory: string
  let etc: string
  let authority: CertificateAuthority
  let secure: ServerProcess
  let plain: ServerProcess
  let docker: Docker

  before(async () => {
    directory = resources.use(await temporaryDirectory('tls-clients')).path
    authority = await CertificateAuthority.create(directory)
    // docker trusts whatever is at a loopback address, so the one that it must not trust has another
    etc = await copyEtc(directory, { 'docker.local': '127.0.0.1', 'registry.test': outsideAddress() })
    secure = resources.use(
      await ServerProcess.start({ tls: await authority.issue('server'), args: ['--host', '0.0.0.0'] }),
    )
    plain = resources.use(await ServerProcess.start())
    docker = resources.use(await startDocker({ etc }))
    await writeBusyboxContext(join(directory, 'context'))
    await docker.run(['build', '--tag', 'helloworld', join(directory, 'context')])
  })

  after(async () => {
    await resources.disposeAsync()
  })

  async function pushPullRun(name: string): Promise<void> {
    await docker.run(['tag', 'helloworld', name])
    await docker.run(['push', name])
    await docker.run(['image', 'rm', name])
    await docker.run(['pull', name])
    assert.equal(await docker.run(['run', '--rm', '--network', 'none', name]), greeting)
    await docker.run(['image', 'rm', name])
  }

  it('docker refuses an unknown authority, and takes the one of its certs.d', async () => {
    const host = `registry.test:${secure.port}`
    const name = `${host}/example/helloworld`
    await docker.run(['tag', 'helloworld', name])
    await assert.rejects(docker.run(['push', name]), /x509: certificate signed by unknown authority/)
    await mkdir(join(etc, 'docker/certs.d', host), { recursive: true })
    await copyFile(authority.cert, join(etc, 'docker/certs.d', host, 'ca.crt'))
    await pushPullRun(name)
  })

  it('docker.local leads to this machine, with and without TLS', async () => {
    await pushPullRun(`docker.local:${plain.port}/hello-world`)
    await pushPullRun(`docker.local:${secure.port}/hello-world`)
  })

  it('ipdr pulls by that name where it is asked to, as a name alone says nothing of where it leads', async () => {
    const root = await cidOf('hello-world')
    const [unshare, ...args] = withEtc(etc, [
      process.execPath,
      join(projectDirectory, 'src/main.js'),
      'pull',
      `/ipfs/${root}`,
      '--docker-registry-host',
      `docker.local:${plain.port}`,
      '--plain-http',
    ])
    const printed = await run(unshare, args, { env: { DOCKER_HOST: docker.host } })
    const name = `docker.local:${plain.port}/${root}`
    assert.equal(printed, `Successfully pulled Docker image from IPFS:\n${name}`)
    assert.equal(await docker.run(['run', '--rm', '--network', 'none', name]), greeting)
  })

  it('podman refuses an unknown authority, and takes the one of its --cert-dir', async () => {
    await using podman = await preparePodman('unused.test')
    const name = `${outsideAddress()}:${secure.port}/example/podman`
    await podman.podman(['build', '--network', 'none', '--tag', name, join(directory, 'context')])
    await assert.rejects(podman.podman(['push', name]), /x509: certificate signed by unknown authority/)
    const certificates = join(directory, 'certs.d')
    await mkdir(certificates)
    await copyFile(authority.cert, join(certificates, 'ca.crt'))
    await podman.podman(['push', '--cert-dir', certificates, name])
    await podman.podman(['image', 'rm', '--all', '--force'])
    await podman.podman(['pull', '--cert-dir', certificates, name])
    assert.equal(await podman.podman(['run', '--rm', '--pull', 'never', '--network', 'none', name]), greeting)
  })

  async function cidOf(repository: string): Promise<string> {
    const response = await fetch(`${plain.url}/v2/${repository}/manifests/latest`, { method: 'HEAD' })
    return response.headers.get('X-Ipfs-Cid')!
  }
})
