import assert from 'node:assert/strict'
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import type { Digest } from '../../../../src/oci/digest.ts'
import packageJson from '../../../../package.json' with { type: 'json' }
import { greeting, writeBusyboxContext } from '../../../fixtures/busybox.ts'
import { CertificateAuthority } from '../../../fixtures/certificates.ts'
import { runScript, ServerContainer } from '../../../fixtures/container.ts'
import { startDocker, type Docker } from '../../../fixtures/docker.ts'
import { imageEngine } from '../../../fixtures/image-engine.ts'
import { randomBytes, sha256 } from '../../../fixtures/images.ts'
import { RegistryClient } from '../../../fixtures/registry-client.ts'
import { run, tryRun, type RunResult } from '../../../fixtures/run.ts'
import { temporaryDirectory, type TemporaryDirectory } from '../../../fixtures/temporary.ts'
import { projectDirectory } from '../../../fixtures/tools.ts'
import { until } from '../../../fixtures/until.ts'

const second = 1000
const minute = 60 * second
const MiB = 1024 * 1024
const readOnly = ['--read-only', '--cap-drop', 'ALL', '--security-opt', 'no-new-privileges']
const peer = '/ip4/192.0.2.1/tcp/4001/p2p/12D3KooWAKXBgFofa5KWnjAZ9AYoTGtR4VtXsXPJYBhNZhpZxJ9t'

