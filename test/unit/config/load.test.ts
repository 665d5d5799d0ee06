import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import fc from 'fast-check'
import { ConfigError } from '../../../src/config/config-error.ts'
import { type LoadConfigInit, loadConfig, parseConfig } from '../../../src/config/load.ts'
import { configKeys, defaultConfig } from '../../../src/config/schema.ts'

const peer = '/ip4/192.0.2.1/tcp/4001/p2p/12D3KooWE7RxzfqyY6AswXhLkmVKTVtCEiWUs4Zs3nVmNHBCRhvz'
const address = '/ip4/192.0.2.2/tcp/4001'

let directory: string
before(() => {
  directory = mkdtempSync(join(tmpdir(), 'ipdr-config-'))
})
after(() => rmSync(directory, { recursive: true }))

function fileWith(text: string, name = 'test.yml'): string {
  const file = join(directory, name)
  writeFileSync(file, text)
  return file
}

function problemsOf(work: () => unknown): readonly string[] {
  try {
    work()
  } catch (err) {
    assert.ok(err instanceof ConfigError, String(err))
    assert.equal(err.expected, true)
    return err.problems
  }
  return assert.fail('nothing was thrown')
}

describe('loadConfig', () => {
  it('gives the defaults where nothing is set', () => {
    assert.deepEqual(loadConfig({ env: {} }), defaultConfig)
  })

  it('reads the environment of the process unless given another', () => {
    process.env['IPDR_PORT'] = '5999'
    try {
      assert.equal(loadConfig().port, 5999)
    } finally {
      delete process.env['IPDR_PORT']
    }
  })

  it('lets flags beat the environment, and that the file', () => {
    const file = fileWith('port: 1\nhost: file\np2p: { port: 1, peers: [] }\nlog: { level: debug }')
    const config = loadConfig({ file, env: { IPDR_PORT: '2', IPDR_P2P_PORT: '2' }, flags: { port: '3' } })
    assert.equal(config.port, 3)
    assert.equal(config.p2p.port, 2)
    assert.equal(config.host, 'file')
    assert.equal(config.log.level, 'debug')
    assert.equal(config.log.format, 'human')
  })

  it('replaces a list as a whole', () => {
    const file = fileWith(`p2p: { peers: ["${address}"] }`)
    assert.deepEqual(loadConfig({ file, env: {}, flags: { 'p2p.peers': [peer] } }).p2p.peers, [peer])
  })

  it('reads the file that IPDR_CONFIG names, and the one that was named before it', () => {
    const env = { IPDR_CONFIG: fileWith('port: 1', 'env.yml') }
    assert.equal(loadConfig({ env }).port, 1)
    assert.equal(loadConfig({ env, file: fileWith('port: 2', 'flag.yml') }).port, 2)
  })

  it('reads JSON, and a file without any key', () => {
    assert.equal(loadConfig({ file: fileWith('{"p2p": {"port": 7}}'), env: {} }).p2p.port, 7)
    assert.deepEqual(loadConfig({ file: fileWith('# nothing\n'), env: {} }), defaultConfig)
    assert.deepEqual(loadConfig({ file: fileWith('p2p:\n  # port: 1\nadmin: { port: }\n'), env: {} }), defaultConfig)
  })

  it('reads the file of the system where no other is named, and does without it', () => {
    const systemFile = fileWith('port: 3', 'system.yml')
    assert.equal(loadConfig({ env: {}, systemFile }).port, 3)
    assert.equal(loadConfig({ env: { IPDR_PORT: '4' }, systemFile }).port, 4)
    assert.equal(loadConfig({ env: { IPDR_CONFIG: fileWith('host: env', 'env.yml') }, systemFile }).port, 5000)
    assert.equal(loadConfig({ env: {}, file: fileWith('host: flag', 'flag.yml'), systemFile }).port, 5000)
    assert.equal(loadConfig({ env: { IPDR_CONFIG: '/dev/null' }, systemFile }).port, 5000)
    assert.deepEqual(loadConfig({ env: {}, systemFile: join(directory, 'none', 'ipdr.yml') }), defaultConfig)
    assert.deepEqual(loadConfig({ env: {}, systemFile: join(systemFile, 'ipdr.yml') }), defaultConfig)
    assert.deepEqual(problemsOf(() => loadConfig({ env: {}, systemFile: fileWith('prot: 3', 'system.yml') })).length, 1)
    assert.deepEqual(
      problemsOf(() => loadConfig({ env: {}, systemFile: directory })),
      [`${directory}: cannot be read: is a directory`],
    )
  })

  it('is frozen all the way down', () => {
    const config = loadConfig({ env: { IPDR_P2P_PEERS: address } })
    assert.ok(Object.isFrozen(config) && Object.isFrozen(config.p2p) && Object.isFrozen(config.p2p.peers))
  })

  it('needs a swarm key for network private', () => {
    assert.equal(
      loadConfig({ env: { IPDR_NETWORK: 'private', IPDR_P2P_SWARM_KEY: 'swarm.key' } }).p2p.swarmKey,
      'swarm.key',
    )
  })
})

