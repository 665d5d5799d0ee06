import assert from 'node:assert/strict'
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, suite, test, type TestContext } from 'node:test'
import { randomBytes } from '../../fixtures/images.ts'
import { preparePodman, type Podman } from '../../fixtures/podman.ts'
import { startRecordingProxy, type Exchange, type RecordingProxy } from '../../fixtures/recording-proxy.ts'
import { ServerProcess } from '../../fixtures/server.ts'
import { temporaryDirectory } from '../../fixtures/temporary.ts'

const minute = 60_000
const maxRanges = 64
const files = 1000

/** Which files of the layer are others than in the first version: single ones, far from each other or in groups */
const versions: Record<string, (file: number) => boolean> = {
  first: () => false,
  few: file => file % 25 === 7,
  many: file => file % 50 < 30 && file % 5 === 2,
}

suite('podman pulls layers in the format zstd:chunked', { timeout: 10 * minute }, () => {
  const resources = new AsyncDisposableStack()
  let proxy: RecordingProxy
  let tools: Podman
  let context: string
  let repository: string

  before(async () => {
    const server = resources.use(await ServerProcess.start({ args: ['--limits-ranges', String(maxRanges)] }))
    proxy = resources.use(await startRecordingProxy(server.url))
    tools = resources.use(await preparePodman(proxy.host, { partialImages: true }))
    context = resources.use(await temporaryDirectory('podman-lazy')).path
    repository = `${proxy.host}/example/lazy`
    for (const [version, isChanged] of Object.entries(versions)) {
      await mkdir(join(context, version))
      for (let file = 0; file < files; file++) {
        await writeFile(
          join(context, version, `${file}`.padStart(4, '0')),
          randomBytes(4000, `${isChanged(file) ? version : 'first'} ${file}`),
        )
      }
      await writeFile(join(context, `${version}.containerfile`), `FROM scratch\nCOPY ${version} /files\n`)
      await tools.podman([
        'build',
        '--tag',
        `${repository}:${version}`,
        '--file',
        join(context, `${version}.containerfile`),
        context,
      ])
      await tools.podman(['push', '--compression-format', 'zstd:chunked', `${repository}:${version}`])
    }
    // what was built has no table of contents that a pull could compare with: that of the registry has
    await tools.podman(['image', 'rm', '--all', '--force'])
    await tools.podman(['pull', `${repository}:first`])
  })

  after(async () => {
    await resources.disposeAsync()
  })

  /** Pulls a version and checks its files; returns the size of its layer and the requests for it */
  async function pull(t: TestContext, version: string): Promise<{ size: number; requests: Exchange[]; sent: number }> {
    const image = `${repository}:${version}`
    proxy.exchanges.length = 0
    await tools.podman(['pull', image])
    const {
      layers: [layer],
    } = (await (
      await fetch(`http://${proxy.host}/v2/example/lazy/manifests/${version}`, { headers: { Accept: '*/*' } })
    ).json()) as { layers: { digest: string; size: number }[] }
    const requests = proxy.exchanges.filter(({ method, url }) => method === 'GET' && url.endsWith(layer!.digest))
    const sent = requests.reduce((total, { bytes }) => total + bytes, 0)
    t.diagnostic(
      `${sent} bytes of ${layer!.size}: ${requests.map(({ status, ranges, bytes }) => `${status} to ${ranges} ranges, ${bytes} bytes`).join('; ')}`,
    )

    const mounted = await tools.podman(['image', 'mount', image])
    try {
      const names = await readdir(join(context, version))
      assert.deepEqual((await readdir(join(mounted, 'files'))).sort(), names.sort())
      for (const name of names) {
        assert.ok(
          (await readFile(join(mounted, 'files', name))).equals(await readFile(join(context, version, name))),
          name,
        )
      }
    } finally {
      await tools.podman(['image', 'unmount', image])
    }
    return { size: layer!.size, requests, sent }
  }

  test('what changed comes by many ranges in one request', async t => {
    const { size, requests, sent } = await pull(t, 'few')
    assert.deepEqual(
      requests.map(({ status }) => status),
      [206, 206],
    )
    // the table of contents, then each file that is not there yet
    assert.deepEqual(
      requests.map(({ ranges }) => ranges),
      [1, files / 25],
    )
    assert.ok(sent < size / 5, `${sent} bytes of ${size}`)
  })

  test('a request with more ranges than allowed is made again with half as many', async t => {
    const { size, requests, sent } = await pull(t, 'many')
    assert.deepEqual(
      requests.map(({ status }) => status),
      [206, 400, 206],
    )
    const [, refused, served] = requests
    assert.ok(refused!.ranges > maxRanges, `${refused!.ranges} ranges`)
    assert.ok(served!.ranges > 1 && served!.ranges <= maxRanges, `${served!.ranges} ranges`)
    assert.ok(sent < size * 0.7, `${sent} bytes of ${size}`)
  })
})
