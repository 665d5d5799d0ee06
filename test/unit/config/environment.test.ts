import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { ConfigError } from '../../../src/config/config-error.ts'
import { loadConfig } from '../../../src/config/load.ts'
import type { ConfigKey } from '../../../src/config/key-tree.ts'
import { type Config, configKeys, defaultConfig } from '../../../src/config/schema.ts'

const peer = '/ip4/192.0.2.1/tcp/4001/p2p/12D3KooWE7RxzfqyY6AswXhLkmVKTVtCEiWUs4Zs3nVmNHBCRhvz'

let directory: string
before(() => {
  directory = mkdtempSync(join(tmpdir(), 'ipdr-environment-'))
})
after(() => rmSync(directory, { recursive: true }))

function load(env: NodeJS.ProcessEnv): Config {
  return loadConfig({ env, systemFile: join(directory, 'none.yml') })
}

/** What a variable holds, and the value that it gives; no default is among them */
const samplesByKind: Record<ConfigKey['kind'], [string, unknown]> = {
  number: ['400', 400],
  boolean: ['false', false],
  duration: ['1.5m', 90],
  size: ['1MiB', 1_048_576],
  list: [`${peer}, ${peer},`, [peer, peer]],
  path: ['/srv/a b', '/srv/a b'],
  text: ['192.0.2.7', '192.0.2.7'],
}

const samplesByPath: Record<string, [string, unknown]> = {
  readOnly: ['true', true],
  'access.tokenUrl': ['https://a.example/t', 'https://a.example/t'],
  ipfsGateways: ['https://a.example,https://b.example/x', ['https://a.example', 'https://b.example/x']],
  hosts: ['registry.example, *.pages.example', ['registry.example', '*.pages.example']],
  cidResolvers: ['file:/cids,example.com', ['file:/cids', 'example.com']],
  retention: ['dev/**=last:10', [{ images: ['dev/**'], keep: { last: 10 } }]],
  quotas: ['a/**=bytes:1GiB+tags:3', [{ repositories: ['a/**'], bytes: 2 ** 30, tags: 3 }]],
  deprecated: ['a:v1.*=use v2', [{ images: ['a:v1.*'], message: 'use v2' }]],
  onlySigned: [
    'a/**=/k/a.pub+/k/b.pub',
    [{ repositories: ['a/**'], keys: ['/k/a.pub', '/k/b.pub'], refuse: ['pulls'], copies: false }],
  ],
  upstreams: [
    'ghcr.io=http://a.example:5000,',
    [
      {
        name: 'ghcr.io',
        url: 'http://a.example:5000',
        repositories: ['**'],
        platforms: [],
        tagTtl: 60,
        maxRate: 0,
        maxRequests: 32,
      },
    ],
  ],
  registryMirror: ['docker.io', 'docker.io'],
  webhooks: [
    'ci=http://a.example:5000/hook,',
    [
      {
        name: 'ci',
        url: 'http://a.example:5000/hook',
        format: 'cloudevents',
        events: ['push', 'pull', 'delete', 'tag', 'policy', 'quota', 'repair'],
        repositories: ['**'],
        timeout: 10,
        queue: 10_000,
      },
    ],
  ],
  'names.dns': ['192.0.2.53,[2001:db8::53]:5353', ['192.0.2.53', '[2001:db8::53]:5353']],
  'storage.minFree': ['16MiB', 16_777_216],
}

/** Keys that work only beside others */
const companions: Record<string, NodeJS.ProcessEnv> = {
  registryMirror: { IPDR_UPSTREAMS: 'docker.io' },
  'p2p.swarmKey': { IPDR_NETWORK: 'private' },
  'tls.certPath': { IPDR_TLS_KEY_PATH: 'server.key' },
  'tls.clientCa': { IPDR_TLS_KEY_PATH: 'server.key', IPDR_TLS_CERT_PATH: 'server.crt' },
  'tls.hsts': { IPDR_TLS_KEY_PATH: 'server.key', IPDR_TLS_CERT_PATH: 'server.crt' },
  'tls.keyPath': { IPDR_TLS_CERT_PATH: 'server.crt' },
}

function sampleOf(key: ConfigKey): [string, unknown] {
  const choice = key.choices?.find(candidate => candidate !== key.default)
  return choice === undefined ? (samplesByPath[key.path] ?? samplesByKind[key.kind]) : [choice, choice]
}

function valueAt(values: unknown, { path }: ConfigKey): unknown {
  return path
    .split('.')
    .reduce<unknown>((value, name) => (value as Record<string, unknown> | undefined)?.[name], values)
}