const refused: [string, LoadConfigInit, string[]][] = [
  [
    'a certificate without its key',
    { flags: { 'tls.certPath': 'server.crt' } },
    ['tls.keyPath: must be set, too (flag --tls-cert-path)'],
  ],
  [
    'a remote kubo without a network',
    { flags: { network: 'offline', ipfsHost: '127.0.0.1:5001' } },
    ['ipfsHost: needs a network: the kubo fetches what it pins from this node (flag --ipfs-host)'],
  ],
  [
    'a port out of range',
    { flags: { 'p2p.port': '65536' } },
    ['p2p.port: must be a whole number from 0 to 65535, got 65536 (flag --p2p-port)'],
  ],
  [
    'a port that is none',
    { env: { IPDR_PORT: '5e3' } },
    ['port: must be a whole number from 0 to 65535, got "5e3" (IPDR_PORT)'],
  ],
  [
    'an unknown choice',
    { env: { IPDR_LOG_FORMAT: 'xml' } },
    ['log.format: must be one of human, json, got "xml" (IPDR_LOG_FORMAT)'],
  ],
  [
    'an unclear boolean',
    { env: { IPDR_STORAGE_FSYNC: 'maybe' } },
    ['storage.fsync: must be true or false, got "maybe" (IPDR_STORAGE_FSYNC)'],
  ],
  [
    'a duration out of range',
    { env: { IPDR_LIMITS_DRAIN_TIMEOUT: '2h' } },
    ['limits.drainTimeout: must be a duration such as 10s, at most 1h, got "2h" (IPDR_LIMITS_DRAIN_TIMEOUT)'],
  ],
  [
    'a manifest limit too low',
    { flags: { 'limits.manifestBytes': '1B' } },
    ['limits.manifestBytes: must be a size such as 4MiB, from 1KiB to 64MiB, got "1B" (flag --limits-manifest-bytes)'],
  ],
  [
    'an address that is none',
    { flags: { 'p2p.peers': [address, 'example.com'] } },
    ['p2p.peers[1]: must be a multiaddr such as /ip4/192.0.2.1/tcp/4001, got "example.com" (flag --p2p-peers)'],
  ],
  [
    'a bootstrap peer without an id',
    { env: { BOOTSTRAP: address } },
    [
      `p2p.bootstrap[0]: must be a multiaddr with the peer's id, such as /ip4/192.0.2.1/tcp/4001/p2p/<peer id>, got "${address}" (BOOTSTRAP)`,
    ],
  ],
  [
    'a host name for libp2p',
    { env: { IPDR_P2P_HOST: 'localhost' } },
    ['p2p.host: must be an IP address, got "localhost" (IPDR_P2P_HOST)'],
  ],
  [
    'a DNS server without a number',
    { flags: { 'names.dns': ['192.0.2.53', 'dns.example'] } },
    [
      'names.dns[1]: must be an IP address, or one with a port such as 192.0.2.53:5353 or [2001:db8::53]:5353, got "dns.example" (flag --names-dns)',
    ],
  ],
  [
    'a resolver that is none',
    { flags: { cidResolvers: ['cids'] } },
    [
      'cidResolvers[0]: must be file:<directory>, /ipfs/<cid>, /ipns/<name> or a domain, got "cids" (flag --cid-resolver)',
    ],
  ],
  [
    "a browser's name with a port",
    { flags: { hosts: ['registry.example', 'registry.example:5000'] } },
    [
      'hosts[1]: must be a host name such as registry.example or *.registry.example, without a scheme or a port, got "registry.example:5000" (flag --hosts)',
    ],
  ],
  ['an empty host', { flags: { host: '' } }, ['host: must be a host name or an IP address, got "" (flag --host)']],
  [
    'network private without a key',
    { env: { IPDR_NETWORK: 'private' } },
    ['p2p.swarmKey: must be set when network is private (IPDR_NETWORK)'],
  ],
  [
    'a key with another network',
    { flags: { 'p2p.swarmKey': 'k' } },
    ['p2p.swarmKey: only works with network private, and network is public (flag --p2p-swarm-key)'],
  ],
  [
    'authorities of clients without TLS',
    { flags: { 'tls.clientCa': 'clients.crt' } },
    ['tls.clientCa: needs tls.certPath: only TLS has certificates (flag --tls-client-ca)'],
  ],
  [
    'a promise of TLS without TLS',
    { flags: { 'tls.hsts': '365d' } },
    ['tls.hsts: needs tls.certPath: only TLS can promise TLS (flag --tls-hsts)'],
  ],
  [
    'unknown variables',
    { env: { IPDR_P2P_PROT: '1', IPDR_FOO: '1' } },
    [
      'IPDR_P2P_PROT: unknown variable, did you mean IPDR_P2P_PORT?',
      'IPDR_FOO: unknown variable; ipdr server --help has every key',
    ],
  ],
  ['an unknown flag', { flags: { nope: 'x' } }, ['nope: unknown key (flag)']],
  [
    'a key set by two variables',
    { env: { BOOTSTRAP: peer, IPDR_P2P_BOOTSTRAP: peer } },
    ['p2p.bootstrap: is set by both BOOTSTRAP and IPDR_P2P_BOOTSTRAP'],
  ],
  [
    'a value file that is missing',
    { env: { IPDR_PORT_FILE: '/nonexistent/port' } },
    ['port: cannot read /nonexistent/port: no such file (IPDR_PORT_FILE)'],
  ],
  [
    'a value file for a key that is a path',
    { env: { IPDR_P2P_SWARM_KEY_FILE: 'k' } },
    ['IPDR_P2P_SWARM_KEY_FILE: unknown variable; IPDR_P2P_SWARM_KEY already takes a path'],
  ],
  [
    'a port for two',
    { flags: { port: '4001', 'p2p.port': '4001' } },
    ['p2p.port: must differ from port, which is 4001, too (flag --p2p-port)'],
  ],
  [
    'an admin port for two',
    { flags: { 'admin.port': '5000' } },
    ['admin.port: must differ from port, which is 5000, too (flag --admin-port)'],
  ],
  [
    'the content of a key for its path',
    { env: { IPDR_TLS_CERT_PATH: 'c', IPDR_TLS_KEY_PATH: '-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49' } },
    ['tls.keyPath: must be a path, got a text of several lines (IPDR_TLS_KEY_PATH)'],
  ],
  [
    'a password in the address of a kubo',
    { env: { IPDR_IPFS_HOST: 'https://me:secret@kubo:5001' } },
    [
      'ipfsHost: must be host:port, an http or https URL or a multiaddr, without a password, got "https://...@kubo:5001" (IPDR_IPFS_HOST)',
    ],
  ],
  [
    'a password in the address of a gateway',
    { flags: { ipfsGateways: ['https://me:secret@gateway.example'] } },
    [
      'ipfsGateways[0]: must be an http or https URL such as https://gateway.example, without a password, got "https://...@gateway.example" (flag --ipfs-gateway)',
    ],
  ],
  [
    'a file that is missing',
    { file: '/nonexistent/ipdr.yml' },
    ['/nonexistent/ipdr.yml: cannot be read: no such file'],
  ],
  ['a file that is a directory', { file: tmpdir() }, [`${tmpdir()}: cannot be read: is a directory`]],
]

