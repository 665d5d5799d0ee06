/** What `ipdr server` says to bad input: one line, exit code 1, and nothing changed on disk */
import assert from 'node:assert/strict'
import { chmod, chown, cp, mkdir, writeFile } from 'node:fs/promises'
import { createServer, type AddressInfo } from 'node:net'
import { once } from 'node:events'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { selfSigned } from '../fixtures/certificates.ts'
import { type CommandLine, withoutPrivileges, withReadOnly, withSystemFile } from '../fixtures/namespace.ts'
import { run, tryRun } from '../fixtures/run.ts'
import { ServerProcess, withoutSettings } from '../fixtures/server.ts'
import { snapshot } from '../fixtures/snapshot.ts'
import { temporaryDirectory, type TemporaryDirectory } from '../fixtures/temporary.ts'
import { projectDirectory } from '../fixtures/tools.ts'

const minute = 60_000
const main = join(projectDirectory, 'src/main.js')
const nobody = 65_534
const secret = 'c2VjcmV0IGtleSBtYXRlcmlhbA'

/** Holds what every case starts from; each gets a copy */
let template: TemporaryDirectory

interface Case {
  title: string
  /** Puts into the directory what the case needs */
  prepare?: (path: (name: string) => string) => Promise<void>
  args?: (path: (name: string) => string) => string[]
  env?: (path: (name: string) => string) => Record<string, string>
  /** Puts something around the server's command line */
  around?: (path: (name: string) => string, command: CommandLine) => CommandLine
  /** The one line, without `ipdr: ` before it; DIRECTORY stands for that of the case */
  message: string | RegExp
}

const tls: Case[] = [
  {
    title: 'a certificate without a key',
    args: path => ['--tlsCertPath', path('a.crt')],
    message: 'tls.keyPath: must be set, too (flag --tls-cert-path)',
  },
  {
    title: 'a key without a certificate',
    args: path => ['--tlsKeyPath', path('a.key')],
    message: 'tls.certPath: must be set, too (flag --tls-key-path)',
  },
  {
    title: 'the key of another certificate',
    args: path => tlsFlags(path('a.crt'), path('b.key')),
    message: /DIRECTORY\/b\.key .*DIRECTORY\/a\.crt/,
  },
  {
    title: 'a certificate that is not there',
    args: path => tlsFlags(path('c.crt'), path('a.key')),
    message: /DIRECTORY\/c\.crt can't be read/,
  },
  {
    title: 'a directory for a key',
    args: path => tlsFlags(path('a.crt'), path('.')),
    message: /DIRECTORY\S* can't be read/,
  },
  {
    title: 'garbage for a certificate',
    args: path => tlsFlags(path('garbage.pem'), path('a.key')),
    message: /DIRECTORY\/garbage\.pem .*PEM/,
  },
  {
    title: 'garbage for a key',
    args: path => tlsFlags(path('a.crt'), path('garbage.pem')),
    message: /DIRECTORY\/garbage\.pem .*PEM/,
  },
  {
    title: 'a key of another user',
    prepare: async path => {
      await chown(path('a.key'), nobody, nobody)
    },
    args: path => tlsFlags(path('a.crt'), path('a.key')),
    around: (_path, command) => withoutPrivileges(command),
    message: /DIRECTORY\/a\.key can't be read: (EACCES|permission denied)/,
  },
  {
    title: 'a key in place of its path',
    env: path => ({ IPDR_TLS_CERT_PATH: path('a.crt'), IPDR_TLS_KEY_PATH: `-----BEGIN PRIVATE KEY-----\n${secret}\n` }),
    message: 'tls.keyPath: must be a path, got a text of several lines (IPDR_TLS_KEY_PATH)',
  },
]

