import assert from 'node:assert/strict'
import { once } from 'node:events'
import { chmod, mkdir, readdir, stat } from 'node:fs/promises'
import { request, type IncomingMessage } from 'node:http'
import { connect, createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { after, before, describe, it } from 'node:test'
import { imageManifest, emptyJson } from '../fixtures/manifests.ts'
import { ipdr, tryIpdr } from '../fixtures/ipdr.ts'
import { startPlainNginx } from '../fixtures/nginx.ts'
import { RegistryClient } from '../fixtures/registry-client.ts'
import { tryRun } from '../fixtures/run.ts'
import { ServerProcess } from '../fixtures/server.ts'
import { temporaryDirectory, type TemporaryDirectory } from '../fixtures/temporary.ts'
import { installedTool, projectDirectory } from '../fixtures/tools.ts'
import { nodeFlags } from '../../scripts/node-flags.ts'
import { until } from '../fixtures/until.ts'

const minute = 60_000
const nobody = 65_534
const main = join(projectDirectory, 'src/main.js')
/** Where whatever a process makes is open to everybody, unless it sees to that itself */
const careless = ['/bin/sh', '-c', 'umask 000; exec "$@"', 'sh', process.execPath, ...nodeFlags(), main] as const
const withPeer = ['--network', 'lan', '--p2p-host', '127.0.0.1', '--p2p-port', '0']

describe('administration', { timeout: 10 * minute }, () => {
  let scratch: TemporaryDirectory
  let server: ServerProcess
  before(async () => {
    scratch = await temporaryDirectory('administration')
    // as a data directory below /srv or /home is reached by everybody
    await chmod(scratch.path, 0o755)
    server = await ServerProcess.start({ dataDir: join(scratch.path, 'data'), program: careless, args: withPeer })
    const client = new RegistryClient(server)
    assert.equal((await client.pushBlob('a', emptyJson)).status, 201)
    assert.equal((await client.pushManifest('a', 'latest', imageManifest())).status, 201)
    await until(
      'the key of the name is made',
      async () => (await tryIpdr(['publish', '--data-dir', server.dataDir])).code === 0,
    )
  })
  after(async () => {
    await server?.[Symbol.asyncDispose]()
    await scratch?.[Symbol.asyncDispose]()
  })

  /** As another user of this machine */
  const asNobody = async (...command: string[]): ReturnType<typeof tryRun> => {
    return await tryRun(installedTool('setpriv'), [
      '--reuid',
      String(nobody),
      '--regid',
      String(nobody),
      '--clear-groups',
      ...command,
    ])
  }
  const secrets = async (): Promise<string[]> => [
    'admin.token',
    ...(await readdir(join(server.dataDir, 'datastore'))).map(name => join('datastore', name)),
  ]
  const modeOf = async (name: string): Promise<number> => (await stat(join(server.dataDir, name))).mode & 0o7777

  async function assertClosed(): Promise<void> {
    assert.deepEqual(await Promise.all(['.', 'datastore', 'index'].map(modeOf)), [0o700, 0o700, 0o700])
    for (const name of [...(await secrets()), 'admin.sock']) {
      assert.equal((await modeOf(name)).toString(8), '600', name)
      const { code, stdout } = await asNobody('cat', join(server.dataDir, name))
      assert.deepEqual([code, stdout], [1, ''], name)
    }
  }

  it('keeps keys and tokens from other users, whatever the umask', async () => {
    assert.ok((await secrets()).some(name => name.endsWith('.log')))
    await assertClosed()
  })

  it('closes a directory that is open, keeps closed what it writes later, and says to whom it was open', async () => {
    await server.stop()
    for (const name of await secrets()) {
      await chmod(join(server.dataDir, name), 0o644)
    }
    for (const name of ['.', 'datastore', 'index', 'blocks']) {
      await chmod(join(server.dataDir, name), 0o755)
    }
    assert.equal((await asNobody('cat', join(server.dataDir, 'admin.token'))).code, 0)
    await server.start()
    await assertClosed()
    const lines = server.log.split('\n').filter(line => line.includes('open to other users'))
    assert.equal(lines.length, 1)
    assert.match(lines[0]!, /warn.*it is closed now directory=\S+ to="?group \d+: rx, everyone: rx"? exposed=/)
    await server.restart()
    assert.equal(server.log.split('\n').filter(line => line.includes('open to other users')).length, 1)
  })

  it('is done by the commands without further ado, but not by another user', async () => {
    const at = ['--data-dir', server.dataDir]
    assert.match(await ipdr(['gc', ...at]), /^Freed /)
    assert.match(await ipdr(['fsck', ...at]), / 0 were missing and 0 damaged/)
    assert.match(await ipdr(['peers', ...at]), /^PEER/)
    assert.match(await ipdr(['publish', '--json'], { env: { IPDR_DATA_DIR: server.dataDir } }), /"name":"k51/)
    assert.match(await ipdr(['resolve', 'a:latest'], { cwd: scratch.path }), /^\/ipfs\/baf/)
    assert.match(await ipdr(['backup', join(scratch.path, 'new.car'), ...at]), /^Wrote \d+ blocks/)
    const { code, stderr } = await asNobody(process.execPath, main, 'gc', ...at)
    assert.equal(code, 1)
    assert.match(
      stderr,
      new RegExp(
        `^ipdr: no permission to use ${server.dataDir}/admin.sock: it belongs to user 0, and this is user ${nobody}\nRun this as`,
      ),
    )
  })

  it('goes on after a crash, as the socket that it left is replaced', async () => {
    await server.kill()
    assert.match(
      (await tryIpdr(['gc', '--data-dir', server.dataDir])).stderr,
      /^ipdr: no server answers at \S+admin\.sock\n/,
    )
    await server.start()
    assert.match(await ipdr(['gc', '--data-dir', server.dataDir]), /^Freed /)
  })

  it('works in a directory whose path is too long for a socket', async () => {
    const dataDir = join(scratch.path, 'x'.repeat(120), 'data')
    await using other = await ServerProcess.start({ dataDir })
    assert.match(await ipdr(['gc', '--data-dir', dataDir]), /^Freed /)
    await other.stop()
    assert.ok(!(await readdir(dataDir)).includes('admin.sock'))
  })

  it('takes a token over TCP, from elsewhere or from a file of the operator', async () => {
    const token = join(server.dataDir, 'admin.token')
    assert.match(await ipdr(['gc', '--docker-registry-host', server.host, '--admin-token-file', token]), /^Freed /)
    assert.match((await tryIpdr(['gc', '--docker-registry-host', server.host])).stderr, /wants its admin token/)
  })

  describe('through a proxy on the same machine', () => {
    const resources = new AsyncDisposableStack()
    const ports: Record<string, number> = {}
    before(async () => {
      const directory = join(scratch.path, 'nginx')
      await mkdir(directory)
      ports['nginx'] = resources.use(await startPlainNginx(directory, server.host)).port
      const proxy = createServer(client => {
        const upstream = connect(server.port, '127.0.0.1')
        client.pipe(upstream).pipe(client)
        client.on('error', () => {
          upstream.destroy()
        })
        upstream.on('error', () => {
          client.destroy()
        })
      }).listen(0, '127.0.0.1')
      await once(proxy, 'listening')
      resources.defer(() => {
        proxy.close()
      })
      ports['TCP'] = (proxy.address() as AddressInfo).port
    })
    after(async () => {
      await resources.disposeAsync()
    })

    async function ask(
      port: number,
      method: string,
      path: string,
      headers: Record<string, string>,
    ): Promise<{ status: number | undefined; body: string }> {
      const req = request({ host: '127.0.0.1', port, method, path, agent: false, headers }).end(
        method === 'POST' ? '{}' : undefined,
      )
      const [response] = (await once(req, 'response')) as [IncomingMessage]
      return { status: response.statusCode, body: String(await buffer(response)) }
    }

    for (const name of ['nginx', 'TCP']) {
      it(`of ${name} it is refused, and images are served`, async () => {
        for (const headers of [{}, { Host: 'localhost' }, { Host: `127.0.0.1:${server.port}` }] as Array<
          Record<string, string>
        >) {
          for (const [method, path] of [
            ['GET', '/ipdr/v1/peers'],
            ['POST', '/ipdr/v1/gc'],
            ['POST', '/ipdr/v1/backup'],
            ['POST', '/ipdr/v1/restore'],
            ['GET', '/metrics'],
          ] as const) {
            const { status, body } = await ask(ports[name]!, method, path, {
              ...headers,
              ...(method === 'POST' ? { 'Content-Type': 'application/json', 'Content-Length': '2' } : {}),
            })
            assert.equal(status, 401, `${method} ${path}: ${body}`)
          }
          assert.equal(
            (
              await ask(ports[name]!, 'POST', '/IPDR/V1/gc', {
                ...headers,
                'Content-Type': 'application/json',
                'Content-Length': '2',
              })
            ).status,
            404,
          )
          assert.equal((await ask(ports[name]!, 'GET', '/v2/a/manifests/latest', headers)).status, 200)
          assert.equal((await ask(ports[name]!, 'GET', '/readyz', headers)).status, 200)
        }
      })
    }
  })
})

it('a server whose metrics are open tells them to whoever asks', async () => {
  await using server = await ServerProcess.start({ env: { IPDR_ADMIN_METRICS: 'open' } })
  assert.match(await (await fetch(`${server.url}/metrics`)).text(), /^ipdr_/m)
  assert.equal((await fetch(`${server.url}/ipdr/v1/peers`)).status, 401)
})