const refusedFiles: [string, string, string[]][] = [
  ['a syntax error, with its line', 'port: 5000\nhost: [\n', ['FILE: line 3, column 1: ']],
  ['a key given twice', 'port: 1\nport: 2\n', ['FILE: line 2, column 1: Map keys must be unique']],
  ['two documents', 'port: 1\n---\nport: 2\n', ['FILE: line 2, column 1: ']],
  ['an alias without an anchor', 'port: *nope\n', ['FILE: ']],
  ['an unknown key', 'p2p:\n  proxy: 1\n', ['p2p.proxy: unknown key (file key p2p.proxy, FILE line 2)']],
  [
    'an unknown key close to a known one',
    'data_dir: x\n',
    ['data_dir: unknown key, did you mean dataDir? (file key data_dir, FILE line 1)'],
  ],
  ['a dotted key', 'p2p.port: 1\n', ['p2p.port: unknown key (file key p2p.port, FILE line 1)']],
  [
    'a section that is none',
    'storage: false\n',
    ['storage: must be a mapping of keys to values, got false (file key storage, FILE line 1)'],
  ],
  ['a list for a mapping', '- port\n', ['configuration: must be a mapping of keys to values, got a list (file FILE)']],
  [
    'a key instead of a configuration',
    '-----BEGIN PRIVATE KEY-----\nMIGHAgEA\n-----END PRIVATE KEY-----\n',
    ['configuration: must be a mapping of keys to values, got a text (file FILE)'],
  ],
  [
    'a text for a number',
    'port: "5000"\n',
    ['port: must be a whole number from 0 to 65535, got "5000" (file key port, FILE line 1)'],
  ],
  [
    'a text for a list',
    `p2p:\n  peers: ${address}\n`,
    [`p2p.peers: must be a list, got "${address}" (file key p2p.peers, FILE line 2)`],
  ],
]