const dataDirectories: Case[] = [
  {
    title: 'a file',
    args: path => ['--data-dir', path('garbage.pem')],
    message: "data directory DIRECTORY/garbage.pem can't be used: it is not a directory",
  },
  {
    title: 'a directory below a file',
    args: path => ['--data-dir', path('garbage.pem/data')],
    message: "data directory DIRECTORY/garbage.pem/data can't be used: it is not a directory",
  },
  {
    title: 'a directory of something else',
    args: path => ['--data-dir', path('other')],
    message: 'data directory DIRECTORY/other is neither empty nor a data directory of ipdr: it has no file "format"',
  },
  {
    title: 'an older format',
    prepare: async path => {
      await writeFile(path('used/format'), '0\n')
    },
    args: path => ['--data-dir', path('used')],
    message: /^data directory DIRECTORY\/used has format 0, that of an older version; this version reads format \d$/,
  },
  {
    title: 'a newer format',
    prepare: async path => {
      await writeFile(path('used/format'), '999\n')
    },
    args: path => ['--data-dir', path('used')],
    message: /^data directory DIRECTORY\/used has format 999, that of a newer version; this version reads format \d$/,
  },
  {
    title: 'a directory on a read-only volume',
    args: path => ['--data-dir', path('used')],
    around: (path, command) => withReadOnly(path('used'), command),
    message: "data directory DIRECTORY/used can't be used: it is read-only",
  },
  {
    title: 'an empty read-only volume',
    args: path => ['--data-dir', path('empty')],
    around: (path, command) => withReadOnly(path('empty'), command),
    message: "data directory DIRECTORY/empty can't be used: it is read-only",
  },
  {
    title: 'a new directory on a read-only volume',
    args: path => ['--data-dir', path('empty/a/b')],
    around: (path, command) => withReadOnly(path('empty'), command),
    message: "data directory DIRECTORY/empty/a/b can't be used: it is read-only",
  },
  {
    title: 'a directory of another user',
    prepare: async path => {
      await run('chown', ['-R', String(nobody), path('used')])
    },
    args: path => ['--data-dir', path('used')],
    around: (_path, command) => withoutPrivileges(command),
    message: `data directory DIRECTORY/used can't be used: no permission to write to DIRECTORY/used: it belongs to user ${nobody}, and this is user 0; chown -R 0 it, or run as user ${nobody}`,
  },
  {
    title: 'an empty directory of another user',
    prepare: async path => {
      await chown(path('empty'), nobody, nobody)
    },
    args: path => ['--data-dir', path('empty')],
    around: (_path, command) => withoutPrivileges(command),
    message: `data directory DIRECTORY/empty can't be used: no permission to write to DIRECTORY/empty: it belongs to user ${nobody}, and this is user 0; chown -R 0 it, or run as user ${nobody}`,
  },
  {
    title: 'a directory that another user has written to',
    prepare: async path => {
      await chown(path('used/datastore/LOCK'), nobody, nobody)
    },
    args: path => ['--data-dir', path('used')],
    around: (_path, command) => withoutPrivileges(command),
    message: `data directory DIRECTORY/used can't be used: no permission to write to DIRECTORY/used/datastore/LOCK: it belongs to user ${nobody}, and this is user 0; chown -R 0 it, or run as user ${nobody}`,
  },
  {
    title: 'a CID store of another user',
    prepare: async path => {
      await chown(path('empty'), nobody, nobody)
    },
    args: path => ['--cid-store', path('empty/cids')],
    around: (_path, command) => withoutPrivileges(command),
    message: `CID store DIRECTORY/empty/cids can't be used: no permission to write to DIRECTORY/empty: it belongs to user ${nobody}, and this is user 0; chown -R 0 it, or run as user ${nobody}`,
  },
]

