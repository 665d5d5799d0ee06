/** What is under config/ for systemd and Kubernetes: checked by their own schemas, and run */
import assert from 'node:assert/strict'
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { before, describe, it } from 'node:test'
import { parse, parseAllDocuments } from 'yaml'
import { ipdr } from '../fixtures/ipdr.ts'
import { type CommandLine, withIpdrInstalled, withSystemFile } from '../fixtures/namespace.ts'
import { run, tryRun } from '../fixtures/run.ts'
import { withoutSettings } from '../fixtures/server.ts'
import { temporaryDirectory } from '../fixtures/temporary.ts'
import { builtTool, installedTool, projectDirectory } from '../fixtures/tools.ts'
import { until } from '../fixtures/until.ts'

const second = 1000
const minute = 60 * second
const unitFile = join(projectDirectory, 'config/ipdr.service')
const manifestFile = join(projectDirectory, 'config/kubernetes.yml')
const mirrorManifestFile = join(projectDirectory, 'config/kubernetes-mirror.yml')

/** A server that runs while the test does, in namespaces of its own */
class Running implements AsyncDisposable {
  readonly #child: ChildProcess
  readonly #closed: Promise<unknown[]>
  log = ''

  constructor([program, ...args]: CommandLine, env: Record<string, string>) {
    this.#child = spawn(program, args, {
      env: { ...withoutSettings(process.env), ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    this.#closed = once(this.#child, 'close')
    for (const stream of [this.#child.stdout!, this.#child.stderr!]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        this.log += text
      })
    }
  }

  /** Its answer, asked in its own network */
  async get(port: number, path: string): Promise<string> {
    return await until(
      `an answer to ${path}`,
      async () => {
        return await run(installedTool('nsenter'), [
          '--net',
          `--target=${this.#child.pid}`,
          'curl',
          '--silent',
          '--show-error',
          '--fail',
          `http://127.0.0.1:${port}${path}`,
        ])
      },
      30 * second,
    ).catch((err: unknown) => {
      throw new Error(this.log, { cause: err })
    })
  }

