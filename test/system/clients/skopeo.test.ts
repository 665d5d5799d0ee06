import assert from 'node:assert/strict'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import type { Digest } from '../../../src/oci/digest.ts'
import {
  makeImage,
  makeMultiPlatformImage,
  randomBytes,
  readLayout,
  sha256,
  writeLayout,
  type Image,
} from '../../fixtures/images.ts'
import { RegistryClient } from '../../fixtures/registry-client.ts'
import { run } from '../../fixtures/run.ts'
import { ServerProcess } from '../../fixtures/server.ts'
import { temporaryDirectory } from '../../fixtures/temporary.ts'
import { installedTool } from '../../fixtures/tools.ts'

const minute = 60_000
const mebibyte = 1024 * 1024

suite('skopeo', { timeout: 10 * minute }, () => {
  const resources = new AsyncDisposableStack()
  const architectures = ['amd64', 'arm64', 'riscv64']
  let server: ServerProcess
  let client: RegistryClient
  let directory: string
  let image: Image

  before(async () => {
    server = resources.use(await ServerProcess.start())
    client = new RegistryClient(server)
    directory = resources.use(await temporaryDirectory('skopeo')).path
    const common = { hello: randomBytes(3 * mebibyte, 'common') }
    image = makeMultiPlatformImage(
      new Map(
        architectures.map(architecture => [
          architecture,
          makeImage([common, { arch: randomBytes(mebibyte + 7, architecture) }], { architecture, os: 'linux' }),
        ]),
      ),
    )
    await writeLayout(join(directory, 'source'), image)
  })

  after(async () => {
    await resources.disposeAsync()
  })

  async function skopeo(command: string, ...args: string[]): Promise<string> {
    return await run(installedTool('skopeo'), [command, ...args], {
      env: { REGISTRY_AUTH_FILE: join(directory, 'auth.json') },
    })
  }

  async function pushAll(name: string): Promise<void> {
    await skopeo(
      'copy',
      '--all',
      '--preserve-digests',
      '--dest-tls-verify=false',
      `oci:${join(directory, 'source')}:latest`,
      `docker://${server.host}/${name}`,
    )
  }

  test('copies an index of several platforms both ways, byte for byte', async () => {
    await pushAll('skopeo/index:all')

    const back = join(directory, 'back')
    await skopeo(
      'copy',
      '--all',
      '--preserve-digests',
      '--src-tls-verify=false',
      `docker://${server.host}/skopeo/index:all`,
      `oci:${back}:latest`,
    )

    const { manifests } = JSON.parse(await readFile(join(back, 'index.json'), 'utf8')) as {
      manifests: { digest: string }[]
    }
    assert.deepEqual(
      manifests.map(({ digest }) => digest),
      [image.descriptor.digest],
    )
    const blobs = await readdir(join(back, 'blobs/sha256'))
    assert.deepEqual(blobs.sort(), [...image.content.keys()].map(digest => digest.slice('sha256:'.length)).sort())
    for (const [digest, bytes] of image.content) {
      assert.ok(bytes.equals(await readLayout(back, digest)), digest)
    }
  })

  test('serves the index as it was pushed, the unknown platform included', async () => {
    await pushAll('skopeo/index:raw')
    const raw = await skopeo('inspect', '--raw', '--tls-verify=false', `docker://${server.host}/skopeo/index:raw`)
    assert.equal(raw, image.content.get(image.descriptor.digest)!.toString().trimEnd())
    for (const child of (JSON.parse(raw) as { manifests: { digest: Digest }[] }).manifests) {
      assert.equal(await client.digestOf(`/v2/skopeo/index/manifests/${child.digest}`), child.digest)
    }
  })

  test("copies docker's format both ways, byte for byte", async () => {
    const [name, first, second] = ['skopeo/v2s2', join(directory, 'v2s2'), join(directory, 'v2s2-back')]
    await skopeo('copy', '--format', 'v2s2', `oci:${join(directory, 'source')}:latest`, `dir:${first}`)
    await skopeo(
      'copy',
      '--preserve-digests',
      '--dest-tls-verify=false',
      `dir:${first}`,
      `docker://${server.host}/${name}`,
    )
    await skopeo(
      'copy',
      '--preserve-digests',
      '--src-tls-verify=false',
      `docker://${server.host}/${name}`,
      `dir:${second}`,
    )

    const manifest = await readFile(join(first, 'manifest.json'))
    assert.equal(
      (JSON.parse(manifest.toString()) as { mediaType: string }).mediaType,
      'application/vnd.docker.distribution.manifest.v2+json',
    )
    assert.deepEqual(await readdir(second), await readdir(first))
    for (const file of await readdir(first)) {
      assert.ok((await readFile(join(first, file))).equals(await readFile(join(second, file))), file)
    }
    assert.equal(await client.digestOf(`/v2/${name}/manifests/latest`), sha256(manifest))
  })

  test('copies from one repository to another inside the registry', async () => {
    await pushAll('skopeo/from:latest')
    await skopeo(
      'copy',
      '--all',
      '--preserve-digests',
      '--src-tls-verify=false',
      '--dest-tls-verify=false',
      `docker://${server.host}/skopeo/from:latest`,
      `docker://${server.host}/skopeo/to:latest`,
    )
    assert.equal(await client.digestOf('/v2/skopeo/to/manifests/latest'), image.descriptor.digest)
  })

  test('lists tags, inspects and deletes', async () => {
    const name = `docker://${server.host}/skopeo/many`
    await pushAll('skopeo/many:one')
    await pushAll('skopeo/many:two')
    const tags = async (): Promise<string[]> =>
      (JSON.parse(await skopeo('list-tags', '--tls-verify=false', name)) as { Tags: string[] }).Tags
    assert.deepEqual(await tags(), ['one', 'two'])

    const inspected = JSON.parse(
      await skopeo(
        'inspect',
        '--override-os',
        'linux',
        '--override-arch',
        'arm64',
        '--tls-verify=false',
        `${name}:one`,
      ),
    ) as Record<string, unknown>
    assert.equal(inspected.Digest, image.descriptor.digest)
    assert.equal(inspected.Architecture, 'arm64')
    assert.deepEqual(inspected.RepoTags, ['one', 'two'])

    await skopeo('delete', '--tls-verify=false', `${name}:one`)
    assert.equal(await client.digestOf('/v2/skopeo/many/manifests/one'), undefined)
    // skopeo deletes by digest, and both tags named this one
    assert.equal(await client.digestOf('/v2/skopeo/many/manifests/two'), undefined)
  })

  test('lists no tags where the last manifest is gone and blobs are left', async () => {
    const name = `docker://${server.host}/skopeo/emptied`
    // one platform only: the index would leave its children
    await skopeo(
      'copy',
      '--override-os',
      'linux',
      '--override-arch',
      'arm64',
      '--dest-tls-verify=false',
      `oci:${join(directory, 'source')}:latest`,
      `${name}:one`,
    )
    await skopeo('delete', '--tls-verify=false', `${name}:one`)
    const { Tags } = JSON.parse(await skopeo('list-tags', '--tls-verify=false', name)) as { Tags: string[] }
    assert.deepEqual(Tags, [])
  })

  test('syncs a repository to a directory', async () => {
    await pushAll('skopeo/sync:latest')
    await writeFile(
      join(directory, 'sync.yml'),
      `"${server.host}":\n  tls-verify: false\n  images:\n    skopeo/sync: [latest]\n`,
    )
    await skopeo(
      'sync',
      '--all',
      '--preserve-digests',
      '--src',
      'yaml',
      '--dest',
      'dir',
      join(directory, 'sync.yml'),
      join(directory, 'synced'),
    )
    const [folder] = (await readdir(join(directory, 'synced'), { recursive: true }))
      .filter(path => path.endsWith('manifest.json'))
      .sort((a, b) => a.length - b.length)
    assert.equal(sha256(await readFile(join(directory, 'synced', folder!))), image.descriptor.digest)
  })
})