const settings: Case[] = [
  {
    title: 'an unknown variable',
    env: () => ({ IPDR_P2P_PROT: secret }),
    message: 'IPDR_P2P_PROT: unknown variable, did you mean IPDR_P2P_PORT?',
  },
  {
    title: 'a port out of range',
    args: () => ['--port', '65536'],
    message: 'port: must be a whole number from 0 to 65535, got 65536 (flag --port)',
  },
  {
    title: 'a host that is none of this machine',
    args: () => ['--host', '192.0.2.1'],
    message: "can't listen on 192.0.2.1: it is no address of this machine; choose another with --host",
  },
  {
    title: 'a host that is unknown',
    args: () => ['--host', 'no-such-host.invalid'],
    message: "can't listen on no-such-host.invalid: no such host is known; choose another with --host",
  },
  {
    title: 'a bootstrap peer that is none',
    env: () => ({ BOOTSTRAP: 'kafka:9092' }),
    message: /^p2p\.bootstrap\[0\]: must be a multiaddr .* \(BOOTSTRAP\)$/,
  },
  {
    title: 'a configuration that is not there',
    args: path => ['--config', path('none.yml')],
    message: 'DIRECTORY/none.yml: cannot be read: no such file',
  },
  {
    title: 'an unknown key in the file',
    prepare: async path => {
      await writeFile(path('ipdr.yml'), `log:\n  levle: ${secret}\n`)
    },
    args: path => ['--config', path('ipdr.yml')],
    message: 'log.levle: unknown key, did you mean log.level? (file key log.levle, DIRECTORY/ipdr.yml line 2)',
  },
  {
    title: 'malformed YAML',
    prepare: async path => {
      await writeFile(path('ipdr.yml'), `log: { level: ${secret}\n`)
    },
    env: path => ({ IPDR_CONFIG: path('ipdr.yml') }),
    message: /^DIRECTORY\/ipdr\.yml: line 2, column 1: /,
  },
  {
    title: 'a key for the configuration',
    args: path => ['--config', path('a.key')],
    message: 'configuration: must be a mapping of keys to values, got a text (file DIRECTORY/a.key)',
  },
  {
    title: 'a swarm key that is none',
    args: path => ['--network', 'private', '--p2p-port', '0', '--p2p-swarm-key', path('garbage.pem')],
    message: 'DIRECTORY/garbage.pem is not a swarm key: the swarm key must begin with the line /key/swarm/psk/1.0.0/',
  },
  {
    title: 'a swarm key that is not there',
    args: path => ['--network', 'private', '--p2p-swarm-key', path('none.key')],
    message: "swarm key DIRECTORY/none.key can't be read: no such file",
  },
  {
    title: 'an unknown key in the file of the system',
    prepare: async path => {
      await writeFile(path('ipdr.yml'), 'dataDirectory: /data\n')
    },
    around: (path, command) => withSystemFile(path('ipdr.yml'), command),
    message: /^dataDirectory: unknown key.* \(file key dataDirectory, \/etc\/ipdr\/ipdr\.yml line 1\)$/,
  },
  {
    title: 'a file of the system that is not to be read',
    prepare: async path => {
      await writeFile(path('ipdr.yml'), '')
      await chmod(path('ipdr.yml'), 0)
    },
    around: (path, command) => withSystemFile(path('ipdr.yml'), withoutPrivileges(command)),
    message: '/etc/ipdr/ipdr.yml: cannot be read: permission denied',
  },
]

/** LevelDB turns the log of its own doings over before it asks for its lock */
async function withoutLog(dataDir: string): Promise<Record<string, string>> {
  const { index: _, 'index/LOG': _log, 'index/LOG.old': _old, ...others } = await snapshot(dataDir)
  return others
}

function tlsFlags(certificate: string, key: string): string[] {
  return ['--tls-cert-path', certificate, '--tls-key-path', key]
}

async function refused({ args, around, env, message, prepare }: Case): Promise<void> {
  await using directory = await temporaryDirectory('start-errors')
  const path = (name: string): string => join(directory.path, name)
  await cp(template.path, directory.path, { recursive: true, preserveTimestamps: true })
  await prepare?.(path)
  const before = await snapshot(directory.path)

  const command: CommandLine = [
    process.execPath,
    main,
    'server',
    '--host',
    '127.0.0.1',
    '--port',
    '0',
    '--network',
    'offline',
    '--data-dir',
    path('fresh/data'),
    ...(args?.(path) ?? []),
  ]
  const [program, ...rest] = around?.(path, command) ?? command
  const { code, stdout, stderr } = await tryRun(program, rest, {
    env: { ...noSettings(), ...env?.(path) },
    cwd: directory.path,
  })

  const lines = stderr.split('\n')
  assert.deepEqual([lines.length, lines[1]], [2, ''], stderr)
  const said = lines[0]!.replaceAll(directory.path, 'DIRECTORY')
  if (typeof message === 'string') {
    assert.equal(said, `ipdr: ${message}`)
  } else {
    assert.match(said.replace(/^ipdr: /, ''), message)
  }
  assert.deepEqual({ code, stdout }, { code: 1, stdout: '' })
  assert.ok(!stderr.includes(secret), stderr)
  assert.deepEqual(await snapshot(directory.path), before)
}

