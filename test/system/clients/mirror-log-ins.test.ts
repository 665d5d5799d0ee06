/** Real clients of a mirror with rules: what they log in with there, and what they get without */
import assert from 'node:assert/strict'
import { appendFile, copyFile, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import type { Digest } from '../../../src/oci/digest.ts'
import { basic, htpasswd, initAccess } from '../../fixtures/access.ts'
import { TestAppliance } from '../../fixtures/appliance.ts'
import { CertificateAuthority, outsideAddress } from '../../fixtures/certificates.ts'
import { startContainerd } from '../../fixtures/containerd.ts'
import { startDocker, type Docker } from '../../fixtures/docker.ts'
import { copyEtc } from '../../fixtures/etc.ts'
import { makeImage, randomBytes } from '../../fixtures/images.ts'
import { ipdr } from '../../fixtures/ipdr.ts'
import { nameAt } from '../../fixtures/mirror-clients.ts'
import { preparePodman } from '../../fixtures/podman.ts'
import { hub, RealUpstreams, second } from '../../fixtures/real-upstreams.ts'
import type { RunResult } from '../../fixtures/run.ts'
import { temporaryDirectory } from '../../fixtures/temporary.ts'

const rules = `
rules:
  - { who: ['user:bob'], repositories: ['docker.io/**', 'tokens.test_5443/**'], actions: [pull] }
  - { who: ['network:127.0.0.0/8'], repositories: ['docker.io/library/near'], actions: [pull] }
  - { who: ['cert:engine'], repositories: ['docker.io/library/shown'], actions: [pull] }
`
const password = 'secret of bob'
const closed = 'library/closed:v1'
const near = 'library/near:v1'
const shown = 'library/shown:v1'
const team = 'team/app:v1'
const closedImages = [
  [hub, closed],
  [second, team],
] as const
/** What docker says in the end where the mirror has refused */
const askedHub = /Get "https:\/\/registry-1\.docker\.io\/v2\/": .* connection refused/

suite('a mirror with rules', { timeout: 600_000 }, () => {
  const resources = new AsyncDisposableStack()
  const digests = new Map<string, Digest>()
  let directory: string
  let etc: string
  let host: string
  let authority: CertificateAuthority
  /** Where docker looks for those that it shows to the mirror with TLS */
  let certificates: string

  before(async () => {
    directory = resources.use(await temporaryDirectory('mirror')).path
    const upstreams = resources.use(await RealUpstreams.start(directory))
    // docker asks its hub where the mirror refuses, and finds nobody there
    const nobody = ['registry-1.docker.io', 'index.docker.io', 'auth.docker.io'].map(name => [name, '127.0.0.1'])
    etc = await copyEtc(directory, { ...Object.fromEntries(nobody), 'registry.test': outsideAddress() })
    const authorities = join(directory, 'authority')
    await mkdir(authorities)
    authority = await CertificateAuthority.create(authorities)
    const { cert: certPath, key: keyPath } = await authority.issue('mirror')
    const start = async (name: string, values: object): Promise<string> => {
      const data = join(directory, name)
      await initAccess('private', data)
      await writeFile(join(data, 'access.yml'), rules)
      await appendFile(join(data, 'htpasswd'), htpasswd({ bob: password }))
      const config = { upstreams: upstreams.listed, registryMirror: hub, ...values }
      return new URL(resources.use(await TestAppliance.start(data, config)).url).port
    }
    host = `localhost:${await start('plain', {})}`
    const tls = { certPath, keyPath, clientCa: authority.cert }
    const secure = `registry.test:${await start('secure', { host: '0.0.0.0', tls })}`
    certificates = join(etc, 'docker/certs.d', secure)
    await mkdir(certificates, { recursive: true })
    await copyFile(authority.cert, join(certificates, 'ca.crt'))
    for (const [engine, mirror] of [
      ['containerd', `http://${host}`],
      ['podman', `http://${host}`],
      ['docker', `https://${secure}`],
      ['docker', `http://${host}`],
    ] as const) {
      const flags = ['--mirror', mirror, '--upstream', hub, '--upstream', second]
      await ipdr(['mirror', 'setup', engine, '--root', directory, ...flags])
    }
    for (const [upstream, name] of [...closedImages, [hub, near], [hub, shown]] as const) {
      const image = makeImage([{ file: randomBytes(1000, name) }])
      digests.set(name, image.descriptor.digest)
      await upstreams.push(upstream, name, image)
    }
  })
  after(async () => {
    await resources.disposeAsync()
  })

  suite('docker', () => {
    let docker: Docker

    before(async () => {
      docker = resources.use(await startDocker({ etc }))
    })

    async function pull(image: string, env: Record<string, string> = {}): Promise<void> {
      await docker.run(['pull', '--quiet', image], { env })
      const found = await docker.run(['image', 'inspect', '--format', '{{.RepoDigests}}', image])
      const name = [...digests.keys()].find(name => image.endsWith(name.replace('library/', '')))!
      assert.match(found, new RegExp(digests.get(name)!))
    }

    /** Settings with a log-in for Docker Hub */
    async function loggedInAtHub(user: string): Promise<Record<string, string>> {
      const DOCKER_CONFIG = join(directory, `docker of ${user}`)
      await mkdir(DOCKER_CONFIG)
      const auth = basic(user, password).Authorization.replace('Basic ', '')
      const config = { auths: { 'https://index.docker.io/v1/': { auth } } }
      await writeFile(join(DOCKER_CONFIG, 'config.json'), JSON.stringify(config))
      return { DOCKER_CONFIG }
    }

    test('sends a mirror of its hub the log-in for the hub, and no other', async () => {
      await assert.rejects(pull('closed:v1'), askedHub)
      const login = ['login', '--username', 'bob', '--password-stdin', host]
      assert.match(await docker.run(login, { input: password }), /Succeeded/)
      await assert.rejects(pull('closed:v1'), askedHub)
      await pull('closed:v1', await loggedInAtHub('bob'))
    })

    test('sends its log-in for the mirror with names of the mirror', async () => {
      await pull(nameAt(host, hub, closed))
      await pull(nameAt(host, second, team))
    })

    test('needs no log-in for what its network may pull, but none for the hub, either', async () => {
      await pull('near:v1')
      await docker.run(['image', 'rm', 'near:v1'])
      await assert.rejects(pull('near:v1', await loggedInAtHub('carol')), askedHub)
    })

    test('is known by the certificate of its certs.d, whatever its log-in for the hub', async () => {
      const env = await loggedInAtHub('dave')
      await assert.rejects(pull('shown:v1', env), askedHub)
      const { cert, key } = await authority.issueClient('engine', '/CN=engine')
      await copyFile(cert, join(certificates, 'client.cert'))
      await copyFile(key, join(certificates, 'client.key'))
      await pull('shown:v1', env)
    })
  })

  test('podman logs in at the mirror', async () => {
    const { podman } = resources.use(await preparePodman(host, { etc }))
    await podman(['login', '--tls-verify=false', '--username', 'bob', '--password-stdin', host], { input: password })
    for (const [upstream, name] of closedImages) {
      await podman(['pull', '--quiet', `${upstream}/${name}`])
      const found = await podman(['image', 'inspect', '--format', '{{.Digest}}', `${upstream}/${name}`])
      assert.equal(found, digests.get(name))
    }
  })

  test('containerd shows the mirror what hosts.toml has for it', async () => {
    const { ctr } = resources.use(await startContainerd())
    const hosts = join(etc, 'containerd/certs.d')
    for (const [upstream, name] of closedImages) {
      const pull = async (): Promise<RunResult> =>
        await ctr('images', 'pull', '--hosts-dir', hosts, `${upstream}/${name}`)
      assert.match((await pull()).stderr, new RegExp(`pulling from host ${host} failed .* 401 Unauthorized`))
      const header = `[host."http://${host}".header]\n  authorization = "${basic('bob', password).Authorization}"\n`
      await appendFile(join(hosts, upstream, 'hosts.toml'), header)
      const { code, stderr } = await pull()
      assert.equal(code, 0, stderr)
      const { stdout } = await ctr('images', 'ls', `name==${upstream}/${name}`)
      assert.match(stdout, new RegExp(digests.get(name)!))
    }
  })
})
