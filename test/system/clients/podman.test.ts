import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { greeting, writeBusyboxContext } from '../../fixtures/busybox.ts'
import { preparePodman, type Podman } from '../../fixtures/podman.ts'
import { ServerProcess } from '../../fixtures/server.ts'
import { temporaryDirectory } from '../../fixtures/temporary.ts'

const minute = 60_000

suite('podman and buildah', { timeout: 10 * minute }, () => {
  let server: ServerProcess
  let tools: Podman
  let context: string
  let repository: string
  const resources = new AsyncDisposableStack()

  before(async () => {
    server = resources.use(await ServerProcess.start())
    tools = resources.use(await preparePodman(server.host))
    repository = `${server.host}/example/helloworld`
    context = resources.use(await temporaryDirectory('podman')).path
    await writeBusyboxContext(context)
    await tools.podman(['build', '--layers', '--network', 'none', '--tag', repository, context])
  })

  after(async () => {
    await resources.disposeAsync()
  })

  async function removeImages(): Promise<void> {
    await tools.podman(['image', 'rm', '--all', '--force'])
  }

  async function start(image: string): Promise<string> {
    return await tools.podman(['run', '--rm', '--pull', 'never', '--network', 'none', image])
  }

  async function digestOf(reference: string): Promise<string> {
    const response = await fetch(`${server.url}/v2/example/helloworld/manifests/${reference}`, {
      method: 'HEAD',
      headers: { Accept: '*/*' },
    })
    assert.equal(response.status, 200)
    return response.headers.get('Docker-Content-Digest')!
  }

  test('pushes, pulls and runs an image of several layers', async () => {
    const id = await tools.podman(['image', 'inspect', '--format', '{{.Id}}', repository])
    await tools.podman(['push', repository])

    await removeImages()
    await tools.podman(['pull', repository])

    assert.equal(await tools.podman(['image', 'inspect', '--format', '{{.Id}}', repository]), id)
    assert.equal(await start(repository), greeting)
  })

  test('pulls by digest', async () => {
    const digest = await digestOf('latest')
    await removeImages()
    await tools.podman(['pull', `${repository}@${digest}`])
    assert.equal(await start(`${repository}@${digest}`), greeting)
    await tools.podman(['tag', `${repository}@${digest}`, repository])
  })

  test("pushes docker's format beside the one of OCI", async () => {
    await tools.podman(['push', '--format', 'v2s2', repository, `${repository}:v2s2`])
    await removeImages()
    await tools.podman(['pull', `${repository}:v2s2`])
    assert.equal(await start(`${repository}:v2s2`), greeting)
    assert.notEqual(await digestOf('v2s2'), await digestOf('latest'))
  })

  test('keeps two tags and two repositories apart', async () => {
    await tools.podman(['pull', repository])
    const containerfile = join(context, 'Containerfile.two')
    await writeFile(containerfile, `FROM ${repository}\nCMD ["/bin/busybox", "echo", "two"]\n`)
    await tools.podman(['build', '--network', 'none', '--tag', `${repository}:two`, '--file', containerfile, context])
    const other = `${server.host}/example/copy`
    await tools.podman(['push', `${repository}:two`])
    await tools.podman(['push', `${repository}:two`, other])

    await removeImages()
    for (const [image, line] of [
      [repository, greeting],
      [`${repository}:two`, 'two'],
      [other, 'two'],
    ] as const) {
      await tools.podman(['pull', image])
      assert.equal(await start(image), line)
    }
  })

  test('buildah builds, pushes and pulls', async () => {
    const image = `${server.host}/example/buildah`
    await tools.buildah(['build', '--network', 'none', '--tag', image, context])
    await tools.buildah(['push', image])

    await removeImages()
    await tools.buildah(['pull', image])
    assert.equal(await start(image), greeting)
  })
})