/** Unsets what the tests' own environment configures */
function noSettings(): Record<string, undefined> {
  const kept = withoutSettings(process.env)
  return Object.fromEntries(
    Object.keys(process.env)
      .filter(name => !Object.hasOwn(kept, name))
      .map(name => [name, undefined]),
  )
}

describe('a start is refused', { timeout: 10 * minute }, () => {
  before(async () => {
    template = await temporaryDirectory('start-errors')
    const path = (name: string): string => join(template.path, name)
    await using server = await ServerProcess.start({ dataDir: path('used') })
    await Promise.all(
      ['a', 'b'].map(async name => {
        await selfSigned({ cert: path(`${name}.crt`), key: path(`${name}.key`) }, '/CN=localhost')
      }),
    )
    await mkdir(path('empty'))
    await mkdir(path('other'))
    await writeFile(path('other/notes.txt'), 'not ours\n')
    await writeFile(path('garbage.pem'), `-----BEGIN PRIVATE KEY-----\n${secret}\n-----END PRIVATE KEY-----\n`)
    await server.stop()
  })
  after(async () => {
    await template[Symbol.asyncDispose]()
  })

  for (const [group, cases] of Object.entries({
    TLS: tls,
    'the data directory': dataDirectories,
    configuration: settings,
  })) {
    describe(`for ${group}:`, { concurrency: 2 }, () => {
      for (const one of cases) {
        it(one.title, async () => {
          await refused(one)
        })
      }
    })
  }

  for (const [title, flag, network] of [
    ['the registry', '--port', 'offline'],
    ['administration', '--admin-port', 'offline'],
    ['the IPFS node', '--p2p-port', 'lan'],
  ] as const) {
    it(`for a port of ${title} that is in use`, async () => {
      const holder = createServer().listen(0, '127.0.0.1')
      await once(holder, 'listening')
      const { port } = holder.address() as AddressInfo
      try {
        await refused({
          title,
          args: () => ['--network', network, '--p2p-host', '127.0.0.1', flag, String(port)],
          message: `port ${port} on 127.0.0.1 is in use; choose another with ${flag}`,
        })
      } finally {
        holder.close()
      }
    })
  }

  it('for a data directory that is in use', async () => {
    await using server = await ServerProcess.start()
    const before = await withoutLog(server.dataDir)
    await refused({
      title: '',
      args: () => ['--data-dir', server.dataDir],
      message: `data directory ${server.dataDir} is in use by another ipdr server`,
    })
    assert.deepEqual(await withoutLog(server.dataDir), before)
  })
})

describe('the file of the system', { timeout: 10 * minute }, () => {
  it('is read by the server', async () => {
    await using directory = await temporaryDirectory('system-file')
    const file = join(directory.path, 'ipdr.yml')
    await writeFile(file, 'network: offline\nlog: { format: json }\n')
    const [program, ...args] = withSystemFile(file, [process.execPath, main, 'config', 'show'])
    const shown = await run(program, args, { env: noSettings() })
    assert.match(shown, /^network: offline$/m)
    assert.match(shown, /^ {2}format: json$/m)
  })

  it('does not matter to the other commands, even where it is wrong and not to be read', async () => {
    await using directory = await temporaryDirectory('system-file')
    const file = join(directory.path, 'ipdr.yml')
    await writeFile(file, 'nope: 1\n')
    await chmod(file, 0)
    const cid = 'QmaCm7VNsmM61FApFevTcJ1PxPabmfY4Tf2dFjpAdVdHLF'
    const [program, ...args] = withSystemFile(
      file,
      withoutPrivileges([process.execPath, main, 'convert', cid, '-f', 'docker']),
    )
    assert.equal(
      await run(program, args, { env: noSettings() }),
      'ciqlarwwgn3qewftxxsapdx6aqi5yi7scootos7m5bqbjuzshoavapa',
    )
  })
})
