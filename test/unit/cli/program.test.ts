import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { parse } from 'yaml'
import { run } from '../../../src/cli/program.ts'
import { parseConfig } from '../../../src/config/load.ts'
import { configKeys, defaultConfig } from '../../../src/config/schema.ts'
import packageJson from '../../../package.json' with { type: 'json' }
import { fakeContext } from './fake-context.ts'

interface Result {
  code: number
  out: string
  err: string
}

async function ipdr(args: string[], env: NodeJS.ProcessEnv = {}): Promise<Result> {
  const context = fakeContext(env)
  const code = await run(args, context)
  return { code, out: context.stdout.text, err: context.stderr.text }
}

let directory: string
before(() => {
  directory = mkdtempSync(join(tmpdir(), 'ipdr-cli-'))
})
after(() => rmSync(directory, { recursive: true }))

function fileWith(text: string): string {
  const file = join(directory, 'ipdr.yml')
  writeFileSync(file, text)
  return file
}

describe('help', () => {
  for (const args of [[], ['--help'], ['-h'], ['help']]) {
    it(`is what 'ipdr ${args.join(' ')}' prints`, async () => {
      const { code, err, out } = await ipdr(args)
      assert.equal(code, 0)
      assert.equal(err, '')
      assert.match(out, /^Usage: ipdr /)
      for (const command of [
        'server',
        'push',
        'pull',
        'convert',
        'dig',
        'ls',
        'inspect',
        'resolve',
        'peers',
        'publish',
        'config',
        'completion',
        'version',
      ]) {
        assert.match(out, new RegExp(`^ {2}${command}`, 'm'))
      }
    })
  }

  for (const args of [['config'], ['config', '--help']]) {
    it(`of a group is what 'ipdr ${args.join(' ')}' prints`, async () => {
      const { code, err, out } = await ipdr(args)
      assert.deepEqual({ code, err }, { code: 0, err: '' })
      assert.match(out, /verify[\s\S]*show/)
    })
  }

  it('of the server names the flag, description and default of every key', async () => {
    const { out } = await ipdr(['server', '--help'])
    const text = out.replace(/\s+/g, ' ')
    for (const { description, flag } of configKeys) {
      assert.ok(text.includes(`${flag} `) && text.includes(description), flag)
    }
    for (const part of [
      '-p, --port <number>',
      '(default: 5000)',
      '(default: 4MiB)',
      '(default: 120s)',
      'offline, lan, private, public (default: public)',
      '--config <file>',
    ]) {
      assert.ok(text.includes(part), part)
    }
  })
})

const mistakes: [string[], string, RegExp][] = [
  [['xyz'], "unknown command 'xyz'", /^Run 'ipdr --help'/],
  [['push'], "missing required argument 'image'", /^Run 'ipdr push --help'/],
  [['pull', 'a', 'b'], "too many arguments for 'pull'. Expected 1 argument but got 2.", /^Run 'ipdr pull --help'/],
  [['serve'], "unknown command 'serve'", /^\(Did you mean server\?\) Run 'ipdr --help'/],
  [['--nope'], "unknown option '--nope'", /^Run 'ipdr --help'/],
  [['server', '--nope'], "unknown option '--nope'", /^Run 'ipdr server --help'/],
  [['server', '--prot', '1'], "unknown option '--prot'", /^\(Did you mean --port\?\) Run 'ipdr server --help'/],
  [
    ['server', 'extra'],
    "too many arguments for 'server'. Expected 0 arguments but got 1.",
    /^Run 'ipdr server --help'/,
  ],
  [['server', '--port'], "option '-p, --port <number>' argument missing", /^Run 'ipdr server --help'/],
  [['key', 'create', 'ci'], "required option '--scope <scope>' not specified", /^Run 'ipdr key create --help'/],
  [['peers', 'trust', 'sign'], "missing required argument 'peer-id'", /^Run 'ipdr peers trust sign --help'/],
  [['config', 'verfy'], "unknown command 'verfy'", /^\(Did you mean verify\?\) Run 'ipdr config --help'/],
]

describe('a command line that cannot be understood', () => {
  for (const [args, message, hint] of mistakes) {
    it(`'ipdr ${args.join(' ')}' takes a line, a hint and exit code 1`, async () => {
      const { code, err, out } = await ipdr(args)
      const [first, second, ...rest] = err.split('\n')
      assert.deepEqual({ code, out, first, rest }, { code: 1, out: '', first: `ipdr: ${message}`, rest: [''] })
      assert.match(second!, hint)
    })
  }
})

