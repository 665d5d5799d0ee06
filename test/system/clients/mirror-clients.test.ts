/** Real clients that pull images of two registries through a mirror, which takes their pushes, too */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdir, writeFile } from 'node:fs/promises'
import { createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import type { Digest } from '../../../src/oci/digest.ts'
import { TestAppliance } from '../../fixtures/appliance.ts'
import { copyEtc } from '../../fixtures/etc.ts'
import { makeImage, makeMultiPlatformImage, randomBytes, type Image } from '../../fixtures/images.ts'
import { ipdr } from '../../fixtures/ipdr.ts'
import {
  buildkitClient,
  containerdClient,
  craneClient,
  dockerClient,
  orasClient,
  podmanClient,
  skopeoClient,
  type MirrorClient,
} from '../../fixtures/mirror-clients.ts'
import { hub, RealUpstreams, second } from '../../fixtures/real-upstreams.ts'
import { temporaryDirectory } from '../../fixtures/temporary.ts'

const clientNames = ['containerd', 'buildkit', 'docker', 'podman', 'skopeo', 'skopeo by name', 'crane', 'oras']
/** They fetch what is of the platform that they run on */
const engines = new Set(['containerd', 'buildkit', 'docker', 'podman'])
const layerSize = 300_000

suite('through a mirror of two registries', { timeout: 600_000 }, () => {
  const resources = new AsyncDisposableStack()
  const clients = new Map<string, MirrorClient>()
  let upstreams: RealUpstreams
  let mirror: TestAppliance
  let stranger: Stranger

  before(async () => {
    const directory = resources.use(await temporaryDirectory('mirror')).path
    stranger = resources.use(await Stranger.start())
    upstreams = resources.use(await RealUpstreams.start(directory))
    mirror = resources.use(
      await TestAppliance.start(join(directory, 'data'), {
        upstreams: { ...upstreams.listed, [second]: { ...upstreams.listed[second], tagTtl: '1s' } },
        registryMirror: hub,
        admin: { metrics: 'open' },
      }),
    )
    const host = `localhost:${new URL(mirror.url).port}`
    const etc = await copyEtc(directory, {})
    await askOnlyTheMirror(etc, stranger.host, host)
    const flags = [hub, second, stranger.host].flatMap(upstream => ['--upstream', upstream])
    await Promise.all(
      ['containerd', 'docker', 'podman'].map(
        async engine =>
          await ipdr(['mirror', 'setup', engine, '--root', directory, '--mirror', `http://${host}`, ...flags]),
      ),
    )
    const init = { directory, etc, mirror: host }
    for (const client of [
      ...(await Promise.all([
        containerdClient(init, resources),
        buildkitClient(init, resources),
        dockerClient(init, resources),
        podmanClient(init, resources),
      ])),
      skopeoClient(init, false),
      skopeoClient(init, true),
      craneClient(init),
      orasClient(init),
    ]) {
      clients.set(client.name, client)
    }
    await Promise.all(
      imagesOf(clientNames).map(async ({ image, name, upstream }) => {
        await upstreams.push(upstream, name, image)
      }),
    )
  })
  after(async () => {
    await resources.disposeAsync()
  })

  for (const client of clientNames) {
    test(`${client} pulls from both, and pushes`, async () => {
      for (const { digest, name, upstream } of imagesOf([client])) {
        const before = await fetched(upstream)
        await pull(client, upstream, name, digest)
        const bytes = (await fetched(upstream)) - before
        const platforms = upstream === hub && !engines.has(client) ? 2 : 1
        const expected = bytes > platforms * layerSize && bytes < (platforms + 1) * layerSize
        assert.ok(expected, `${bytes} bytes of ${name} came from ${upstream}`)
      }
      const [, { name }] = imagesOf([client]) as [NamedImage, NamedImage]
      await clients.get(client)!.push(second, name, `own/${repositoryOf(client)}:v1`)
      const pushed = await mirror.client.request('GET', `/v2/own/${repositoryOf(client)}/manifests/v1`)
      const { layers } = (await pushed.json()) as { layers: { digest: Digest }[] }
      for (const { digest } of layers) {
        assert.equal(await mirror.client.digestOf(`/v2/own/${repositoryOf(client)}/blobs/${digest}`), digest)
      }
    })

    if (client === 'buildkit') {
      // it asks the registry itself in the end
      continue
    }
    test(`${client} is told that a registry is not mirrored`, async () => {
      // containerd and oras show nothing of an answer of status 404
      const message = ['containerd', 'oras'].includes(client)
        ? /not found/
        : new RegExp(`${stranger.host.replace(':', '_')} is not mirrored: it is not among the upstreams`)
      await assert.rejects(clients.get(client)!.pull(stranger.host, 'team/app:v1'), message)
      assert.equal(stranger.connections, 0)
    })
  }

  test('every client gets all of that again while both registries are down', async () => {
    await upstreams.stop()
    const before = await Promise.all([hub, second].map(fetched))
    await Promise.all(
      clientNames.map(async client => {
        for (const { digest, name, upstream } of imagesOf([client])) {
          await pull(client, upstream, name, digest)
        }
      }),
    )
    assert.deepEqual(await Promise.all([hub, second].map(fetched)), before)
  })

  async function pull(client: string, upstream: string, name: string, digest: Digest): Promise<void> {
    const digests = await clients.get(client)!.pull(upstream, name)
    assert.ok(digests.includes(digest), `${client} has ${digests.join()} instead of ${digest}`)
  }

  /** Bytes of manifests and blobs that the mirror has got from an upstream */
  async function fetched(upstream: string): Promise<number> {
    return (await mirror.client.metrics())(`ipdr_upstream_bytes_total{upstream="${upstream}"}`) || 0
  }
})

/** A registry that is not among the upstreams, which counts who comes near it */
class Stranger implements AsyncDisposable {
  connections = 0
  readonly #server = createServer(socket => {
    this.connections++
    socket.destroy()
  })

  static async start(): Promise<Stranger> {
    const stranger = new Stranger()
    stranger.#server.listen(0, '127.0.0.1')
    await once(stranger.#server, 'listening')
    return stranger
  }

  get host(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.close()
    await once(this.#server, 'close')
  }
}

/** Settings by which clients ask for the images of a registry nobody but the mirror */
async function askOnlyTheMirror(etc: string, registry: string, mirror: string): Promise<void> {
  const hosts = join(etc, 'containerd/certs.d', registry)
  const registries = join(etc, 'containers/registries.conf.d')
  await Promise.all([hosts, registries].map(async path => await mkdir(path, { recursive: true })))
  await writeFile(join(hosts, 'hosts.toml'), `server = "http://${mirror}"\n`)
  const location = `${mirror}/${registry.replace(':', '_')}`
  await writeFile(
    join(registries, 'stranger.conf'),
    `[[registry]]\nprefix = "${registry}"\nlocation = "${location}"\ninsecure = true\n`,
  )
}

interface NamedImage {
  client: string
  image: Image
  digest: Digest
  name: string
  upstream: string
}

/** Images that are for one client alone: of several platforms in the one registry, and of one in the other */
function imagesOf(clients: readonly string[]): NamedImage[] {
  return clients.flatMap(client => {
    const repository = repositoryOf(client)
    const platforms = ['amd64', 'arm64'].map((name): [string, Image] => [name, imageFor(`${client} ${name}`)])
    const image = makeMultiPlatformImage(new Map(platforms))
    const other = imageFor(client)
    return [
      { client, image, digest: image.descriptor.digest, name: `library/${repository}:v1`, upstream: hub },
      { client, image: other, digest: other.descriptor.digest, name: `team/${repository}:v1`, upstream: second },
    ]
  })
}

function imageFor(seed: string): Image {
  return makeImage([{ big: randomBytes(layerSize, seed) }, { small: randomBytes(1000, `${seed} small`) }])
}

function repositoryOf(client: string): string {
  return client.replaceAll(' ', '-')
}
