import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { createWriteStream } from 'node:fs'
import { mkdir, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { after, before, suite, test } from 'node:test'
import {
  makeImage,
  makeMultiPlatformImage,
  randomBytes,
  randomStream,
  readLayout,
  sha256,
  writeLayout,
  type Image,
} from '../../fixtures/images.ts'
import { ipdr, tryIpdr } from '../../fixtures/ipdr.ts'
import { startKubo, type Kubo } from '../../fixtures/kubo.ts'
import { descriptorOf, emptyJson, imageManifest, ociLayer, ociManifest } from '../../fixtures/manifests.ts'
import { run } from '../../fixtures/run.ts'
import { ServerProcess } from '../../fixtures/server.ts'
import { temporaryDirectory, type TemporaryDirectory } from '../../fixtures/temporary.ts'

const minute = 60_000
const MiB = 1024 * 1024
const nobody = '127.0.0.1:9'

suite('ipdr push and pull', { timeout: 10 * minute }, () => {
  const resources = new AsyncDisposableStack()
  let kubo: Kubo
  let first: ServerProcess
  let second: ServerProcess
  let scratch: TemporaryDirectory
  let image: Image
  let cid: string

  before(async () => {
    scratch = resources.use(await temporaryDirectory('cli'))
    kubo = await startKubo({ profile: 'unixfs-v1-2025' })
    resources.defer(async () => {
      await kubo.stop()
    })
    first = resources.use(await ServerProcess.start())
    second = resources.use(await ServerProcess.start())
    image = makeMultiPlatformImage(
      new Map([
        ['amd64', makeImage([{ 'bin/data': randomBytes(5 * MiB, 'amd64') }, { 'etc/hostname': Buffer.from('test') }])],
        ['arm64', makeImage([{ 'bin/data': randomBytes(100_000, 'arm64') }], { architecture: 'arm64', os: 'linux' })],
      ]),
    )
    await writeLayout(join(scratch.path, 'image'), image)
    cid = await ipdr([
      'push',
      'example/image:v1',
      '-s',
      '--from',
      join(scratch.path, 'image'),
      '--docker-registry-host',
      `localhost:${first.port}`,
    ])
  })

  after(async () => {
    await resources.disposeAsync()
  })

  async function assertWhole(directory: string): Promise<void> {
    for (const [digest, bytes] of image.content) {
      assert.ok((await readLayout(directory, digest)).equals(bytes), digest)
    }
  }

  test('give an image one CID on every way', async () => {
    const from = `localhost:${first.port}/example/image:v1`
    assert.equal(
      await ipdr(['push', 'example/copy', '-s', '--from', from, '--docker-registry-host', `localhost:${second.port}`]),
      cid,
    )
    assert.equal(await ipdr(['push', 'example/image', '-s', '--from', from, '--ipfs-host', kubo.api]), cid)
    assert.equal(
      await ipdr([
        'push',
        'example/image',
        '-s',
        '--from',
        join(scratch.path, 'image'),
        '--ipfs-host',
        new URL(kubo.api).host,
      ]),
      cid,
    )
  })

  test('keep what is in kubo from its garbage collector', async () => {
    await kubo.ipfs('repo', 'gc')
    const { stdout } = await kubo.ipfs('ls', '--size=false', cid)
    assert.deepEqual(
      stdout
        .trim()
        .split('\n')
        .map(line => line.split(' ').at(-1)),
      ['blobs/', 'index.json', 'manifests/', 'oci-layout'],
    )
    const layout = join(scratch.path, 'gotten')
    await kubo.ipfs('get', '--output', layout, cid)
    await assertWhole(layout)
  })

  const ways: Record<string, () => string[]> = {
    'an appliance': () => ['--docker-registry-host', `localhost:${second.port}`],
    'a kubo': () => ['--ipfs-host', kubo.api],
    'a node of their own': () => ['--docker-registry-host', nobody, '--network', 'lan', '--peer', kubo.addrs[0]!],
  }
  for (const [way, flags] of Object.entries(ways)) {
    test(`have every platform from ${way}`, async () => {
      const output = join(scratch.path, `from ${way}`)
      assert.equal(await ipdr(['pull', `/ipfs/${cid}`, '-s', '--output', output, ...flags()]), output)
      await assertWhole(output)
      assert.equal(
        (JSON.parse(await run('skopeo', ['inspect', '--raw', `oci:${output}`])) as { manifests: unknown[] }).manifests
          .length,
        3,
      )
    })
  }

  test('follow an IPNS name', async () => {
    await kubo.ipfs('name', 'publish', '--allow-offline', '--quieter', `/ipfs/${cid}`)
    const output = join(scratch.path, 'named')
    await ipdr(['pull', `/ipns/${kubo.id}`, '--output', output, '--ipfs-host', kubo.api])
    await assertWhole(output)
  })

  test('read what older IPDR programs wrote', async () => {
    const amd64 = makeImage([{ data: Buffer.from('old') }])
    const {
      content,
      descriptor: { digest: top },
    } = amd64
    const config = (JSON.parse(String(content.get(top))) as { config: { digest: string } }).config.digest
    const layouts = {
      fork: (digest: string) =>
        digest === top
          ? ['manifests/latest', `manifests/${top.replace(':', '/')}`]
          : [`blobs/${digest.replace(':', '/')}`],
      original: (digest: string) => (digest === top ? ['manifests/latest', `manifests/${top}`] : [`blobs/${digest}`]),
      legacy: (digest: string) =>
        digest === top
          ? ['manifests/latest-v2']
          : digest === config
            ? [`blobs/${digest}/${digest.slice(7)}.json`]
            : [`blobs/${digest}`],
    }
    for (const [name, pathsOf] of Object.entries(layouts)) {
      const directory = join(scratch.path, name)
      for (const [digest, bytes] of content) {
        for (const path of pathsOf(digest)) {
          await mkdir(join(directory, path, '..'), { recursive: true })
          await writeFile(join(directory, path), bytes)
        }
      }
      // as they added it: 256 KiB chunks, and the oldest without CIDv1
      const { stdout } = await kubo.ipfs(
        'add',
        '--recursive',
        '--quieter',
        '--chunker=size-262144',
        `--cid-version=${name === 'legacy' ? 0 : 1}`,
        directory,
      )
      const root = stdout.trim()
      const output = join(scratch.path, `pulled ${name}`)
      const docker = await ipdr(['convert', root, '-f', 'docker'])
      assert.equal(docker.startsWith('ciq'), name === 'legacy')
      await ipdr(['pull', docker, '--output', output, '--ipfs-host', kubo.api])
      for (const [digest, bytes] of content) {
        assert.ok((await readLayout(output, digest)).equals(bytes), digest)
      }
    }
  })

  test('write an archive for docker load', async () => {
    const output = join(scratch.path, 'image.tar')
    await ipdr([
      'pull',
      'example/image:v1',
      '--platform',
      'linux/amd64',
      '--output',
      output,
      '--docker-registry-host',
      `localhost:${first.port}`,
    ])
    const [{ Config, Layers }] = JSON.parse(await run('tar', ['-xOf', output, 'manifest.json'])) as [
      { Config: string; Layers: string[] },
    ]
    const names = (await run('tar', ['-tf', output])).split('\n')
    assert.ok([Config, ...Layers].every(path => names.includes(path)))
    assert.match(await run('skopeo', ['inspect', `oci-archive:${output}`]), /"Architecture": "amd64"/)
  })

  test('take no more memory for a large layer', async () => {
    const size = 600 * MiB
    const directory = join(scratch.path, 'large')
    const hash = createHash('sha256')
    await mkdir(join(directory, 'blobs/sha256'), { recursive: true })
    await pipeline(
      Readable.from(randomStream(size, 'large')),
      async function* (chunks: AsyncIterable<Buffer>) {
        for await (const chunk of chunks) {
          hash.update(chunk)
          yield chunk
        }
      },
      createWriteStream(join(directory, 'layer')),
    )
    const layer = { mediaType: ociLayer, digest: `sha256:${hash.digest('hex')}` as const, size }
    const manifest = imageManifest({ layers: [layer] })
    await rename(join(directory, 'layer'), join(directory, 'blobs', layer.digest.replace(':', '/')))
    await writeLayout(directory, {
      descriptor: descriptorOf(manifest, ociManifest),
      content: new Map([
        [sha256(emptyJson), emptyJson],
        [sha256(manifest), manifest],
      ]),
    })
    const output = join(scratch.path, 'large.tar')
    for (const args of [
      ['push', 'example/large', '-s', '--from', directory, '--docker-registry-host', `localhost:${first.port}`],
      [
        'push',
        'example/large',
        '-s',
        '--from',
        `localhost:${first.port}/example/large`,
        '--docker-registry-host',
        `localhost:${second.port}`,
      ],
      ['push', 'example/large', '-s', '--from', directory, '--ipfs-host', kubo.api],
      ['pull', 'example/large', '-s', '--output', output, '--docker-registry-host', `localhost:${first.port}`],
    ]) {
      const peak = await peakMemory(args)
      assert.ok(peak < 350 * MiB, `${args.join(' ')}: ${Math.round(peak / MiB)} MiB`)
    }
  })

  test('say that nobody answers', async () => {
    const { code, stderr, stdout } = await tryIpdr(['push', 'x', '--ipfs-host', nobody])
    assert.deepEqual({ code, stdout }, { code: 1, stdout: '' })
    assert.match(stderr, /^ipdr: 127\.0\.0\.1:9 can't be reached/)
  })

  test('show what the appliance has', async () => {
    const host = ['--docker-registry-host', `localhost:${first.port}`]
    assert.match(await ipdr(['ls', ...host]), new RegExp(`^example/image +v1 +[\\d.]+ MiB +${cid}$`, 'm'))
    assert.match(await ipdr(['inspect', 'example/image:v1', ...host]), new RegExp(`^CID +${cid}$`, 'm'))
  })
})

/** @returns bytes that the program had in memory at most */
async function peakMemory(args: readonly string[]): Promise<number> {
  const { code, stderr } = await tryIpdr(args, {
    env: { NODE_OPTIONS: `--import=${import.meta.resolve('../../fixtures/report-peak.ts')}` },
  })
  assert.equal(code, 0, stderr)
  return Number(/^peak (\d+)$/m.exec(stderr)?.[1]) * 1024
}