suite('the container image', { timeout: 20 * minute }, () => {
  const resources = new AsyncDisposableStack()
  let docker: Docker
  let scratch: TemporaryDirectory

  before(async () => {
    scratch = resources.use(await temporaryDirectory('container'))
    // the containers' user looks for files of ours there
    await chmod(scratch.path, 0o755)
    docker = await imageEngine()
    await runScript(docker, 'image-build')
    await buildHello(docker)
  })

  after(async () => {
    await resources.disposeAsync()
  })

  async function buildHello(engine: Docker): Promise<void> {
    const context = join(scratch.path, 'hello')
    await writeBusyboxContext(context)
    await engine.run(['build', '--tag', 'helloworld', context])
  }

  async function push(host: string, engine = docker): Promise<void> {
    const name = `${host}/example/helloworld`
    await engine.run(['tag', 'helloworld', name])
    await engine.run(['push', name])
    await engine.run(['image', 'rm', name])
  }

  async function pullAndRun(host: string, engine = docker): Promise<string> {
    const name = `${host}/example/helloworld`
    await engine.run(['pull', name])
    const printed = await engine.run(['run', '--rm', '--network', 'none', name])
    await engine.run(['image', 'rm', name])
    return printed
  }

  /** Milliseconds that the smallest command takes in a container */
  async function timeOfCommand(): Promise<number> {
    const began = performance.now()
    await docker.run(['run', '--rm', 'ipdr-server', 'version'])
    return Math.round(performance.now() - began)
  }

  /** A server that is expected to end at once */
  async function tryServer(...options: string[]): Promise<RunResult> {
    return await tryRun('docker', ['run', '--rm', ...options, 'ipdr-server'], { env: { DOCKER_HOST: docker.host } })
  }

  test('is healthy soon, stops soon, and leaves peer and images to the next one on its volume', async t => {
    let before: string
    {
      const usual = await timeOfCommand()
      await using server = await ServerContainer.start(docker, ['--volume', 'kept:/data'])
      const took = await server.healthy()
      // other processes may have the processors: what a command takes before and after says how much of them is left
      const command = Math.max(usual, await timeOfCommand())
      t.diagnostic(`healthy after ${took} ms, and a command takes ${command} ms`)
      // the engine looks after 3 s for the first time, by a command
      assert.ok(took < 3 * second + Math.max(2 * second, 3 * command), `${took} ms, a command ${command} ms`)

      await push(await server.host())
      assert.equal(await pullAndRun(await server.host()), greeting)
      assert.notEqual(await server.exec('id', '-u'), '0')
      assert.match(await server.exec('ipdr', 'peers'), /^PEER/)
      before = /peer id +(\S+)/.exec(await server.logs())![1]!

      const stop = await server.stop()
      t.diagnostic(`stopped after ${Math.round(stop.took)} ms`)
      assert.equal(stop.code, 0)
      assert.ok(stop.took < 3 * second + command, `${stop.took} ms, a command ${command} ms`)
    }
    await using server = await ServerContainer.start(docker, ['--volume', 'kept:/data'])
    await server.healthy()
    assert.ok((await server.logs()).includes(before))
    assert.equal(await pullAndRun(await server.host()), greeting)
  })

  test('loses nothing that was acknowledged when it is killed in the middle of a push', async () => {
    await using server = await ServerContainer.start(docker, ['--volume', 'killed:/data'])
    await server.healthy()
    const client = new RegistryClient(`http://${await server.host()}`)
    const blobs = Array.from({ length: 200 }, (_, number) => randomBytes(2 * MiB, `killed ${number}`))
    const acknowledged: Digest[] = []
    const pushing = (async () => {
      for (const blob of blobs) {
        assert.equal((await client.pushBlob('example/killed', blob)).status, 201)
        acknowledged.push(sha256(blob))
      }
    })()
    const broken = assert.rejects(pushing, TypeError)
    await until('some blobs are acknowledged', () => acknowledged.length >= 10, minute)
    await docker.run(['kill', '--signal', 'KILL', server.id])
    await broken
    await docker.run(['start', server.id])
    await server.healthy()

    const again = new RegistryClient(`http://${await server.host()}`)
    for (const digest of acknowledged) {
      assert.equal(await again.digestOf(`/v2/example/killed/blobs/${digest}`), digest)
    }
    // the one that was under way, and one more
    for (const blob of blobs.slice(acknowledged.length, acknowledged.length + 2)) {
      assert.equal((await again.pushBlob('example/killed', blob)).status, 201)
    }
    await push(await server.host())
  })

  test('needs neither a writable file system nor any privilege', async () => {
    await using server = await ServerContainer.start(docker, [...readOnly, '--volume', 'read-only:/data'])
    await server.healthy()
    await push(await server.host())
    assert.equal(await pullAndRun(await server.host()), greeting)
  })

  test('runs any command of the CLI', async () => {
    assert.match(await docker.run(['run', '--rm', 'ipdr-server', 'push', '--help']), /^Usage: ipdr push/)
    assert.match(
      await docker.run(['run', '--rm', 'ipdr-server', 'version']),
      new RegExp(`^ipdr +${packageJson.version.replaceAll('.', '\\.')}\ncommit +[0-9a-f]{40}`),
    )
  })

  test('runs code that was compiled when the image was built, for any user and where all is read-only', async () => {
    const options = [
      '--rm',
      '--env',
      'NODE_DEBUG=ipdr',
      ...readOnly,
      '--user',
      '2000:2000',
      '--workdir',
      '/nonexistent',
    ]
    const { code, stderr } = await tryRun('docker', ['run', ...options, 'ipdr-server', '--version'], {
      env: { DOCKER_HOST: docker.host },
    })
    assert.equal(code, 0, stderr)
    const chunks = [...stderr.matchAll(/^IPDR \d+: (\S+)\.cjs (.*)$/gm)].map(([, name, state]) => [name!, state!])
    assert.ok(chunks.some(([name]) => name!.startsWith('program-')))
    // a command that needs no server loads none
    assert.ok(!chunks.some(([name]) => name!.startsWith('appliance-')))
    assert.deepEqual(
      chunks.filter(([, state]) => state !== 'was compiled already'),
      [],
    )
  })

  test('runs with other flags of Node, for which nothing was compiled', async () => {
    const options = ['--rm', '--env', 'NODE_DEBUG=ipdr', '--env', 'NODE_OPTIONS=--stack-trace-limit=20']
    const { code, stderr, stdout } = await tryRun('docker', ['run', ...options, 'ipdr-server', '--version'], {
      env: { DOCKER_HOST: docker.host },
    })
    assert.deepEqual([code, stdout.trim()], [0, packageJson.version])
    assert.match(stderr, /^IPDR \d+: main\.cjs is compiled\s*$/)
  })

  test('takes its configuration from the environment', async () => {
    await using server = await ServerContainer.start(docker, [
      '--publish',
      '127.0.0.1::5055',
      '--env',
      'IPDR_PORT=5055',
      '--env',
      `BOOTSTRAP=${peer}`,
    ])
    await server.healthy()
    assert.match(await server.exec('ipdr', 'config', 'show'), new RegExp(`port: 5055[\\s\\S]*bootstrap:\\s+- ${peer}`))
    assert.equal(await server.exec('ipdr', 'healthcheck'), 'http://127.0.0.1:5055 is ready')
    await push(await server.host(5055))
  })

  test('takes it from /etc/ipdr/ipdr.yml', async () => {
    const file = join(scratch.path, 'ipdr.yml')
    await writeFile(file, 'port: 5056\nadmin:\n  port: 5057\n')
    await using server = await ServerContainer.start(docker, [
      '--publish',
      '127.0.0.1::5056',
      '--volume',
      `${file}:/etc/ipdr/ipdr.yml:ro`,
    ])
    await server.healthy()
    assert.equal(await server.exec('ipdr', 'healthcheck'), 'http://127.0.0.1:5057 is ready')
    await push(await server.host(5056))
  })

  test('takes it from flags, of which the health check knows', async () => {
    const directory = join(scratch.path, 'tls')
    await mkdir(directory)
    const { cert, key } = await (await CertificateAuthority.create(directory)).issue('server')
    // for the tests only: any user may read it
    await chmod(key, 0o644)
    const flags = ['--port', '5443', '--tlsCertPath', cert, '--tlsKeyPath', key]
    await using server = await ServerContainer.start(
      docker,
      ['--init', '--volume', `${directory}:${directory}:ro`],
      ['server', ...flags],
    )
    await server.healthy()
    assert.equal(await server.exec('ipdr', 'healthcheck'), 'https://127.0.0.1:5443 is ready')
  })

  for (const [what, message, options] of [
    [
      'belongs to somebody else',
      /^ipdr: .*belongs to user 0, and this is user 1000; chown -R 1000 it/,
      (path: string) => ['--volume', `${path}:/data`],
    ],
    [
      'is read-only',
      /^ipdr: .*read-only/,
      (_: string) => ['--mount', 'type=volume,source=never-written,target=/data,readonly'],
    ],
  ] as const) {
    test(`tells in one line that its volume ${what}`, async () => {
      const path = join(scratch.path, 'foreign')
      await mkdir(path, { recursive: true })
      const { code, stderr } = await tryServer(...options(path))
      assert.equal(code, 1)
      assert.match(stderr, message)
      assert.equal(stderr.trim().split('\n').length, 1, stderr)
    })
  }

  test('has a size that scripts/image-report tells, with its largest parts', async t => {
    const report = await runScript(docker, 'image-report')
    t.diagnostic(report)
    assert.equal(report.match(/^ +\d+\.\d MB {2}/gm)?.length, 4)
    assert.ok(Number(/([\d.]+) MB/.exec(report)![1]) * 1e6 < 200 * MiB, report)
  })

  test('has an SBOM of the packages in it, ours and those of Debian', async () => {
    const file = join(scratch.path, 'image.cdx.json')
    await run(process.execPath, [join(projectDirectory, 'scripts/sbom.ts'), file, 'ipdr-server'], {
      env: { DOCKER_HOST: docker.host },
    })
    const { components, metadata } = JSON.parse(await readFile(file, 'utf8')) as {
      metadata: { component: { type: string; properties: { value: string }[] } }
      components: { type: string; name: string; version: string; purl?: string }[]
    }
    const id = await docker.run(['image', 'inspect', '--format', '{{.Id}}', 'ipdr-server'])
    assert.deepEqual([metadata.component.type, metadata.component.properties[0]!.value], ['container', id.trim()])
    const names = new Set(components.map(({ name, type }) => `${type} ${name}`))
    for (const name of ['library helia', 'library libc6', 'platform node.js', 'operating-system debian']) {
      assert.ok(names.has(name), name)
    }
    // for development, left out of the bundle, or deleted by the Dockerfile
    for (const name of [
      'library typescript',
      'library esbuild',
      'library npm',
      'library perl-base',
      'library react-native-webrtc',
    ]) {
      assert.ok(!names.has(name), name)
    }
    assert.match(
      components.find(({ name }) => name === 'libc6')!.purl!,
      /^pkg:deb\/debian\/libc6@2\.36.*distro=debian-12$/,
    )
  })

  test('comes as a tar to an engine that has no image', async () => {
    const file = await runScript(docker, 'image-tar', [scratch.path])
    assert.equal(file, join(scratch.path, `ipdr-server_${packageJson.version}.tar`))
    await using other = await startDocker()
    await other.run(['load', '--input', file])
    await buildHello(other)
    await using server = await ServerContainer.start(other)
    await server.healthy()
    await push(await server.host(), other)
    assert.equal(await pullAndRun(await server.host(), other), greeting)
  })
})