describe('config verify', () => {
  it('says ok', async () => {
    assert.deepEqual(await ipdr(['config', 'verify', fileWith('port: 1')]), { code: 0, out: 'ok\n', err: '' })
  })

  it('prints every problem', async () => {
    const file = fileWith('port: x\nnope: 1')
    assert.deepEqual(await ipdr(['config', 'verify', file]), {
      code: 1,
      out: '',
      err: `ipdr: nope: unknown key (file key nope, ${file} line 2)\nipdr: port: must be a whole number from 0 to 65535, got "x" (file key port, ${file} line 1)\n`,
    })
  })

  it('checks a file by itself, else what the environment says', async () => {
    process.env['IPDR_PORT'] = 'x'
    try {
      assert.equal((await ipdr(['config', 'verify', fileWith('port: 1')], { IPDR_PORT: 'x' })).code, 0)
    } finally {
      delete process.env['IPDR_PORT']
    }
    assert.equal((await ipdr(['config', 'verify'], { IPDR_PORT: 'x' })).code, 1)
    assert.equal((await ipdr(['config', 'verify'], { IPDR_CONFIG: fileWith('nope: 1') })).code, 1)
  })
})

describe('config show', () => {
  it('prints what a configuration file would have to hold', async () => {
    const { code, out } = await ipdr(['config', 'show'])
    assert.equal(code, 0)
    assert.deepEqual(parseConfig(parse(out)), defaultConfig)
  })

  const address = '/ip4/192.0.2.1/tcp/1'
  const flags: [string[], Record<string, unknown>][] = [
    [['-p', '0'], { port: 0 }],
    [['--data-dir=x y', '--network', 'lan'], { dataDir: 'x y', network: 'lan' }],
    [
      ['--p2p-peers', address, '--p2p-peers', `${address}1`],
      { p2p: { ...defaultConfig.p2p, peers: [address, `${address}1`] } },
    ],
    [['--storage-fsync', 'false'], { storage: { ...defaultConfig.storage, fsync: false } }],
    [['--storage-fsync', '--port', '1'], { port: 1 }],
    [
      ['--log-level', 'debug', '--limits-drain-timeout', '1m'],
      { log: { ...defaultConfig.log, level: 'debug' }, limits: { ...defaultConfig.limits, drainTimeout: 60 } },
    ],
  ]
  for (const [args, expected] of flags) {
    it(`takes ${args.join(' ')}`, async () => {
      const { err, out } = await ipdr(['config', 'show', ...args])
      assert.equal(err, '')
      assert.deepEqual(parse(out), { ...defaultConfig, ...expected })
    })
  }

  it('lets flags beat the environment, and that the file', async () => {
    const file = fileWith('port: 1\nhost: a\ndataDir: file')
    const { out } = await ipdr(['config', 'show', '--config', file, '--port', '3'], { IPDR_PORT: '2', IPDR_HOST: 'b' })
    const { dataDir, host, port } = parse(out) as Record<string, unknown>
    assert.deepEqual({ dataDir, host, port }, { dataDir: 'file', host: 'b', port: 3 })
  })

  it('names the flag in a problem', async () => {
    const { code, err } = await ipdr(['config', 'show', '--p2p-port', 'x', '--network', 'private'])
    assert.equal(code, 1)
    assert.deepEqual(err.split('\n'), [
      'ipdr: p2p.port: must be a whole number from 0 to 65535, got "x" (flag --p2p-port)',
      'ipdr: p2p.swarmKey: must be set when network is private (flag --network)',
      '',
    ])
  })
})

describe('version', () => {
  it('prints three versions and the commit', async () => {
    const { code, out } = await ipdr(['version'])
    assert.equal(code, 0)
    const [ipdrLine, commitLine, nodeLine, heliaLine] = out.split('\n')
    assert.deepEqual([ipdrLine, nodeLine], [`ipdr   ${packageJson.version}`, `node   ${process.versions.node}`])
    assert.match(commitLine!, /^commit ([0-9a-f]{40}(-dirty)?|unknown)$/)
    assert.match(heliaLine!, /^helia {2}\d+\.\d+\.\d+$/)
  })

  it('prints them as JSON', async () => {
    const { out } = await ipdr(['version', '--json'])
    assert.deepEqual(Object.keys(JSON.parse(out) as object), ['ipdr', 'commit', 'node', 'helia'])
  })

  it('is a flag too', async () => {
    assert.deepEqual(await ipdr(['--version']), { code: 0, out: `${packageJson.version}\n`, err: '' })
  })
})