  async shell(command: string): Promise<void> {
    await run('sh', ['-c', command], { env: { MAINPID: String(this.#child.pid) } })
  }

  /** @returns the exit code */
  async stop(signal: NodeJS.Signals): Promise<unknown> {
    this.#child.kill(signal)
    return (await this.#closed)[0]
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop('SIGKILL')
  }
}

describe('config/ipdr.service', { timeout: 10 * minute }, () => {
  const settings = new Map<string, string[]>()

  before(async () => {
    for (const [, name, value] of (await readFile(unitFile, 'utf8')).matchAll(/^(\w+)=(.*)$/gm)) {
      settings.set(name!, [...(settings.get(name!) ?? []), value!])
    }
  })

  it('is a unit without a mistake', async () => {
    const [program, ...args] = withIpdrInstalled([installedTool('systemd-analyze'), 'verify', '--man=no', unitFile])
    const { code, stderr } = await tryRun(program, args)
    assert.deepEqual({ code, stderr }, { code: 0, stderr: '' })
  })

  it('leaves the service little to do harm with', async () => {
    // 0 to 100, of which a service without any protection has 96
    await run(installedTool('systemd-analyze'), [
      'security',
      '--no-pager',
      '--offline=true',
      '--threshold=15',
      unitFile,
    ])
  })

  it('starts, reloads and stops what it says, with its environment', async () => {
    await using state = await temporaryDirectory('systemd')
    await mkdir(join(state.path, settings.get('StateDirectory')![0]!))
    const environment = Object.fromEntries(
      settings.get('Environment')!.map(text => text.replaceAll('%S', state.path).split('=')),
    )
    const [start] = settings.get('ExecStart')!
    await using server = new Running(withIpdrInstalled(start!.split(' ') as [string, ...string[]]), {
      ...environment,
      PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
    })
    assert.equal(await server.get(5000, '/readyz'), 'OK')
    assert.equal(await readFile(join(state.path, 'ipdr/format'), 'utf8').then(text => text.length > 0), true)

    await server.shell(settings.get('ExecReload')![0]!)
    await until('it says so', () => server.log.includes('reloading'))
    assert.equal(await server.get(5000, '/readyz'), 'OK')
    assert.equal(await server.stop('SIGTERM'), 0)
  })
})

interface Named {
  name: string
}

interface Service {
  metadata: Named
  spec: { selector: Record<string, string>; clusterIP?: string; ports: Array<{ port: number; targetPort: string }> }
}

interface Probe {
  httpGet: { path: string; port: string }
}

interface StatefulSet {
  spec: {
    serviceName: string
    selector: { matchLabels: Record<string, string> }
    template: {
      metadata: { labels: Record<string, string> }
      spec: {
        securityContext: { runAsUser: number; runAsGroup: number; fsGroup: number }
        volumes: Array<Named & { configMap: Named }>
        containers: Array<{
          ports: Array<Named & { containerPort: number }>
          volumeMounts: Array<Named & { mountPath: string }>
          startupProbe: Probe
          readinessProbe: Probe
          livenessProbe: Probe
        }>
      }
    }
    volumeClaimTemplates: Array<{ metadata: Named }>
  }
}

describe('config/kubernetes.yml', { timeout: 10 * minute }, () => {
  let config: { metadata: Named; data: Record<string, string> }
  let services: Service[]
  let set: StatefulSet

  before(async () => {
    const objects = parseAllDocuments(await readFile(manifestFile, 'utf8')).map(
      document => document.toJS() as { kind: string },
    )
    const ofKind = (kind: string): unknown[] => objects.filter(object => object.kind === kind)
    config = ofKind('ConfigMap')[0] as typeof config
    services = ofKind('Service') as Service[]
    set = ofKind('StatefulSet')[0] as StatefulSet
  })

  it('has no field that Kubernetes does not know, and no value of another type', async () => {
    const output = await run(builtTool('kubernetes-validate'), ['--strict', manifestFile], {
      env: { PYTHONDONTWRITEBYTECODE: '1' },
    })
    assert.equal(output.match(/ passed for resource /g)?.length, 4, output)
  })

  it('fits together', () => {
    const {
      metadata: { labels },
      spec: pod,
    } = set.spec.template
    const [container] = pod.containers
    const ports = container!.ports.map(({ name }) => name)
    assert.deepEqual(set.spec.selector.matchLabels, labels)
    assert.equal(services.find(({ metadata }) => metadata.name === set.spec.serviceName)?.spec.clusterIP, 'None')
    for (const { spec } of services) {
      assert.deepEqual(spec.selector, labels)
      assert.deepEqual(
        spec.ports.filter(({ targetPort }) => !ports.includes(targetPort)),
        [],
      )
    }
    assert.deepEqual(
      container!.volumeMounts.map(({ name }) => name).sort(),
      [...pod.volumes, ...set.spec.volumeClaimTemplates.map(({ metadata }) => metadata)].map(({ name }) => name).sort(),
    )
    assert.equal(pod.volumes[0]!.configMap.name, config.metadata.name)
  })

  it('is made for the image', async () => {
    const dockerfile = await readFile(join(projectDirectory, 'Dockerfile'), 'utf8')
    const {
      securityContext,
      containers: [container],
    } = set.spec.template.spec
    assert.equal(/^USER (.+)$/m.exec(dockerfile)?.[1], `${securityContext.runAsUser}:${securityContext.runAsGroup}`)
    assert.equal(securityContext.fsGroup, securityContext.runAsGroup)
    assert.deepEqual(
      container!.ports.map(({ containerPort }) => String(containerPort)),
      /^EXPOSE (.+)$/m.exec(dockerfile)?.[1]?.split(' '),
    )
    assert.equal(
      container!.volumeMounts.find(({ name }) => name === 'data')?.mountPath,
      /^VOLUME (.+)$/m.exec(dockerfile)?.[1],
    )
  })

  it('runs the server with a configuration that it takes, and asks it where it answers', async () => {
    await using directory = await temporaryDirectory('kubernetes')
    const {
      containers: [container],
    } = set.spec.template.spec
    const file = join(directory.path, 'ipdr.yml')
    await writeFile(file, config.data['ipdr.yml']!)
    assert.equal(await ipdr(['config', 'verify', file]), 'ok')

    const serviceLinks = {
      IPDR_PORT: 'tcp://10.0.0.1:5000',
      IPDR_SERVICE_HOST: '10.0.0.1',
      IPDR_PORT_5000_TCP_ADDR: '10.0.0.1',
      IPDR_PEERS_PORT: 'tcp://10.0.0.2:4001',
    }
    const environment = { ...serviceLinks, IPDR_DATA_DIR: join(directory.path, 'data') }
    await using server = new Running(
      withSystemFile(file, withIpdrInstalled(['/usr/local/sbin/ipdr', 'server'])),
      environment,
    )
    for (const {
      httpGet: { path, port },
    } of [container!.startupProbe, container!.readinessProbe, container!.livenessProbe]) {
      assert.equal(await server.get(container!.ports.find(({ name }) => name === port)!.containerPort, path), 'OK')
    }
    assert.match(server.log, /^\{.*"message":"started"/m)
    assert.match(server.log, /\/tcp\/4001\//)
    assert.equal(await server.stop('SIGTERM'), 0)
  })
})

interface DaemonSet {
  spec: {
    selector: { matchLabels: Record<string, string> }
    template: {
      metadata: { labels: Record<string, string> }
      spec: {
        volumes: Named[]
        initContainers: Array<{ args: string[]; volumeMounts: Array<Named & { mountPath: string }> }>
        containers: Array<{
          ports: Array<Named & { hostPort?: number; hostIP?: string }>
          volumeMounts: Array<Named & { mountPath: string }>
        }>
      }
    }
  }
}

describe('config/kubernetes-mirror.yml', { timeout: 10 * minute }, () => {
  let config: { data: Record<string, string> }
  let service: Service
  let set: DaemonSet

  before(async () => {
    const text = await readFile(mirrorManifestFile, 'utf8')
    const objects = parseAllDocuments(text).map(document => document.toJS() as { kind: string })
    const ofKind = (kind: string): unknown => objects.find(object => object.kind === kind)
    config = ofKind('ConfigMap') as typeof config
    service = ofKind('Service') as Service
    set = ofKind('DaemonSet') as DaemonSet
  })

  it('has no field that Kubernetes does not know, and no value of another type', async () => {
    const output = await run(builtTool('kubernetes-validate'), ['--strict', mirrorManifestFile], {
      env: { PYTHONDONTWRITEBYTECODE: '1' },
    })
    assert.equal(output.match(/ passed for resource /g)?.length, 3, output)
  })

  it('fits together', () => {
    const { selector, template } = set.spec
    const { containers, initContainers, volumes } = template.spec
    assert.deepEqual(selector.matchLabels, template.metadata.labels)
    assert.deepEqual(service.spec.selector, template.metadata.labels)
    assert.deepEqual(
      [...containers, ...initContainers].flatMap(({ volumeMounts }) => volumeMounts.map(({ name }) => name)).sort(),
      volumes.map(({ name }) => name).sort(),
    )
    const { p2p } = parse(config.data['ipdr.yml']!) as { p2p: { peers: string[] } }
    const { name } = service.metadata
    assert.deepEqual(p2p.peers, [`/dns4/${name}/tcp/${service.spec.ports[0]!.port}`])
  })

  it("tells the node's containerd of each registry that the server mirrors, and where the server is", async () => {
    await using directory = await temporaryDirectory('kubernetes-mirror')
    const file = join(directory.path, 'ipdr.yml')
    await writeFile(file, config.data['ipdr.yml']!)
    assert.equal(await ipdr(['config', 'verify', file]), 'ok')
    const { upstreams } = parse(config.data['ipdr.yml']!) as { upstreams: Record<string, unknown> }

    const { containers, initContainers } = set.spec.template.spec
    const [{ args, volumeMounts }] = initContainers as [(typeof initContainers)[number]]
    const host = args.find(arg => arg.startsWith('--root='))!.slice('--root='.length)
    await ipdr(args.map(arg => arg.replace(`--root=${host}`, `--root=${directory.path}`)))
    const written = volumeMounts[0]!.mountPath.replace(host, directory.path)
    assert.deepEqual((await readdir(written)).sort(), Object.keys(upstreams).sort())
    const { hostIP, hostPort } = containers[0]!.ports.find(({ name }) => name === 'registry')!
    for (const name of Object.keys(upstreams)) {
      assert.match(
        await readFile(join(written, name, 'hosts.toml'), 'utf8'),
        new RegExp(`"http://${hostIP}:${hostPort}"`),
      )
    }
  })
})
