import assert from 'node:assert/strict'
import { createHash, randomBytes as random } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { after, before, describe, it } from 'node:test'
import type { Digest } from '../../../src/oci/digest.ts'
import { nodeAddress } from '../../fixtures/connect-all.ts'
import { startDocker, type Docker } from '../../fixtures/docker.ts'
import { greeting, writeBusyboxContext } from '../../fixtures/busybox.ts'
import { mainOf, nodeFlags } from '../../../scripts/node-flags.ts'
import { startGateway } from '../../fixtures/gateway.ts'
import {
  makeImage,
  ociLayer,
  ociManifest,
  randomBytes,
  randomStream,
  sha256,
  type Image,
} from '../../fixtures/images.ts'
import { ipdr } from '../../fixtures/ipdr.ts'
import { RegistryClient, location } from '../../fixtures/registry-client.ts'
import { ServerProcess } from '../../fixtures/server.ts'
import { temporaryDirectory } from '../../fixtures/temporary.ts'
import { until } from '../../fixtures/until.ts'

const minute = 60_000
const MiB = 1024 * 1024
/** Threads of V8 that wait for a processor free memory late: with others on all of them, up to 399 MiB were seen */
const aheadOfOthers = ['nice', '-n', '-10', process.execPath, ...nodeFlags(), mainOf()] as const