describe('every key', () => {
  for (const key of configKeys) {
    const [text, expected] = sampleOf(key)
    const others = companions[key.path] ?? {}

    it(`${key.path} is ${key.variable}`, () => {
      assert.notDeepEqual(expected, key.default)
      const config = load({ ...others, [key.variable]: text })
      assert.deepEqual(valueAt(config, key), expected)
      const without = configKeys.filter(other => other !== key && !Object.hasOwn(others, other.variable))
      assert.deepEqual(
        without.map(other => valueAt(config, other)),
        without.map(other => valueAt(defaultConfig, other)),
      )
    })

    it(`${key.path} ${key.kind === 'path' ? 'is a path by itself, without' : 'may be in the file of'} ${key.variable}_FILE`, () => {
      const file = join(directory, key.variable)
      writeFileSync(file, `${text}\n`)
      const env = { ...others, [`${key.variable}_FILE`]: file }
      if (key.kind === 'path') {
        assert.throws(() => load(env), {
          name: 'ConfigError',
          message: new RegExp(`^${key.variable}_FILE: unknown variable; ${key.variable} already takes a path$`, 'm'),
        })
      } else {
        assert.deepEqual(valueAt(load(env), key), expected)
      }
    })
  }
})

const variables: [string, NodeJS.ProcessEnv, Record<string, unknown>][] = [
  ['0 as a port', { IPDR_PORT: '0' }, { port: 0 }],
  ['0 as false', { IPDR_STORAGE_FSYNC: '0' }, { storage: { ...defaultConfig.storage, fsync: false } }],
  [
    'BOOTSTRAP as the original IPDR did',
    { BOOTSTRAP: `${peer},${peer}` },
    { p2p: { ...defaultConfig.p2p, bootstrap: [peer, peer] } },
  ],
  [
    'a peer of BOOTSTRAP in its older form',
    { BOOTSTRAP: peer.replace('/p2p/', '/ipfs/') },
    { p2p: { ...defaultConfig.p2p, bootstrap: [peer.replace('/p2p/', '/ipfs/')] } },
  ],
  ['an empty variable as unset', { IPDR_PORT: '', BOOTSTRAP: '', IPDR_CONFIG: '', IPDR_TYPO: '' }, {}],
  ['other variables not at all', { PORT: 'x', HOME: 'y', IPDRX: 'z' }, {}],
  [
    'nothing into what Kubernetes sets for a service named ipdr',
    {
      IPDR_PORT: 'tcp://10.0.0.1:5000',
      IPDR_SERVICE_HOST: '10.0.0.1',
      IPDR_SERVICE_PORT: '5000',
      IPDR_SERVICE_PORT_REGISTRY: '5000',
      IPDR_PORT_5000_TCP: 'tcp://10.0.0.1:5000',
      IPDR_PORT_5000_TCP_PROTO: 'tcp',
      IPDR_PORT_5000_TCP_PORT: '5000',
      IPDR_PORT_5000_TCP_ADDR: '10.0.0.1',
    },
    {},
  ],
  [
    'nothing into what Kubernetes sets for services named ipdr-p2p and ipdr-admin',
    {
      IPDR_P2P_PORT: 'tcp://10.0.0.2:4001',
      IPDR_P2P_SERVICE_HOST: '10.0.0.2',
      IPDR_P2P_PORT_4001_TCP_PORT: '4001',
      IPDR_ADMIN_PORT: 'tcp://10.0.0.3:5001',
      IPDR_ADMIN_SERVICE_PORT: '5001',
    },
    {},
  ],
  [
    'nothing into what docker sets for a container linked as ipdr',
    {
      IPDR_NAME: '/web/ipdr',
      IPDR_PORT: 'tcp://172.17.0.5:5000',
      IPDR_PORT_5000_TCP: 'tcp://172.17.0.5:5000',
      IPDR_PORT_5000_TCP_START: 'tcp://172.17.0.5:5000',
      IPDR_ENV_NODE_VERSION: '24.21.0',
    },
    {},
  ],
]

describe('environment', () => {
  for (const [title, env, expected] of variables) {
    it(`reads ${title}`, () => assert.deepEqual(load(env), { ...defaultConfig, ...expected }))
  }
})

const unknown: [string, string][] = [
  ['IPDR_P2P_PROT', ', did you mean IPDR_P2P_PORT?'],
  ['IPDR_CERT_PATH', ', did you mean IPDR_TLS_CERT_PATH?'],
  ['IPDR_TLS_CERT', ', did you mean IPDR_TLS_CERT_PATH?'],
  ['IPDR_FSYNC', ', did you mean IPDR_STORAGE_FSYNC?'],
  ['IPDR_LEVEL', ', did you mean IPDR_LOG_LEVEL?'],
  ['IPDR_CONFIGS', ', did you mean IPDR_CONFIG?'],
  ['IPDR_FOO', '; ipdr server --help has every key'],
  ['IPDR_', '; ipdr server --help has every key'],
]

describe('an unknown variable', () => {
  for (const [name, hint] of unknown) {
    it(`${name} is refused${hint}`, () => {
      assert.throws(
        () => load({ [name]: 'secret' }),
        err => {
          assert.ok(err instanceof ConfigError)
          assert.deepEqual(err.problems, [`${name}: unknown variable${hint}`])
          return true
        },
      )
    })
  }
})
