import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { appendFile, chmod, mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { after, before, beforeEach, suite, test } from 'node:test'
import { htpasswd, initAccess } from '../../fixtures/access.ts'
import { startDocker } from '../../fixtures/docker.ts'
import { writeBusyboxContext } from '../../fixtures/busybox.ts'
import { makeImage, writeLayout } from '../../fixtures/images.ts'
import { tryIpdr } from '../../fixtures/ipdr.ts'
import { tryRun, type RunOptions, type RunResult } from '../../fixtures/run.ts'
import { ServerProcess } from '../../fixtures/server.ts'
import { temporaryDirectory } from '../../fixtures/temporary.ts'
import { builtTool, projectDirectory } from '../../fixtures/tools.ts'
import { until } from '../../fixtures/until.ts'

const minute = 60_000
const password = 'of the writer: "\\ 5€'
const rules = `
rules:
  - { who: [authenticated], repositories: ['**'], actions: [pull] }
  - { who: ['user:writer'], repositories: ['**'], actions: [push, tag] }
`
/** Keeps log-ins in files of its folder, as the helpers of Docker do in a keychain */
const helper = `#!/usr/bin/env node
const { readFileSync, writeFileSync, rmSync } = require('node:fs')
const input = readFileSync(0, 'utf8')
const fileOf = key => __dirname + '/' + Buffer.from(key).toString('hex') + '.json'
const actions = {
  store: () => writeFileSync(fileOf(JSON.parse(input).ServerURL), input),
  get: () => process.stdout.write(readFileSync(fileOf(input.trim()))),
  erase: () => rmSync(fileOf(input.trim())),
}
try { actions[process.argv[2]]() } catch { console.log('credentials not found in native keychain'); process.exit(1) }
`

suite('ipdr login', { timeout: 10 * minute }, () => {
  const resources = new AsyncDisposableStack()
  let server: ServerProcess
  let directory: string
  let home: string

  before(async () => {
    directory = resources.use(await temporaryDirectory('login')).path
    home = join(directory, 'docker')
    const dataDir = join(directory, 'data')
    await initAccess('private', dataDir)
    await writeFile(join(dataDir, 'access.yml'), rules)
    await appendFile(join(dataDir, 'htpasswd'), htpasswd({ writer: password }))
    server = resources.use(await ServerProcess.start({ dataDir }))
    const layout = makeImage([{ file: Buffer.from('content') }], { os: 'linux', architecture: 'amd64' })
    await writeLayout(join(directory, 'layout'), layout)
    await mkdir(join(directory, 'bin'))
    await writeFile(join(directory, 'bin/docker-credential-test'), helper)
    await chmod(join(directory, 'bin/docker-credential-test'), 0o755)
  })
  after(async () => {
    await resources.disposeAsync()
  })
  beforeEach(async () => {
    await rm(home, { recursive: true, force: true })
  })

  const configFile = (): string => join(home, 'config.json')
  const config = async (): Promise<Record<string, unknown>> =>
    JSON.parse(await readFile(configFile(), 'utf8')) as Record<string, unknown>
  const environment = (): Record<string, string> => ({
    HOME: directory,
    DOCKER_CONFIG: home,
    REGISTRY_AUTH_FILE: join(directory, 'none.json'),
    PATH: `${join(directory, 'bin')}${delimiter}${process.env['PATH']}`,
  })

  async function use(args: readonly string[], options: RunOptions = {}): Promise<RunResult> {
    const result = await tryIpdr(args, { ...options, env: { ...environment(), ...options.env } })
    for (const secret of [password, Buffer.from(`writer:${password}`).toString('base64')]) {
      assert.ok(!`${result.stdout}${result.stderr}`.includes(secret), 'a secret is printed')
    }
    return result
  }
  const logIn = async (input = password): Promise<RunResult> =>
    await use(['login', server.host, '-u', 'writer', '--password-stdin'], { input })
  const at = (...args: string[]): string[] => [...args, '--docker-registry-host', server.host]
  const push = (name: string): string[] => at('push', name, '-s', '--from', join(directory, 'layout'))
  async function works(result: Promise<RunResult>): Promise<string> {
    const { code, stderr, stdout } = await result
    assert.equal(code, 0, stdout + stderr)
    return stdout
  }

  test('keeps a token that every command uses, and the password nowhere', async () => {
    const refused = await use(push('team/app'))
    assert.equal(refused.code, 1)
    assert.match(refused.stderr, /answered 401 UNAUTHORIZED[^\n]*\n[^\n]*ipdr login/)

    assert.equal(await works(logIn(`${password}\n`)), `Logged in at ${server.host} as writer\n`)
    const text = await readFile(configFile(), 'utf8')
    assert.ok(!text.includes(Buffer.from(`writer:${password}`).toString('base64')) && !text.includes(password))
    assert.equal((await stat(configFile())).mode & 0o777, 0o600)
    assert.equal((await stat(home)).mode & 0o777, 0o700)

    const cid = (await works(use(push('team/app')))).trim()
    assert.equal((await works(use(at('dig', 'team/app:latest')))).trim(), cid)
    assert.match(await works(use(at('ls'))), /team\/app +latest/)
    assert.match(await works(use(at('inspect', 'team/app'))), new RegExp(cid))
    await works(use(at('pull', 'team/app', '-s', '--output', join(directory, 'pulled.tar'))))
    await works(use(at('push', 'team/copy', '-s', '--from', `${server.host}/team/app:latest`)))
  })

  test('refuses a wrong password, and stores nothing then', async () => {
    const { code, stderr } = await logIn('guess')
    assert.deepEqual(
      { code, stderr },
      { code: 1, stderr: `ipdr: ${server.host} refuses this user name and password\n` },
    )
    await assert.rejects(stat(configFile()), { code: 'ENOENT' })
  })

  test('leaves everything else in the file as it is, and logout takes out its own', async () => {
    await mkdir(home)
    const others = { auths: { 'other.example': { auth: 'YTpi' } }, HttpHeaders: { a: 'b' }, psFormat: 'x', list: [1] }
    await writeFile(configFile(), JSON.stringify(others), { mode: 0o644 })
    await works(logIn())
    const { auths, ...rest } = await config()
    assert.deepEqual({ ...rest, auths: others.auths }, others)
    assert.deepEqual(Object.keys(auths as object), ['other.example', server.host])
    assert.equal((await stat(configFile())).mode & 0o777, 0o600)
    assert.equal(await works(use(['logout', server.host])), `Logged out of ${server.host}\n`)
    assert.deepEqual(await config(), others)
    assert.equal((await use(at('inspect', 'team/app'))).code, 1)
    assert.equal(await works(use(['logout', server.host])), `Not logged in at ${server.host}\n`)
  })

  for (const [key, settingsFor] of Object.entries({
    credsStore: () => ({ credsStore: 'test' }),
    credHelpers: (host: string) => ({ credHelpers: { [host]: 'test' } }),
  })) {
    test(`uses a helper program that ${key} names`, async () => {
      const settings = settingsFor(server.host)
      await mkdir(home)
      await writeFile(configFile(), JSON.stringify(settings))
      await works(logIn())
      assert.deepEqual(await config(), { ...settings, auths: { [server.host]: {} } })
      await works(use(push('team/helper')))
      await works(use(['logout', server.host]))
      assert.deepEqual(await config(), { ...settings, auths: {} })
      assert.equal((await use(push('team/helper'))).code, 1)
    })
  }

  test('says that a helper is missing, and keeps the password out of the file', async () => {
    await mkdir(home)
    await writeFile(configFile(), '{"credsStore":"absent"}')
    const { code, stderr } = await logIn()
    assert.deepEqual(
      [code, stderr],
      [1, 'ipdr: docker-credential-absent does not store the log-in: there is no such program\n'],
    )
    assert.equal(await readFile(configFile(), 'utf8'), '{"credsStore":"absent"}')
  })

  test('does not show what is typed', async () => {
    const main = join(projectDirectory, 'src/main.js')
    const command = `${process.execPath} ${main} login ${server.host}`
    const terminal = spawn('script', ['-qec', command, '/dev/null'], {
      env: { ...process.env, ...environment() },
      stdio: 'pipe',
    })
    let stdout = ''
    terminal.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text
    })
    const closed = once(terminal, 'close')
    for (const [question, answer] of [
      ['Username: ', 'writer'],
      ['Password: ', password],
    ] as const) {
      await until(question, () => stdout.endsWith(question), minute)
      terminal.stdin.write(`${answer}\n`)
    }
    await until('the end', () => stdout.includes('Logged in') || terminal.exitCode !== null, minute)
    terminal.stdin.end()
    await closed
    assert.match(stdout, /Username: writer\s+Password: \s+.*Logged in at [\d.:]+ as writer/s)
    assert.ok(!stdout.includes('of the writer'), stdout)
  })

  test('shares its log-ins with docker and crane, both ways', async () => {
    await using docker = await startDocker()
    const host = `localhost:${server.port}`
    const env = environment()
    const crane = async (...args: string[]): Promise<RunResult> => await tryRun(builtTool('crane'), args, { env })
    await works(use(['login', host, '-u', 'writer', '--password-stdin'], { input: password }))
    await writeBusyboxContext(join(directory, 'context'))
    await docker.run(['build', '--tag', `${host}/team/docker`, join(directory, 'context')])
    await docker.run(['--config', home, 'push', `${host}/team/docker`])
    assert.equal((await crane('manifest', `${host}/team/docker`)).code, 0)

    await docker.run(['--config', home, 'logout', host])
    assert.doesNotMatch(await works(use(['ls', '--docker-registry-host', host])), /team/)
    await docker.run(['--config', home, 'login', '-u', 'writer', '--password-stdin', host], { input: password })
    assert.match(await works(use(['ls', '--docker-registry-host', host])), /team\/docker/)
    await works(use(['logout', host]))
    assert.equal((await crane('auth', 'login', host, '-u', 'writer', '-p', password)).code, 0)
    assert.match(await works(use(['ls', '--docker-registry-host', host])), /team\/docker/)
  })

  test("uses podman's log-ins where docker has none", async () => {
    const file = join(directory, 'auth.json')
    await writeFile(
      file,
      JSON.stringify({ auths: { [server.host]: { auth: Buffer.from(`writer:${password}`).toString('base64') } } }),
    )
    assert.equal((await use(at('inspect', 'team/app'))).code, 1)
    await works(use(at('inspect', 'team/app'), { env: { REGISTRY_AUTH_FILE: file } }))
  })
})
