/**
 * The commands in README.md, as they stand and in their order, in a copy of this checkout. What they print has to be
 * what README shows, but for digests, CIDs and sizes; `...` stands for any lines. Needs the ports of README: 5000, 5001
 * and 4001.
 */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { writeBusyboxContext } from '../../fixtures/busybox.ts'
import { runScript } from '../../fixtures/container.ts'
import { startDocker, type Docker } from '../../fixtures/docker.ts'
import { run } from '../../fixtures/run.ts'
import { temporaryDirectory } from '../../fixtures/temporary.ts'
import { projectDirectory } from '../../fixtures/tools.ts'
import { until } from '../../fixtures/until.ts'

const minute = 60_000

interface Command {
  line: string
  /** Lines that README shows after it */
  shown: string[]
}

interface Section {
  title: string
  commands: Command[]
}

function sectionsOf(page: string): Section[] {
  return page
    .split(/^## /m)
    .slice(1)
    .map(text => ({
      title: text.slice(0, text.indexOf('\n')),
      commands: Array.from(text.matchAll(/^```console\n([\s\S]*?)^```$/gm), ([, block]) => commandsOf(block!)).flat(),
    }))
    .filter(({ commands }) => commands.length > 0)
}

function commandsOf(block: string): Command[] {
  return block
    .split(/^\$ /m)
    .slice(1)
    .map(text => {
      const [line = '', ...shown] = text.trimEnd().split('\n')
      return { line, shown }
    })
}

/** Matches what the lines show, whatever the digests, CIDs, peers, sizes and the home directory are */
function patternOf(shown: readonly string[]): RegExp {
  const lines = shown.map(line =>
    line.trim() === '...'
      ? '(?:.*\\n)*?'
      : `${line
          .replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&')
          .replaceAll(/sha256:[0-9a-f]{64}|bafy[a-z2-7]{55}|12D3KooW\w{44}/g, '\\S+')
          .replaceAll(/size: \d+/g, 'size: \\d+')
          .replace('/home/you', '\\S+')}\\s*\\n`,
  )
  return new RegExp(`^${lines.join('')}`, 'i')
}

suite('README.md', { timeout: 20 * minute }, () => {
  const resources = new AsyncDisposableStack()
  const sections = sectionsOf(readFileSync(join(projectDirectory, 'README.md'), 'utf8'))
  const servers: AsyncDisposable[] = []
  let checkout: string
  let env: Record<string, string | undefined>
  before(async () => {
    const docker: Docker = resources.use(await startDocker())
    const directory = resources.use(await temporaryDirectory('readme')).path
    checkout = join(directory, 'ipdr')
    await mkdir(checkout)
    await run('bash', ['-c', 'git ls-files -z | xargs -0 cp --parents --target-directory "$0"', checkout], {
      cwd: projectDirectory,
    })
    await writeBusyboxContext(join(directory, 'hello'))
    await docker.run(['build', '--tag', 'example/helloworld', join(directory, 'hello')])
    await runScript(docker, 'base-image')
    // no test reaches for the Internet
    const { NODE_OPTIONS: _, ...own } = process.env
    env = { ...own, DOCKER_HOST: docker.host, DOCKER_BUILDKIT: '0', DOCKER_CONFIG: directory, IPDR_NETWORK: 'lan' }
  })
  after(async () => {
    await stopServers()
    await run('docker-compose', ['down', '--volumes'], { cwd: checkout, env })
    await resources.disposeAsync()
  })

  async function stopServers(): Promise<void> {
    for (const server of servers.splice(0)) {
      await server[Symbol.asyncDispose]()
    }
  }

  /** @returns what it prints; of a server, until it is ready */
  async function execute(line: string): Promise<string> {
    // a group of its own: npm leaves its children behind when it is ended
    const child = spawn('bash', ['-o', 'pipefail', '-c', line], { cwd: checkout, env, detached: true })
    let [printed, errors] = ['', '']
    child.stdout.setEncoding('utf8').on('data', text => {
      printed += text
    })
    child.stderr.setEncoding('utf8').on('data', text => {
      errors += text
    })
    const ended = once(child, 'close')
    if (/\bnpm start\b/.test(line)) {
      servers.push({
        [Symbol.asyncDispose]: async () => {
          process.kill(-child.pid!, 'SIGTERM')
          await ended
        },
      })
      await until(`${line} is ready`, () => child.exitCode !== null || /^ +data .*\n/m.test(printed), 5 * minute)
      assert.equal(child.exitCode, null, errors)
      // what npm says about the script goes before
      return printed.slice(printed.indexOf('IPDR is ready'))
    }
    const [code] = await ended
    assert.equal(code, 0, `${line}\n${printed.slice(-4000)}\n${errors.slice(-4000)}`)
    return printed
  }

  test('has commands', () => {
    assert.deepEqual(
      sections.map(({ title }) => title),
      ['First run', 'Push', 'Pull', 'Pull by CID on another machine', 'Compose'],
    )
  })

  for (const { commands, title } of sections) {
    test(title, async () => {
      if (title === 'Compose') {
        await stopServers()
      }
      for (const { line, shown } of commands) {
        assert.match(`${await execute(line)}\n`, patternOf(shown), line)
      }
    })
  }
})
