/** What the clients of users show of a registry that is read-only: they give up soon, and say why */
import assert from 'node:assert/strict'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { greeting, writeBusyboxContext } from '../fixtures/busybox.ts'
import { startDocker } from '../fixtures/docker.ts'
import { makeImage, writeLayout } from '../fixtures/images.ts'
import { ipdr } from '../fixtures/ipdr.ts'
import { preparePodman } from '../fixtures/podman.ts'
import { tryRun, type RunResult } from '../fixtures/run.ts'
import { ServerProcess } from '../fixtures/server.ts'
import { temporaryDirectory } from '../fixtures/temporary.ts'
import { builtTool, installedTool } from '../fixtures/tools.ts'

const minute = 60_000
const reason = 'moving to a new disk'
const message = /the registry is read-only: moving to a new disk/
/** Clients that try again do so for longer */
const maxTime = 30_000

type Result = Pick<RunResult, 'code' | 'stdout' | 'stderr'>

/** Of a command that throws where it fails */
async function resultOf(output: Promise<string>): Promise<Result> {
  try {
    return { code: 0, stdout: await output, stderr: '' }
  } catch (err) {
    return { code: 1, stdout: '', stderr: (err as Error).message }
  }
}

suite('a registry that is read-only', { timeout: 10 * minute }, () => {
  const resources = new AsyncDisposableStack()
  let server: ServerProcess
  let directory: string

  before(async () => {
    directory = resources.use(await temporaryDirectory('read-only')).path
    server = resources.use(await ServerProcess.start())
    await writeLayout(
      join(directory, 'layout'),
      makeImage([{ file: Buffer.from('content') }], { os: 'linux', architecture: 'amd64' }),
    )
    await writeFile(join(directory, 'policy.json'), JSON.stringify({ default: [{ type: 'insecureAcceptAnything' }] }))
  })
  after(async () => {
    await resources.disposeAsync()
  })

  async function use(tool: string, args: readonly string[]): Promise<RunResult> {
    const home = join(directory, 'home')
    await mkdir(home, { recursive: true })
    return await tryRun(tool, args, { cwd: directory, env: { HOME: home, DOCKER_CONFIG: home } })
  }

  async function switchMode(state: 'on' | 'off'): Promise<void> {
    const more = state === 'on' ? ['--reason', reason] : []
    await ipdr(['read-only', state, ...more, '--data-dir', server.dataDir])
  }

  /** Runs a push that works, then one that must not, then reads what the first pushed */
  async function compare(
    push: (name: string) => Promise<Result>,
    read: (name: string) => Promise<Result>,
  ): Promise<void> {
    const first = await push('first')
    assert.equal(first.code, 0, first.stderr)
    await switchMode('on')
    try {
      const began = performance.now()
      const refused = await push('second')
      assert.notEqual(refused.code, 0)
      assert.match(refused.stdout + refused.stderr, message)
      assert.ok(performance.now() - began < maxTime, 'it does not try again and again')
      const found = await read('first')
      assert.equal(found.code, 0, found.stderr)
    } finally {
      await switchMode('off')
    }
    assert.equal((await push('second')).code, 0)
  }

  const image = (tool: string, name: string): string => `${server.host}/${tool}/${name}:v1`

  test('is told by crane', async () => {
    const crane = builtTool('crane')
    await compare(
      async name => await use(crane, ['push', 'layout', image('crane', name)]),
      async name => await use(crane, ['manifest', image('crane', name)]),
    )
  })

  test('is told by oras', async () => {
    const oras = builtTool('oras')
    await writeFile(join(directory, 'file.txt'), 'content')
    await compare(
      async name => await use(oras, ['push', '--plain-http', image('oras', name), 'file.txt']),
      async name => await use(oras, ['manifest', 'fetch', '--plain-http', image('oras', name)]),
    )
  })

  test('is told by skopeo', async () => {
    const skopeo = installedTool('skopeo')
    const options = ['--policy', 'policy.json', 'copy', '--src-tls-verify=false', '--dest-tls-verify=false']
    await compare(
      async name => await use(skopeo, [...options, 'oci:layout', `docker://${image('skopeo', name)}`]),
      async name => await use(skopeo, [...options, `docker://${image('skopeo', name)}`, `oci:from-${name}`]),
    )
  })

  test('is told by podman', async () => {
    await using tools = await preparePodman(server.host)
    await using context = await temporaryDirectory('podman')
    await writeBusyboxContext(context.path)
    const result = async (args: string[]): Promise<Result> => await resultOf(tools.podman(args))
    await tools.podman(['build', '--layers', '--network', 'none', '--tag', 'helloworld', context.path])
    await compare(
      async name => await result(['push', 'helloworld', `docker://${image('podman', name)}`]),
      async name => await result(['pull', image('podman', name)]),
    )
  })

  test('is told by docker', async () => {
    await using docker = await startDocker()
    await using context = await temporaryDirectory('docker')
    await writeBusyboxContext(context.path)
    await docker.run(['build', '--tag', 'helloworld', context.path])
    const at = (name: string): string => `localhost:${server.port}/docker/${name}:v1`
    const result = async (args: string[]): Promise<Result> => await resultOf(docker.run(args))
    await compare(
      async name => {
        await docker.run(['tag', 'helloworld', at(name)])
        return await result(['push', at(name)])
      },
      async name => await result(['run', '--rm', '--pull', 'always', at(name)]),
    )
    assert.equal(await docker.run(['run', '--rm', at('first')]), greeting)
  })
})
