import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { createWriteStream } from 'node:fs'
import { readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { after, before, describe, it } from 'node:test'
import type { Digest } from '../../../src/oci/digest.ts'
import { makeImage, randomBytes, randomStream, sha256, type Image } from '../../fixtures/images.ts'
import { startKubo, type Kubo } from '../../fixtures/kubo.ts'
import { RegistryClient, location } from '../../fixtures/registry-client.ts'
import { run } from '../../fixtures/run.ts'
import { ServerProcess } from '../../fixtures/server.ts'
import { temporaryDirectory, type TemporaryDirectory } from '../../fixtures/temporary.ts'
import { installedTool } from '../../fixtures/tools.ts'
import { until } from '../../fixtures/until.ts'

const MiB = 1024 * 1024

describe('beside a real kubo', () => {
  let kubo: Kubo
  let server: ServerProcess
  let client: RegistryClient
  let scratch: TemporaryDirectory

  before(async () => {
    scratch = await temporaryDirectory('kubo')
    kubo = await startKubo({ profile: 'unixfs-v1-2025' })
    server = await ServerProcess.start({
      args: ['--network', 'lan', '--p2p-host', '127.0.0.1', '--p2p-port', '0', '--log-format', 'json'],
    })
    client = new RegistryClient(server)
    await kubo.ipfs('swarm', 'connect', listenAddress(server.log))
  })

  after(async () => {
    await server?.[Symbol.asyncDispose]()
    await kubo?.stop()
    await scratch?.[Symbol.asyncDispose]()
  })

  for (const size of [0, 1, MiB - 1, MiB, MiB + 1, 10 * MiB, Math.floor(1.1 * 1024 * MiB)]) {
    it(`gives the same CID to a blob of ${size} bytes`, async () => {
      const file = join(scratch.path, 'blob')
      await pipeline(randomStream(size, 'cid'), createWriteStream(file))
      const { stdout } = await kubo.ipfs('add', '--quieter', '--only-hash', '--cid-version=1', file)
      await rm(file)

      assert.equal(await pushStream(client, size), stdout.trim())
    })
  }

  it('has it pin what is pushed, where it is the remote kubo of the server', async () => {
    await using pinning = await ServerProcess.start({
      args: ['--network', 'lan', '--p2p-host', '127.0.0.1', '--p2p-port', '0', '--ipfs-host', new URL(kubo.api).host],
    })
    const registry = new RegistryClient(pinning)
    const { content, descriptor } = makeImage([{ pinned: randomBytes(3 * MiB, 'pinned') }])
    for (const [digest, bytes] of content) {
      if (digest !== descriptor.digest) {
        await registry.pushBlob('kubo/pinned', bytes)
      }
    }
    const root = (await registry.pushManifest('kubo/pinned', 'latest', content.get(descriptor.digest)!)).headers.get(
      'X-Ipfs-Cid',
    )
    await until(
      'kubo has pinned it',
      async () =>
        (await kubo.ipfs('pin', 'ls', '--type=recursive', '--quiet')).stdout.split('\n').includes(String(root)),
      60_000,
    )
  })

  describe('connected to it', () => {
    let image: Image
    let layer: Buffer
    let layerCid: string
    let root: string

    before(async () => {
      image = makeImage([{ 'bin/data': randomBytes(5 * MiB, 'layer'), 'etc/hostname': Buffer.from('test') }])
      const { descriptor, content } = image
      layer = [...content.values()].reduce((largest, bytes) => (bytes.length > largest.length ? bytes : largest))
      for (const [digest, bytes] of content) {
        if (digest !== descriptor.digest) {
          const pushed = await client.pushBlob('kubo/image', bytes)
          assert.equal(pushed.status, 201)
          layerCid = bytes === layer ? String(pushed.headers.get('X-Ipfs-Cid')) : layerCid
        }
      }
      const manifest = await client.pushManifest('kubo/image', 'latest', content.get(descriptor.digest)!)
      assert.equal(manifest.status, 201)
      root = String(manifest.headers.get('X-Ipfs-Cid'))
    })

    it('lets it cat a pushed layer', async () => {
      const { stdout } = await kubo.ipfs('cat', layerCid)
      assert.equal(sha256(Buffer.from(stdout, 'latin1')), sha256(layer))
    })

    it('lets it list the image root', async () => {
      const { stdout } = await kubo.ipfs('ls', '--size=false', root)
      assert.deepEqual(
        stdout
          .trim()
          .split('\n')
          .map(line => line.split(' ').at(-1)),
        ['blobs/', 'index.json', 'manifests/', 'oci-layout'],
      )
    })

    it('gives it an OCI image layout that skopeo reads', async () => {
      const directory = join(scratch.path, 'layout')
      await kubo.ipfs('get', '--output', directory, root)

      const inspected = JSON.parse(await run('skopeo', ['inspect', `oci:${directory}`])) as {
        Digest: string
        Layers: string[]
      }
      assert.equal(inspected.Digest, image.descriptor.digest)
      assert.ok(inspected.Layers.includes(sha256(layer)))
      // what older IPDR programs ask for
      assert.equal(sha256(await readFile(join(directory, 'manifests/latest'))), image.descriptor.digest)
      assert.equal(sha256(await readFile(join(directory, 'blobs', sha256(layer)))), sha256(layer))
    })

    it('gives it an OCI image layout whose image umoci finds by a name, and unpacks', async () => {
      const directory = join(scratch.path, 'layout of umoci')
      await kubo.ipfs('get', '--output', directory, root)

      const umoci = async (...args: string[]): Promise<string> => await run(installedTool('umoci'), args)
      assert.equal(await umoci('ls', '--layout', directory), 'latest')
      const { history } = JSON.parse(await umoci('stat', '--json', '--image', `${directory}:latest`)) as {
        history: { layer: { digest: string } }[]
      }
      assert.deepEqual(
        history.map(({ layer }) => layer.digest),
        [sha256(layer)],
      )
      const bundle = join(scratch.path, 'bundle')
      await umoci('unpack', '--image', directory, bundle)
      assert.deepEqual(await readFile(join(bundle, 'rootfs/bin/data')), randomBytes(5 * MiB, 'layer'))
    })

    it('has the root that kubo gives to the same directory', async () => {
      const directory = join(scratch.path, 'layout')
      const { stdout } = await kubo.ipfs('add', '--recursive', '--quieter', '--only-hash', '--cid-version=1', directory)
      assert.equal(stdout.trim(), root)
    })
  })
})

/** Pushes without holding the blob; returns its CID */
async function pushStream(client: RegistryClient, size: number): Promise<string> {
  const hash = createHash('sha256')
  for (const chunk of randomStream(size, 'cid')) {
    hash.update(chunk)
  }
  const digest: Digest = `sha256:${hash.digest('hex')}`
  const upload = location(await client.startUpload('kubo/cids'))
  const body = Readable.toWeb(Readable.from(randomStream(size, 'cid'))) as ReadableStream
  const response = await client.request('PUT', `${upload}?digest=${digest}`, { body, duplex: 'half' })
  await response.arrayBuffer()
  assert.equal(response.status, 201)
  return String(response.headers.get('X-Ipfs-Cid'))
}

/** Where the IPFS node listens, as its log says */
function listenAddress(log: string): string {
  for (const line of log.split('\n')) {
    const { message, addresses } = line.startsWith('{')
      ? (JSON.parse(line) as { message: string; addresses?: string[] })
      : { message: '' }
    if (message === 'IPFS node started' && addresses?.[0] !== undefined) {
      return addresses[0]
    }
  }
  throw new Error(`no listen address in the log:\n${log}`)
}
