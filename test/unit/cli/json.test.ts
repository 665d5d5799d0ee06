import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { Command } from 'commander'
import { parse } from 'yaml'
import { addServerCommand } from '../../../src/cli/commands/server.ts'
import { addOtherCommands } from '../../../src/cli/other-commands.ts'
import { fakeServer } from '../../fixtures/fake-server.ts'
import { temporaryDirectory } from '../../fixtures/temporary.ts'
import { fakeContext } from './fake-context.ts'
import { ipdr } from './ipdr.ts'

/** Commands without `--json`, and why */
const withoutJson = new Map([
  ['server', 'prints a banner for people; its log is JSON with --log-format json'],
  ['completion', 'prints a script for a shell'],
])

describe('--json', () => {
  it('is a flag of every command', () => {
    const program = new Command('ipdr')
    addServerCommand(program, fakeContext())
    addOtherCommands(program, fakeContext())
    const commands = program.commands.flatMap(command => runnable(command, ''))
    assert.ok(commands.length > 30)
    const lacking = commands.filter(({ command }) => !command.options.some(({ long }) => long === '--json'))
    assert.deepEqual(
      lacking.map(({ name }) => name),
      [...withoutJson.keys()],
    )
  })

  const cid = 'QmYMg6WAuvF5i5yFmjT8KkqewZ5Ngh4U9Mp1bGfdjraFVk'
  const docker = 'ciqjjwaeoszdgcaasxmlhjuqnhbctgwijqz64w564lrzeyjezcvbj4y'
  const peer = '12D3KooWGRYZcCLPKaZbMoqCbWCzbzh5Zq4dS6JmyGgrDq7qWjBd'
  const texts = { key: /^\/key\/swarm/, password: /^\S+$/, file: /operator-key\.json$/ }
  const table: [string[], Record<string, unknown>][] = [
    [['convert', cid, '-f', 'docker'], { hash: cid, format: 'docker', converted: docker }],
    [['config', 'verify'], { ok: true }],
    [['swarm-key'], { key: texts.key }],
    [['logout', 'registry.example'], { host: 'registry.example', loggedOut: false }],
    [['access', 'init', 'private'], { user: 'admin', password: texts.password }],
    [['access', 'check', 'admin', 'a', 'pull'], { allowed: true, reason: /^yes: / }],
    [['access', 'check', 'anonymous', 'a', 'pull'], { allowed: false, reason: /^no: / }],
    [['key', 'create', 'ci', '--scope', '**:pull'], { name: 'ci', secret: texts.password }],
    [['key', 'revoke', 'ci'], { revoked: 'ci' }],
    [['peers', 'trust', 'init'], { file: texts.file, publicKey: texts.password }],
    [['peers', 'trust', 'sign', peer], { peer, certificate: texts.password }],
  ]
  it('prints one line of JSON, also where the answer is no', async () => {
    await using data = await temporaryDirectory('json')
    const env = { DOCKER_CONFIG: data.path }
    for (const [args, expected] of table) {
      const where = ['access', 'key', 'peers'].includes(args[0]!) ? ['--data-dir', data.path] : []
      const { code, err, out } = await ipdr([...args, ...where, '--json'], env)
      const name = args.join(' ')
      assert.equal(code, expected['allowed'] === false ? 1 : 0, `${name}: ${err}`)
      assert.match(out, /^[^\n]+\n$/, name)
      const result = JSON.parse(out) as Record<string, unknown>
      for (const [key, value] of Object.entries(expected)) {
        value instanceof RegExp
          ? assert.match(String(result[key]), value, name)
          : assert.equal(result[key], value, name)
      }
    }
  })

  it('of config show has what the YAML has', async () => {
    const [json, yaml] = [await ipdr(['config', 'show', '--json']), await ipdr(['config', 'show'])]
    assert.deepEqual(JSON.parse(json.out), parse(yaml.out))
  })

  it('of mirror setup has the files and what else has to be done', async () => {
    await using root = await temporaryDirectory('json-mirror')
    const args = ['docker', '--root', root.path, '--json']
    const setup = await ipdr(['mirror', 'setup', ...args])
    const { dryRun, files, notes } = JSON.parse(setup.out) as {
      dryRun: boolean
      files: { path: string; content?: string }[]
      notes: string[]
    }
    assert.deepEqual(
      [setup.code, setup.err, dryRun, files[0]!.path],
      [0, '', false, join(root.path, 'etc/docker/daemon.json')],
    )
    assert.match(files[0]!.content!, /registry-mirrors/)
    assert.ok(notes.length > 0)
    const undone = JSON.parse((await ipdr(['mirror', 'undo', ...args])).out) as typeof setup & { files: object[] }
    assert.deepEqual(
      undone.files,
      files.map(({ path }) => ({ path })),
    )
  })

  it('of healthcheck names the server', async () => {
    await using server = await fakeServer((_, res) => {
      res.end('ok')
    })
    const port = server.host.split(':').at(-1)!
    const { out } = await ipdr(['healthcheck', '--port', port, '--json'])
    assert.deepEqual(JSON.parse(out), { server: `http://127.0.0.1:${port}`, ready: true })
  })
})

/** A group alone has no flags */
function runnable(command: Command, group: string): { name: string; command: Command }[] {
  const name = `${group} ${command.name()}`.trim()
  const below = command.commands.flatMap(child => runnable(child, name))
  return below.length > 0 && command.options.length === 0 ? below : [{ name, command }, ...below]
}