it('one port on two addresses is fine, and so is that of a node that is offline', () => {
  assert.equal(
    loadConfig({ env: {}, flags: { host: '192.0.2.1', port: '5001', 'admin.port': '5001' } }).admin.port,
    5001,
  )
  assert.equal(loadConfig({ env: {}, flags: { network: 'offline', port: '4001', 'p2p.port': '4001' } }).port, 4001)
  assert.equal(loadConfig({ env: {}, flags: { port: '0', 'p2p.port': '0', 'admin.port': '0' } }).port, 0)
})

describe('problems', () => {
  for (const [title, init, expected] of refused) {
    it(title, () =>
      assert.deepEqual(
        problemsOf(() => loadConfig({ env: {}, ...init })),
        expected,
      ),
    )
  }

  for (const [title, text, expected] of refusedFiles) {
    it(`in a file: ${title}`, () => {
      const file = fileWith(text)
      const problems = problemsOf(() => loadConfig({ file, env: {} }))
      assert.equal(problems.length, expected.length, problems.join('\n'))
      for (const [index, start] of expected.entries()) {
        assert.ok(problems[index]!.startsWith(start.replace('FILE', file)), problems[index])
      }
    })
  }

  it('are reported all at once, those of values that another source overrides too', () => {
    const file = fileWith('port: 70000\nnope: 1\nnetwork: private\n')
    const problems = problemsOf(() =>
      loadConfig({ file, env: { IPDR_PORT: '-1', IPDR_LOG_LEVEL: 'loud' }, flags: { port: '5000' } }),
    )
    assert.deepEqual(problems.map(problem => problem.split(':')[0]).sort(), [
      'log.level',
      'nope',
      'p2p.swarmKey',
      'port',
      'port',
    ])
  })

  it('do not repeat what a value file holds', () => {
    const file = fileWith('hunter2', 'secret')
    assert.deepEqual(
      problemsOf(() => loadConfig({ env: { IPDR_PORT_FILE: file } })),
      ['port: must be a whole number from 0 to 65535 (IPDR_PORT_FILE)'],
    )
  })

  it('take one line each, whatever the input holds', () => {
    const values = { 'a\nb': 1, host: 'x\ny', p2p: { peers: ['\r\n\x1b'] } }
    const problems = problemsOf(() => parseConfig(values))
    assert.equal(problems.length, 3)
    assert.ok(
      problems.every(problem => !/\p{Cc}/u.test(problem)),
      problems.join(),
    )
  })
})

describe('any input', () => {
  const names = configKeys.flatMap(key => key.path.split('.'))
  const value = fc.oneof(fc.jsonValue(), fc.string(), fc.integer(), fc.constantFrom('10s', '4MiB', address, peer))
  const object = fc.dictionary(fc.oneof(fc.constantFrom(...names, '__proto__', 'constructor'), fc.string()), value)
  const nested = fc.dictionary(fc.constantFrom(...names), fc.oneof(value, object))

  function accepts(work: () => unknown): void {
    try {
      assert.ok(Object.isFrozen(work()))
    } catch (err) {
      assert.ok(err instanceof ConfigError, String((err as Error).stack))
      assert.ok(err.problems.length > 0)
    }
  }

  it('as values gives a configuration or a ConfigError', () => {
    fc.assert(
      fc.property(fc.oneof(fc.jsonValue(), object, nested), values => accepts(() => parseConfig(values))),
      { numRuns: 500 },
    )
  })

  it('as a file gives a configuration or a ConfigError', () => {
    const text = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.json(),
      nested.map(values => JSON.stringify(values)),
    )
    fc.assert(
      fc.property(text, content => accepts(() => loadConfig({ file: fileWith(content, 'any.yml'), env: {} }))),
      { numRuns: 300 },
    )
  })

  it('in the environment gives a configuration or a ConfigError', () => {
    const variable = fc.oneof(
      fc.constantFrom(...configKeys.map(key => key.variable)),
      fc.string().map(name => `IPDR_${name}`),
    )
    fc.assert(
      fc.property(fc.dictionary(variable, fc.string()), env => accepts(() => loadConfig({ env }))),
      { numRuns: 500 },
    )
  })
})