describe('an image of another appliance', { timeout: 10 * minute }, () => {
  let docker: Docker
  before(async () => {
    docker = await startDocker()
  })
  after(async () => {
    await docker?.[Symbol.asyncDispose]()
  })

  it('is pulled by docker from a peer that it was told to connect to, and its container runs', async () => {
    await using a = await startNode()
    await using b = await startNode()
    const at = ['--data-dir', b.dataDir]
    const peer = (await nodeAddress(a)).split('/').at(-1)!
    assert.ok((await ipdr(['peers', 'connect', await nodeAddress(a), ...at])).includes(peer))
    assert.ok((await ipdr(['peers', ...at])).includes(peer))
    await assertRuns(docker, b, await pushByDocker(docker, a))
  })

  it('is found by mDNS alone', async () => {
    await using a = await startNode()
    await using b = await startNode()
    const root = await pushByDocker(docker, a)
    await assertRuns(docker, b, root)
    await assertRuns(docker, b, `ipfs/${root}`)
  })

  it('is found through the DHT of a private swarm, by a node that knows only a third one', async () => {
    await using scratch = await temporaryDirectory('swarm')
    const swarmKey = join(scratch.path, 'swarm.key')
    await writeFile(swarmKey, `/key/swarm/psk/1.0.0/\n/base16/\n${random(32).toString('hex')}\n`)
    const inSwarm = ['--network', 'private', '--p2p-swarm-key', swarmKey]
    await using c = await startNode(...inSwarm)
    const bootstrap = ['--p2p-bootstrap', await nodeAddress(c)]
    await using a = await startNode(...inSwarm, ...bootstrap)
    await using b = await startNode(...inSwarm, ...bootstrap)
    await assertRuns(docker, b, await pushByDocker(docker, a))
  })

  it('crosses the network once, however many clients ask', async () => {
    await using a = await startNode()
    await using b = await startNode('--p2p-peers', await nodeAddress(a))
    const image = bigImage(32)
    const root = await push(a, image)
    await until('the nodes are connected', async () => (await metric(b, 'ipdr_peers')) > 0)

    await Promise.all(
      Array.from({ length: 10 }, async () => {
        await assertSame(b, root, image)
      }),
    )

    const blocks = await metric(b, 'ipdr_retrieved_blocks{source="peers"}')
    // 33 leaves and their root, the config, the manifest, and the directories on the way
    assert.ok(blocks >= 36 && blocks <= 40, `${blocks}`)
  })

  it('takes no more memory when it is large', async () => {
    await using a = await startNode()
    const args = await lanArgs('--p2p-peers', await nodeAddress(a))
    await using b = await ServerProcess.start({ args, program: aheadOfOthers })
    const size = 512 * MiB
    const { root, layer } = await pushLarge(a, size)
    await until('the nodes are connected', async () => (await metric(b, 'ipdr_peers')) > 0)
    const idle = (await b.memory()).now
    await b.resetPeak()
    assert.equal(await new RegistryClient(b).digestOf(`/v2/${root}/blobs/${layer}`), layer)
    const { peak } = await b.memory()
    // 16 leaves are on their way, and libp2p copies them a few times. V8 lets two and a half times of that pile up, and
    // counts as used what it has not given back yet: 160 to 280 MiB were seen
    assert.ok(peak - idle < 0.75 * size, `${Math.round((peak - idle) / MiB)} MiB above idle`)
  })

  it('fails within the timeout when its only provider dies, and is completed when that is back', async () => {
    await using a = await startNode()
    const address = await nodeAddress(a)
    await using b = await startNode('--p2p-peers', address, '--limits-retrieval-timeout', '3s')
    const image = bigImage(64)
    const root = await push(a, image)
    const [layer] = layersOf(image)
    const path = `/v2/${root}/blobs/${layer}`
    const response = await fetch(`${b.url}${path}`)
    assert.equal(response.status, 200)

    const reader = response.body!.getReader()
    await reader.read()
    await a.kill()
    const began = Date.now()
    let received = 0
    await assert.rejects(async () => {
      for (let part = await reader.read(); !part.done; part = await reader.read()) {
        received += part.value.byteLength
      }
    })
    assert.ok(received < image.content.get(layer!)!.length)
    assert.ok(Date.now() - began < 20_000)

    const before = await metric(b, 'ipdr_retrieved_blocks{source="peers"}')
    await a.start()
    await until('the nodes are connected again', async () => (await metric(b, 'ipdr_peers')) > 0, 60_000)
    assert.equal(await new RegistryClient(b).digestOf(path), layer)
    const after = await metric(b, 'ipdr_retrieved_blocks{source="peers"}')
    assert.ok(before > 1 && after <= 70, `${before} blocks before, ${after} in all: none came twice`)
  })

  it('that nobody has ends with an error that says so', async () => {
    await using b = await startNode('--limits-retrieval-timeout', '1s')
    const response = await fetch(
      `${b.url}/v2/bafybeifdu6szz4rerwwo577ttks42zqyurteguvwp7zrztmumxxx3b62ma/manifests/latest`,
    )
    assert.equal(response.status, 503)
    const { errors } = (await response.json()) as { errors: Array<{ code: string; detail: { reason: string } }> }
    assert.equal(errors[0]?.code, 'UNAVAILABLE')
    assert.match(errors[0]?.detail.reason ?? '', /no peer or gateway/)
  })

  it('comes from a gateway, but not one altered byte of it', async () => {
    await using a = await startNode()
    const image = bigImage(3)
    const root = await push(a, image)
    const [layer] = layersOf(image)
    for (const honest of [true, false]) {
      await using gateway = await startGateway(a, honest)
      await using b = await ServerProcess.start({
        args: ['--ipfs-gateway', gateway.url, '--limits-retrieval-timeout', '2s'],
      })
      const client = new RegistryClient(b)
      if (honest) {
        await assertSame(b, root, image)
        assert.ok((await metric(b, 'ipdr_retrieved_blocks{source="gateways"}')) >= 6)
      } else {
        await assert.rejects(client.digestOf(`/v2/${root}/blobs/${layer}`), /503/)
        assert.equal(await metric(b, 'ipdr_blobs'), 0)
      }
    }
  })

  it('can not be pushed to', async () => {
    await using a = await startNode()
    const client = new RegistryClient(a)
    const root = 'bafybeifdu6szz4rerwwo577ttks42zqyurteguvwp7zrztmumxxx3b62ma'
    for (const response of [
      await client.startUpload(root),
      await client.pushManifest(root, 'latest', Buffer.from('{}')),
    ]) {
      assert.equal(response.status, 403)
      assert.match(await response.text(), /push to another name/)
    }
  })
})

/** On the loopback interface; finds others there by mDNS */
async function startNode(...args: string[]): Promise<ServerProcess> {
  return await ServerProcess.start({ args: await lanArgs(...args) })
}

