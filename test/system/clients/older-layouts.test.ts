import assert from 'node:assert/strict'
import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { toDockerFormat } from '../../../src/oci/cid.ts'
import { hexOf, type Digest } from '../../../src/oci/digest.ts'
import { greeting, writeBusyboxContext } from '../../fixtures/busybox.ts'
import { startDocker, type Docker } from '../../fixtures/docker.ts'
import { sha256 } from '../../fixtures/images.ts'
import { startKubo, type Kubo } from '../../fixtures/kubo.ts'
import { ServerProcess } from '../../fixtures/server.ts'
import { temporaryDirectory, type TemporaryDirectory } from '../../fixtures/temporary.ts'

interface Descriptor {
  digest: Digest
  mediaType: string
  size: number
}
interface Image {
  manifest: Buffer
  config: Descriptor
  layers: Descriptor[]
  blobs: Map<Digest, Buffer>
}

/** The files of an image root, by path */
type Layout = Record<string, Buffer | string>

/** What each program wrote below an image root, and how it added that to IPFS */
const programs: Array<{ name: string; layout: (image: Image) => Layout; add: string[] }> = [
  {
    name: 'IPDR 0.1.7 and its server',
    add: ['--cid-version=1'],
    layout: ({ manifest, blobs }) => ({
      ...Object.fromEntries([...blobs].map(([digest, bytes]) => [`blobs/${digest}`, bytes])),
      'manifests/latest': manifest,
      'manifests/v1': manifest,
      [`manifests/${sha256(manifest)}`]: manifest,
    }),
  },
  {
    name: 'the fork of IPDR',
    add: ['--cid-version=1'],
    layout: ({ manifest, blobs, config, layers }) => ({
      ...Object.fromEntries([...blobs].map(([digest, bytes]) => [`blobs/sha256/${hexOf(digest)}`, bytes])),
      imageName: 'example/helloworld',
      'oci-layout': '{"imageLayoutVersion":"1.0.0"}',
      'manifest.json': JSON.stringify([
        {
          Config: `blobs/sha256/${hexOf(config.digest)}`,
          RepoTags: ['example/helloworld:latest'],
          Layers: layers.map(({ digest }) => `blobs/sha256/${hexOf(digest)}`),
        },
      ]),
      'manifests/latest': manifest,
      [`manifests/sha256/${hexOf(sha256(manifest))}`]: manifest,
    }),
  },
  {
    name: 'IPDR up to 0.1.6',
    add: ['--cid-version=0'],
    layout: ({ manifest, blobs, config }) => ({
      ...Object.fromEntries(
        [...blobs].map(([digest, bytes]) => [
          digest === config.digest ? `blobs/${digest}/${hexOf(digest)}.json` : `blobs/${digest}`,
          bytes,
        ]),
      ),
      'manifests/latest-v2': manifest,
    }),
  },
]

describe('an image of an older program, at a real kubo', { timeout: 600_000 }, () => {
  let docker: Docker
  let kubo: Kubo
  let server: ServerProcess
  let scratch: TemporaryDirectory
  let image: Image

  before(async () => {
    scratch = await temporaryDirectory('layouts')
    docker = await startDocker()
    kubo = await startKubo()
    server = await ServerProcess.start({
      args: ['--network', 'lan', '--p2p-host', '127.0.0.1', '--p2p-port', '0', '--p2p-peers', kubo.addrs[0]!],
    })
    // elsewhere, so that the server under test has nothing of it
    await using builder = await ServerProcess.start()
    image = await buildImage(docker, builder, join(scratch.path, 'context'))
  })

  after(async () => {
    await server?.[Symbol.asyncDispose]()
    await kubo?.stop()
    await docker?.[Symbol.asyncDispose]()
    await scratch?.[Symbol.asyncDispose]()
  })

  for (const { name, layout, add } of programs) {
    it(`is pulled by docker and runs: ${name}`, async () => {
      const directory = join(scratch.path, name)
      for (const [path, content] of Object.entries(layout(image))) {
        await mkdir(dirname(join(directory, path)), { recursive: true })
        await writeFile(join(directory, path), content)
      }
      const root = (await kubo.ipfs('add', '--recursive', '--quieter', ...add, directory)).stdout.trim()
      const reference = `localhost:${server.port}/${toDockerFormat(root)}`

      await docker.run(['pull', reference])
      assert.match(await docker.run(['run', '--rm', '--network', 'none', reference]), new RegExp(greeting))
      await docker.run(['rmi', '--force', reference])
    })
  }
})

/**
 * Builds an image and returns what docker pushes of it; the manifest as the older programs wrote it, with its keys
 * sorted
 */
async function buildImage(docker: Docker, server: ServerProcess, context: string): Promise<Image> {
  const reference = `localhost:${server.port}/layouts/image`
  await mkdir(context)
  await writeBusyboxContext(context)
  await docker.run(['build', '--tag', reference, context])
  await docker.run(['push', reference])
  await docker.run(['rmi', '--force', reference])
  const pushed = (await (await fetch(`${server.url}/v2/layouts/image/manifests/latest`)).json()) as {
    config: Descriptor
    layers: Descriptor[]
    mediaType: string
  }
  const { config, layers, mediaType } = pushed
  const blobs = new Map<Digest, Buffer>()
  for (const { digest } of [config, ...layers]) {
    blobs.set(digest, Buffer.from(await (await fetch(`${server.url}/v2/layouts/image/blobs/${digest}`)).arrayBuffer()))
  }
  const sorted = ({ digest, mediaType, size }: Descriptor): Descriptor => ({ digest, mediaType, size })
  const manifest = Buffer.from(
    JSON.stringify({ config: sorted(config), layers: layers.map(sorted), mediaType, schemaVersion: 2 }),
  )
  return { manifest, config, layers, blobs }
}
