import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { greeting, writeBusyboxContext } from '../../fixtures/busybox.ts'
import { startDocker, type Docker } from '../../fixtures/docker.ts'
import { ServerProcess } from '../../fixtures/server.ts'
import { temporaryDirectory } from '../../fixtures/temporary.ts'

const minute = 60_000

suite('docker', { timeout: 10 * minute }, () => {
  let server: ServerProcess
  let docker: Docker
  let repository: string
  const resources = new AsyncDisposableStack()

  before(async () => {
    server = resources.use(await ServerProcess.start())
    docker = resources.use(await startDocker())
    repository = `localhost:${server.port}/example/helloworld`
    const context = resources.use(await temporaryDirectory('docker'))
    await writeBusyboxContext(context.path)
    await docker.run(['build', '--tag', 'helloworld', context.path])
  })

  after(async () => {
    await resources.disposeAsync()
  })

  async function removeImages(): Promise<void> {
    const images = (await docker.run(['image', 'ls', '--quiet', '--no-trunc'])).split('\n').filter(Boolean)
    if (images.length > 0) {
      await docker.run(['image', 'rm', '--force', ...new Set(images)])
    }
  }

  async function push(name: string): Promise<{ output: string; digest: string }> {
    const output = await docker.run(['push', name])
    const digest = /digest: (sha256:[0-9a-f]{64})/.exec(output)?.[1]
    assert.ok(digest, output)
    return { output, digest }
  }

  test('pushes, pulls and runs an image of several layers', async () => {
    await docker.run(['tag', 'helloworld', repository])
    const id = await docker.run(['image', 'inspect', '--format', '{{.Id}}', repository])
    const { output } = await push(repository)
    assert.equal(output.match(/: Pushed/g)?.length, 3, output)

    await removeImages()
    await docker.run(['pull', repository])

    assert.equal(await docker.run(['image', 'inspect', '--format', '{{.Id}}', repository]), id)
    assert.equal(await docker.run(['run', '--rm', repository]), greeting)
  })

  test('pushes nothing twice', async () => {
    const first = await push(repository)
    assert.equal(first.output.match(/: Layer already exists/g)?.length, 3, first.output)
    assert.doesNotMatch(first.output, /: Pushed/)
    assert.equal((await push(repository)).digest, first.digest)
  })

  test('pulls by digest', async () => {
    const { digest } = await push(repository)
    await removeImages()
    await docker.run(['pull', `${repository}@${digest}`])
    assert.equal(await docker.run(['run', '--rm', `${repository}@${digest}`]), greeting)
    await docker.run(['tag', `${repository}@${digest}`, repository])
  })

  test('keeps two tags apart', async () => {
    await using context = await temporaryDirectory('docker')
    await writeBusyboxContext(context.path)
    await docker.run(['build', '--tag', `${repository}:two`, '--file', '-', context.path], {
      input: `FROM ${repository}\nCMD ["/bin/busybox", "echo", "two"]\n`,
    })
    await docker.run(['tag', repository, `${repository}:one`])
    await push(`${repository}:one`)
    await push(`${repository}:two`)

    await removeImages()
    await docker.run(['pull', '--all-tags', repository])
    assert.equal(await docker.run(['run', '--rm', `${repository}:one`]), greeting)
    assert.equal(await docker.run(['run', '--rm', `${repository}:two`]), 'two')
    assert.equal(await docker.run(['run', '--rm', `${repository}:latest`]), greeting)
  })

  test('mounts the layers of another repository', async () => {
    const second = `localhost:${server.port}/example/copy`
    await docker.run(['tag', repository, second])
    const { output } = await push(second)
    assert.equal(output.match(/: Mounted from example\/helloworld/g)?.length, 3, output)

    await removeImages()
    assert.match(await docker.run(['run', '--rm', '--pull', 'always', second]), new RegExp(greeting))
  })

  test('tells that an image does not exist', async () => {
    await assert.rejects(docker.run(['pull', `${repository}:missing`]), /manifest unknown|not found/)
  })
})