async function lanArgs(...more: string[]): Promise<string[]> {
  const port = String(await freePort())
  return ['--network', 'lan', '--p2p-host', '127.0.0.1', '--p2p-port', port, '--log-format', 'json', ...more]
}

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>(resolve => {
    server.listen(0, '127.0.0.1', resolve)
  })
  const { port } = server.address() as AddressInfo
  await new Promise(resolve => {
    server.close(resolve)
  })
  return port
}

function bigImage(size: number): Image {
  return makeImage([{ 'data/random': randomBytes(size * MiB, `layer of ${size}`) }])
}

function layersOf({ content, descriptor }: Image): Digest[] {
  const { layers } = JSON.parse(content.get(descriptor.digest)!.toString()) as { layers: Array<{ digest: Digest }> }
  return layers.map(({ digest }) => digest)
}

/** Returns the image root's CID */
async function push(server: ServerProcess, { content, descriptor }: Image): Promise<string> {
  const client = new RegistryClient(server)
  for (const [digest, bytes] of content) {
    if (digest !== descriptor.digest) {
      assert.equal((await client.pushBlob('images/big', bytes)).status, 201)
    }
  }
  const response = await client.pushManifest('images/big', 'latest', content.get(descriptor.digest)!)
  assert.equal(response.status, 201)
  return response.headers.get('X-Ipfs-Cid')!
}

/** Builds an image, pushes it and takes it out of the engine again; returns the image root's CID */
async function pushByDocker(docker: Docker, server: ServerProcess): Promise<string> {
  await using context = await temporaryDirectory('context')
  const name = `localhost:${server.port}/example/helloworld`
  await writeBusyboxContext(context.path)
  await docker.run(['build', '--no-cache', '--tag', name, context.path])
  await docker.run(['push', name])
  await docker.run(['rmi', '--force', name])
  return await rootOf(server, 'example/helloworld')
}

async function assertRuns(docker: Docker, server: ServerProcess, repository: string): Promise<void> {
  const name = `localhost:${server.port}/${repository}`
  await docker.run(['pull', name])
  assert.match(await docker.run(['run', '--rm', '--network', 'none', name]), new RegExp(greeting))
  await docker.run(['rmi', '--force', name])
}

/** An image of one layer that is nowhere as a whole */
async function pushLarge(server: ServerProcess, size: number): Promise<{ root: string; layer: Digest }> {
  const client = new RegistryClient(server)
  const hash = createHash('sha256')
  for (const chunk of randomStream(size, 'large')) {
    hash.update(chunk)
  }
  const layer: Digest = `sha256:${hash.digest('hex')}`
  const body = Readable.toWeb(Readable.from(randomStream(size, 'large'))) as ReadableStream
  const pushed = await client.request('PUT', `${location(await client.startUpload('images/large'))}?digest=${layer}`, {
    body,
    duplex: 'half',
  })
  await pushed.arrayBuffer()
  assert.equal(pushed.status, 201)
  const config = Buffer.from('{}')
  assert.equal((await client.pushBlob('images/large', config)).status, 201)
  const manifest = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: ociManifest,
      config: { mediaType: 'application/vnd.oci.empty.v1+json', digest: sha256(config), size: config.length },
      layers: [{ mediaType: ociLayer, digest: layer, size }],
    }),
  )
  const root = (await client.pushManifest('images/large', 'latest', manifest)).headers.get('X-Ipfs-Cid')!
  return { root, layer }
}

async function rootOf(server: ServerProcess, repository: string): Promise<string> {
  const response = await fetch(`${server.url}/v2/${repository}/manifests/latest`)
  await response.arrayBuffer()
  return response.headers.get('X-Ipfs-Cid')!
}

async function assertSame(server: ServerProcess, root: string, { content, descriptor }: Image): Promise<void> {
  const client = new RegistryClient(server)
  assert.equal(await client.digestOf(`/v2/${root}/manifests/latest`), descriptor.digest)
  for (const [digest] of content) {
    const kind = digest === descriptor.digest ? 'manifests' : 'blobs'
    assert.equal(await client.digestOf(`/v2/${root}/${kind}/${digest}`), digest)
  }
}

async function metric(server: ServerProcess, name: string): Promise<number> {
  return (await new RegistryClient(server).metrics())(name)
}
