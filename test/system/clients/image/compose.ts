import assert from 'node:assert/strict'
import { createServer, type AddressInfo } from 'node:net'
import { once } from 'node:events'
import { join } from 'node:path'
import { after, afterEach, before, suite, test } from 'node:test'
import { greeting, writeBusyboxContext } from '../../../fixtures/busybox.ts'
import type { Docker } from '../../../fixtures/docker.ts'
import { imageEngine } from '../../../fixtures/image-engine.ts'
import { run } from '../../../fixtures/run.ts'
import { temporaryDirectory, type TemporaryDirectory } from '../../../fixtures/temporary.ts'
import { installedTool, projectDirectory } from '../../../fixtures/tools.ts'
import { until } from '../../../fixtures/until.ts'

const minute = 60_000

suite('docker-compose.yml', { timeout: 20 * minute }, () => {
  const resources = new AsyncDisposableStack()
  let docker: Docker
  let scratch: TemporaryDirectory
  let npmRegistry: string
  let ports: { registry: number; p2p: number; one: number; two: number }

  before(async () => {
    scratch = resources.use(await temporaryDirectory('compose'))
    docker = await imageEngine()
    const context = join(scratch.path, 'hello')
    await writeBusyboxContext(context)
    await docker.run(['build', '--tag', 'helloworld', context])
    const [registry, p2p, one, two] = await freePorts(4)
    ports = { registry: registry!, p2p: p2p!, one: one!, two: two! }
    npmRegistry = await run('npm', ['config', 'get', 'registry'], { cwd: projectDirectory })
    await compose('build')
  })

  afterEach(async () => {
    await compose('--profile', 'app', '--profile', 'pair', 'down', '--volumes')
  })

  after(async () => {
    await resources.disposeAsync()
  })

  async function compose(...args: string[]): Promise<string> {
    const env = {
      DOCKER_HOST: docker.host,
      DOCKER_CONFIG: scratch.path,
      DOCKER_BUILDKIT: '0',
      COMPOSE_PROJECT_NAME: 'ipdr-test',
      // as scripts/image-build has it, so that what that has built counts here
      NPM_CONFIG_REGISTRY: npmRegistry,
      // no test reaches for the Internet
      IPDR_NETWORK: 'lan',
      REGISTRY_PORT: `${ports.registry}`,
      P2P_PORT: `${ports.p2p}`,
      ONE_PORT: `${ports.one}`,
      TWO_PORT: `${ports.two}`,
    }
    return await run(installedTool('docker-compose'), args, { cwd: projectDirectory, env, timeout: 10 * minute })
  }

  /** Pushes to a port of this machine once the registry there answers, and lets the engine forget the image */
  async function push(port: number): Promise<void> {
    await until('the registry answers', async () => (await fetch(`http://localhost:${port}/readyz`)).ok, minute)
    const name = `localhost:${port}/example/helloworld`
    await docker.run(['tag', 'helloworld', name])
    await docker.run(['push', name])
    await docker.run(['image', 'rm', name])
  }

  test('has a registry, and a service that is pulled from it once it is healthy', async () => {
    await compose('up', '--detach', 'registry')
    await push(ports.registry)
    const output = await compose('--profile', 'app', 'up', '--no-color', 'app')
    assert.match(output, new RegExp(greeting))
    assert.match(output, /exited with code 0/)
  })

  test('has two appliances that find each other, and pull from one another by CID', async () => {
    await compose('--profile', 'pair', 'up', '--detach', 'one', 'two')
    await push(ports.one)
    const cid = await compose('exec', '-T', 'one', 'ipdr', 'dig', 'example/helloworld:latest')
    await until(
      'they are connected',
      async () => JSON.parse(await compose('exec', '-T', 'two', 'ipdr', 'peers', '--json')).length > 0,
      minute,
    )

    const name = `localhost:${ports.two}/${cid}`
    await docker.run(['pull', name])
    assert.equal(await docker.run(['run', '--rm', '--network', 'none', name]), greeting)
  })
})

async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0))
  await Promise.all(
    servers.map(async server => {
      await once(server, 'listening')
    }),
  )
  const ports = servers.map(server => (server.address() as AddressInfo).port)
  await Promise.all(
    servers.map(async server => {
      await once(server.close(), 'close')
    }),
  )
  return ports
}
