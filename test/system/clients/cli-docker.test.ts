import assert from 'node:assert/strict'
import { readdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { greeting, writeBusyboxContext } from '../../fixtures/busybox.ts'
import { startDocker, type Docker } from '../../fixtures/docker.ts'
import { makeImage, sha256, writeLayout } from '../../fixtures/images.ts'
import { ipdr, tryIpdr } from '../../fixtures/ipdr.ts'
import { startKubo } from '../../fixtures/kubo.ts'
import { ServerProcess } from '../../fixtures/server.ts'
import { temporaryDirectory, type TemporaryDirectory } from '../../fixtures/temporary.ts'

const minute = 60_000

suite('ipdr beside a Docker Engine', { timeout: 10 * minute }, () => {
  const resources = new AsyncDisposableStack()
  let docker: Docker
  let server: ServerProcess
  let scratch: TemporaryDirectory
  let host: string
  let env: Record<string, string>

  before(async () => {
    scratch = resources.use(await temporaryDirectory('cli-docker'))
    server = resources.use(await ServerProcess.start())
    docker = resources.use(await startDocker())
    host = `localhost:${server.port}`
    env = { DOCKER_HOST: docker.host }
    await writeBusyboxContext(join(scratch.path, 'context'))
    await docker.run(['build', '--tag', 'example/helloworld', join(scratch.path, 'context')])
  })

  after(async () => {
    await resources.disposeAsync()
  })

  async function removeImages(): Promise<void> {
    const images = (await docker.run(['image', 'ls', '--quiet', '--no-trunc'])).split('\n').filter(Boolean)
    await docker.run(['image', 'rm', '--force', ...new Set(images)])
  }

  async function push(...args: string[]): Promise<string> {
    return await ipdr(['push', 'example/helloworld', '-s', ...args], { env })
  }

  test('pushes an image with the same CID every time, to an appliance and to kubo', async () => {
    const before = await readdir(tmpdir())
    const cid = await push('--docker-registry-host', host)
    assert.equal(await push('--docker-registry-host', host), cid)
    const kubo = await startKubo({ profile: 'unixfs-v1-2025' })
    try {
      assert.equal(await push('--ipfs-host', kubo.api), cid)
    } finally {
      await kubo.stop()
    }
    assert.deepEqual(
      (await readdir(tmpdir())).filter(name => /^ipdr-[^-]{6}$/.test(name) && !before.includes(name)),
      [],
    )
    assert.match(
      await ipdr(['push', 'example/helloworld', '--docker-registry-host', host], { env }),
      new RegExp(`\n/ipfs/${cid}$`),
    )
  })

  test('gives an image the CID that it has when docker pushes it', async () => {
    await docker.run(['tag', 'example/helloworld', `${host}/pushed/by-docker`])
    await docker.run(['push', `${host}/pushed/by-docker`])
    const cid = (await fetch(`http://${host}/v2/pushed/by-docker/manifests/latest`, { method: 'HEAD' })).headers.get(
      'X-Ipfs-Cid',
    )
    await using other = await ServerProcess.start()
    const kubo = await startKubo({ profile: 'unixfs-v1-2025' })
    try {
      assert.deepEqual(
        [
          await push('--docker-registry-host', `localhost:${other.port}`),
          await push('--ipfs-host', kubo.api),
          await push('--docker-registry-host', `localhost:${other.port}`, '--from', `${host}/pushed/by-docker:latest`),
        ],
        [cid, cid, cid],
      )
      assert.deepEqual(
        (await docker.run(['image', 'ls', '--format', '{{.Repository}}']))
          .split('\n')
          .filter(name => name.startsWith('127.0.0.1')),
        [],
      )
    } finally {
      await kubo.stop()
    }
  })

  test('pulls an image by CID and by name, that runs under the name printed', async () => {
    const cid = await push('--docker-registry-host', host)
    const id = await docker.run(['image', 'inspect', '--format', '{{.Id}}', 'example/helloworld'])
    for (const image of [cid, `/ipfs/${cid}`, 'example/helloworld']) {
      await removeImages()
      const name = await ipdr(['pull', image, '-s', '--docker-registry-host', host], { env })
      assert.equal(name, `${host}/${image.replace('/ipfs/', '')}`)
      assert.equal(await docker.run(['run', '--rm', '--network', 'none', name]), greeting)
      assert.equal(await docker.run(['image', 'inspect', '--format', '{{.Id}}', name]), id)
    }
    await docker.run(['tag', `${host}/example/helloworld`, 'example/helloworld'])
  })

  test('pulls what docker pushed, and docker pulls what it pushed', async () => {
    await docker.run(['tag', 'example/helloworld', `${host}/example/docker`])
    await docker.run(['push', `${host}/example/docker`])
    await push('--docker-registry-host', host)
    await removeImages()
    const name = await ipdr(['pull', 'example/docker', '-s', '--docker-registry-host', host], { env })
    assert.equal(await docker.run(['run', '--rm', '--network', 'none', name]), greeting)
    await removeImages()
    await docker.run(['pull', `${host}/example/helloworld`])
    assert.equal(await docker.run(['run', '--rm', '--network', 'none', `${host}/example/helloworld`]), greeting)
    await docker.run(['tag', `${host}/example/helloworld`, 'example/helloworld'])
  })

  test('loads and pushes archives of docker save', async () => {
    const archive = join(scratch.path, 'saved.tar')
    await docker.run(['save', '--output', archive, 'example/helloworld'])
    const cid = await push('--from', archive, '--docker-registry-host', host)
    assert.equal(await push('--from', archive, '--docker-registry-host', host), cid)

    const name = (await ipdr(['pull', cid, '-s', '--docker-registry-host', host], { env })).split('\n').at(-1)!
    assert.match(await docker.run(['run', '--rm', '--network', 'none', name]), new RegExp(greeting))
    await docker.run(['image', 'rm', '--force', name])
    await docker.run(['tag', `${host}/example/helloworld`, 'example/helloworld'])
  })

  test('fails where the engine does not take the image', async () => {
    const broken = makeImage([{ a: Buffer.from('a') }])
    const config = [...broken.content].find(([, bytes]) => bytes.includes('diff_ids'))!
    // the config says that the layer has other contents
    const bytes = Buffer.from(String(config[1]).replace(/sha256:[0-9a-f]{64}/, `sha256:${'0'.repeat(64)}`))
    await writeLayout(join(scratch.path, 'broken'), withConfig(broken, config[0], bytes))
    await ipdr(['push', 'example/broken', '-s', '--from', join(scratch.path, 'broken'), '--docker-registry-host', host])
    const { code, stderr, stdout } = await tryIpdr(['pull', 'example/broken', '--docker-registry-host', host], { env })
    assert.deepEqual({ code, stdout }, { code: 1, stdout: '' })
    assert.match(stderr, /^ipdr: the Docker Engine did not load the image: /)
  })

  test('tells what the engine has not', async () => {
    const { code, stderr } = await tryIpdr(['push', 'example/nope', '--docker-registry-host', host], { env })
    assert.equal(code, 1)
    assert.match(stderr, /^ipdr: the Docker Engine has no image example\/nope\n/)
  })
})

/** The image with another config */
function withConfig(image: ReturnType<typeof makeImage>, old: string, bytes: Buffer): ReturnType<typeof makeImage> {
  const config = sha256(bytes)
  const manifest = JSON.parse(String(image.content.get(image.descriptor.digest))) as {
    config: object
    layers: { digest: `sha256:${string}` }[]
  }
  const changed = Buffer.from(
    JSON.stringify({ ...manifest, config: { ...manifest.config, digest: config, size: bytes.length } }),
  )
  const content = new Map([...image.content].filter(([digest]) => digest !== old && digest !== image.descriptor.digest))
  content.set(config, bytes).set(sha256(changed), changed)
  return { content, descriptor: { ...image.descriptor, digest: sha256(changed), size: changed.length } }
}
