import assert from 'node:assert/strict'
import { appendFile, mkdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { basic, htpasswd, initAccess } from '../../fixtures/access.ts'
import { greeting, writeBusyboxContext } from '../../fixtures/busybox.ts'
import { startDocker, type Docker } from '../../fixtures/docker.ts'
import { makeImage, writeLayout } from '../../fixtures/images.ts'
import { preparePodman } from '../../fixtures/podman.ts'
import { ipdr, tryIpdr } from '../../fixtures/ipdr.ts'
import { tryRun, type RunOptions, type RunResult } from '../../fixtures/run.ts'
import { ServerProcess } from '../../fixtures/server.ts'
import { temporaryDirectory } from '../../fixtures/temporary.ts'
import { builtTool, installedTool } from '../../fixtures/tools.ts'
import { until } from '../../fixtures/until.ts'

const minute = 60_000
const rules = `
rules:
  - { who: [anonymous], repositories: ['public/**'], actions: [pull] }
  - { who: [authenticated], repositories: ['**'], actions: [pull] }
  - { who: ['user:writer'], repositories: ['**'], actions: [push, tag] }
`

suite('a registry with a log-in', { timeout: 10 * minute }, () => {
  const resources = new AsyncDisposableStack()
  let server: ServerProcess
  let directory: string

  before(async () => {
    directory = resources.use(await temporaryDirectory('access')).path
    const dataDir = join(directory, 'data')
    await initAccess('private', dataDir)
    await writeFile(join(dataDir, 'access.yml'), rules)
    await appendFile(join(dataDir, 'htpasswd'), htpasswd({ writer: 'of the writer', reader: 'of the reader' }))
    server = resources.use(await ServerProcess.start({ dataDir }))
    await writeLayout(
      join(directory, 'layout'),
      makeImage([{ file: Buffer.from('content') }], { os: 'linux', architecture: 'amd64' }),
    )
  })
  after(async () => {
    await resources.disposeAsync()
  })

  /** Runs a client whose settings and log-ins are not those of whoever runs the tests */
  async function use(tool: string, args: readonly string[], options: RunOptions = {}): Promise<RunResult> {
    const home = join(directory, 'home', tool.split('/').at(-1)!)
    await mkdir(home, { recursive: true })
    return await tryRun(tool, args, {
      cwd: directory,
      ...options,
      env: { HOME: home, DOCKER_CONFIG: home, REGISTRY_AUTH_FILE: join(home, 'auth.json'), ...options.env },
    })
  }

  function assertRefused({ code, stdout, stderr }: RunResult, message: RegExp): void {
    assert.notEqual(code, 0)
    assert.match(stdout + stderr, message)
  }

  async function assertWorks(result: Promise<RunResult>): Promise<void> {
    const { code, stdout, stderr } = await result
    assert.equal(code, 0, stdout + stderr)
  }

  suite('docker', () => {
    let docker: Docker
    before(async () => {
      docker = resources.use(await startDocker())
      const context = resources.use(await temporaryDirectory('docker'))
      await writeBusyboxContext(context.path)
      await docker.run(['build', '--tag', 'helloworld', context.path])
    })

    const at = (name: string): string => `localhost:${server.port}/${name}`
    const logIn = async (user: string, password: string): Promise<string> =>
      await docker.run(['login', '--username', user, '--password-stdin', at('').slice(0, -1)], { input: password })
    const fails = async (args: readonly string[], message: RegExp): Promise<void> => {
      await docker.run(['tag', 'helloworld', args.at(-1)!])
      await assert.rejects(docker.run(args), { message })
    }

    test('is told to log in, and that a password is wrong', async () => {
      await fails(['push', at('team/app')], /unauthorized|no basic auth credentials/)
      await assert.rejects(logIn('writer', 'guess'), { message: /unauthorized|incorrect username or password/i })
    })

    test('logs in, pushes, mounts from another repository, pulls and runs', async () => {
      assert.match(await logIn('writer', 'of the writer'), /Login Succeeded/)
      for (const name of ['team/app', 'team/copy', 'public/app']) {
        await docker.run(['tag', 'helloworld', at(name)])
        const output = await docker.run(['push', at(name)])
        assert.match(output, /digest: sha256:/)
      }
      await docker.run(['image', 'rm', at('team/app')])
      await docker.run(['pull', at('team/app')])
      assert.equal(await docker.run(['run', '--rm', at('team/app')]), greeting)
    })

    test('pulls without a log-in what is open, and nothing else', async () => {
      await docker.run(['logout', `localhost:${server.port}`])
      await docker.run(['pull', at('public/app')])
      await assert.rejects(docker.run(['pull', at('team/app')]), { message: /unauthorized|denied/ })
    })

    test('is told what a user may not do', async () => {
      await logIn('reader', 'of the reader')
      await docker.run(['pull', at('team/app')])
      await fails(['push', at('team/other')], /denied|unauthorized/)
    })

    test('and its containerd, by ctr, pulls and pushes with a log-in, and is refused', async () => {
      const socket = join(dirname(new URL(docker.host).pathname), 'run/containerd/containerd.sock')
      const images = async (command: string, ...args: string[]): Promise<RunResult> =>
        await use(installedTool('ctr'), ['--address', socket, '--namespace', 'test', 'images', command, ...args])
      const [open, secret, copy] = ['public/app', 'team/app', 'team/ctr'].map(name => `${at(name)}:latest`) as [
        string,
        string,
        string,
      ]
      const logIn = (user: string): string[] => ['--plain-http', '--user', `${user}:of the ${user}`]
      await assertWorks(images('pull', '--plain-http', open))
      assertRefused(await images('pull', '--plain-http', secret), /401|[Uu]nauthorized|authorization failed/)
      await assertWorks(images('pull', ...logIn('reader'), secret))
      assertRefused(await images('push', ...logIn('reader'), copy, secret), /403|denied|[Ff]orbidden|authorization/)
      await assertWorks(images('push', ...logIn('writer'), copy, secret))
    })
  })

  test('podman logs in, pushes and pulls', async () => {
    await using tools = await preparePodman(server.host)
    const image = `${server.host}/team/podman`
    await using context = await temporaryDirectory('podman')
    await writeBusyboxContext(context.path)
    await tools.podman(['build', '--layers', '--network', 'none', '--tag', image, context.path])
    await assert.rejects(tools.podman(['push', image]), { message: /unauthorized|authentication required/ })
    await tools.podman(['login', '--username', 'writer', '--password-stdin', server.host], { input: 'of the writer' })
    await tools.podman(['push', image])
    await tools.podman(['image', 'rm', '--all', '--force'])
    await tools.podman(['pull', image])
    await tools.podman(['logout', server.host])
    await assert.rejects(tools.podman(['pull', image]), { message: /unauthorized|authentication required/ })
  })

  test('skopeo logs in, copies and is refused', async () => {
    const skopeo = installedTool('skopeo')
    const insecure = ['--src-tls-verify=false', '--dest-tls-verify=false']
    const [layout, image] = [`oci:${join(directory, 'layout')}`, `docker://${server.host}/team/skopeo:v1`]
    const policy = join(directory, 'policy.json')
    await writeFile(policy, JSON.stringify({ default: [{ type: 'insecureAcceptAnything' }] }))
    const copy = async (from: string, to: string): Promise<RunResult> =>
      await use(skopeo, ['--policy', policy, 'copy', ...insecure, from, to])
    assertRefused(await copy(layout, image), /unauthorized|authentication required/)
    const logIn = async (password: string): Promise<RunResult> =>
      await use(skopeo, ['login', '--tls-verify=false', '-u', 'writer', '--password-stdin', server.host], {
        input: password,
      })
    assertRefused(await logIn('guess'), /invalid username\/password/)
    await assertWorks(logIn('of the writer'))
    await assertWorks(copy(layout, image))
    await assertWorks(copy(image, `docker://${server.host}/team/skopeo-copy:v1`))
  })

  for (const { tool, logIn, push, read } of [
    {
      tool: 'crane',
      logIn: (host: string, user: string, password: string) => ['auth', 'login', host, '-u', user, '-p', password],
      push: (image: string) => ['push', 'layout', image],
      read: (image: string) => ['manifest', image],
    },
    {
      tool: 'oras',
      logIn: (host: string, user: string, password: string) => [
        'login',
        '--plain-http',
        host,
        '-u',
        user,
        '-p',
        password,
      ],
      push: (image: string) => ['cp', '--from-oci-layout', '--to-plain-http', 'layout:latest', image],
      read: (image: string) => ['manifest', 'fetch', '--plain-http', image],
    },
    {
      tool: 'regctl',
      logIn: (host: string, user: string, password: string) => ['registry', 'login', host, '-u', user, '-p', password],
      push: (image: string) => ['image', 'copy', 'ocidir://layout:latest', image],
      read: (image: string) => ['manifest', 'get', image],
    },
  ]) {
    test(`${tool} logs in, pushes and pulls, and is refused`, async () => {
      const program = builtTool(tool)
      const host = server.host
      if (tool === 'regctl') {
        await assertWorks(use(program, ['registry', 'set', '--tls', 'disabled', host]))
      }
      const [secret, open] = ['team', 'public'].map(project => `${host}/${project}/${tool}:v1`) as [string, string]
      assertRefused(await use(program, push(secret)), /401|[Uu]nauthorized/)
      await assertWorks(use(program, logIn(host, 'writer', 'of the writer')))
      await assertWorks(use(program, push(secret)))
      await assertWorks(use(program, push(open)))
      await assertWorks(use(program, read(secret)))
      await assertWorks(use(program, logIn(host, 'reader', 'of the reader')))
      await assertWorks(use(program, read(secret)))
      assertRefused(await use(program, push(`${host}/team/${tool}:v2`)), /403|denied|DENIED|[Uu]nauthorized|401/)
    })
  }

  test('takes changed rules up while it runs, and goes on with the old ones where they can not be used', async () => {
    const path = `${server.url}/v2/public/crane/tags/list`
    const file = join(directory, 'data/access.yml')
    const status = async (headers: Record<string, string> = {}): Promise<number> =>
      (await fetch(path, { headers })).status
    assert.equal(await status(), 200)
    await writeFile(file, rules.replace("'public/**'", "'open/**'"))
    await until('the new rules', async () => (await status()) === 401)
    await writeFile(file, 'rules: 1')
    await until('a line in the log', () => server.log.includes('rules: must be a list of rules'))
    assert.equal(await status(), 401)
    assert.equal(await status(basic('reader', 'of the reader')), 200)
    await writeFile(file, rules)
    await until('the old rules', async () => (await status()) === 200)
  })

  test('has no password, token or key in its log', async () => {
    const secrets = ['of the writer', 'of the reader', 'guess']
    for (const [user, password] of [
      ['writer', 'of the writer'],
      ['reader', 'of the reader'],
    ] as const) {
      const headers = basic(user, password)
      const answer = await fetch(`${server.url}/auth/token?offline_token=true&scope=repository:team/crane:pull`, {
        headers,
      })
      const { token, refresh_token } = (await answer.json()) as { token: string; refresh_token: string }
      const pull = await fetch(`${server.url}/v2/team/crane/manifests/v1`, {
        headers: { Accept: '*/*', Authorization: `Bearer ${token}` },
      })
      assert.equal(pull.status, 200)
      secrets.push(token, refresh_token, headers.Authorization.slice('Basic '.length))
    }
    const { keys } = JSON.parse(await readFile(join(directory, 'data/token-keys.json'), 'utf8')) as {
      keys: { d: string }[]
    }
    secrets.push(...keys.map(({ d }) => d))
    assert.equal(secrets.length, 3 + 2 * 3 + 1)
    for (const secret of secrets) {
      assert.ok(secret.length > 4 && !server.log.includes(secret), secret)
    }
  })
})

suite('ipdr access', { timeout: 10 * minute }, () => {
  test('writes the rules of each preset, which a server keeps to', async () => {
    for (const [preset, pull, push] of [
      ['private', 401, 401],
      ['public-pull', 404, 401],
      ['open', 404, 202],
    ] as const) {
      await using directory = await temporaryDirectory('access')
      const dataDir = join(directory.path, 'data')
      const password = await initAccess(preset, dataDir)
      await using server = await ServerProcess.start({ dataDir })
      assert.equal((await fetch(`${server.url}/v2/a/manifests/none`)).status, pull)
      assert.equal((await fetch(`${server.url}/v2/a/blobs/uploads/`, { method: 'POST' })).status, push)
      const headers = basic('admin', password)
      assert.equal((await fetch(`${server.url}/v2/a/blobs/uploads/`, { method: 'POST', headers })).status, 202)
      assert.equal((await fetch(`${server.url}/ipdr/v1/peers`, { headers })).status, 200)
    }
  })

  test('says what the rules allow, and why', async () => {
    await using directory = await temporaryDirectory('access')
    await initAccess('public-pull', directory.path)
    const check = async (...args: string[]): Promise<RunResult> =>
      await tryIpdr(['access', 'check', ...args, '--data-dir', directory.path])
    const [yes, no] = [await check('anonymous', 'a/b', 'pull'), await check('anonymous', 'a/b:v1', 'push')]
    assert.equal(yes.code, 0)
    assert.match(yes.stdout, /^yes: access\.yml, line \d+ allows anonymous to pull a\/b\n$/)
    assert.deepEqual([no.code, no.stderr], [1, 'ipdr: no: no rule allows anonymous to push a/b:v1\n'])
    assert.equal((await check('admin', 'a', 'admin')).code, 0)
  })

  test('changes nothing where there are rules already', async () => {
    await using directory = await temporaryDirectory('access')
    await initAccess('private', directory.path)
    await assert.rejects(ipdr(['access', 'init', 'open', '--data-dir', directory.path]), {
      message: /has a user admin already/,
    })
  })
})
