import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { configKeys, configSchema, defaultConfig, keyTree } from '../../../src/config/schema.ts'

describe('configuration schema', () => {
  it('has the defaults that the documentation names', () => {
    assert.deepEqual(defaultConfig, {
      host: '0.0.0.0',
      port: 5000,
      hosts: [],
      dataDir: './data',
      network: 'public',
      readOnly: false,
      missingBlobs: 'refuse',
      ipfsGateways: [],
      cidResolvers: [],
      ui: true,
      upstreams: [],
      webhooks: [],
      retention: [],
      retentionInterval: 86_400,
      immutableTags: [],
      quotas: [],
      deprecated: [],
      onlySigned: [],
      names: { dns: [], publish: true, republish: 14_400 },
      p2p: { host: '0.0.0.0', peers: [], bootstrap: [], announce: [], maxUpload: 0 },
      tls: { hsts: 0 },
      storage: { fsync: true, verifyInterval: 3600 },
      gc: { interval: 21_600, unreferenced: 86_400, grace: 900, uploads: 604_800 },
      history: { keep: 604_800 },
      fsck: { interval: 0, rate: 50 * 2 ** 20 },
      cache: { maxBytes: 10_737_418_240 },
      access: { auditLogBytes: 67_108_864, auditLogFiles: 5 },
      events: {},
      admin: { host: '127.0.0.1', metrics: 'token' },
      log: { level: 'info', format: 'human' },
      limits: {
        manifestBytes: 4_194_304,
        descriptors: 10_000,
        jsonDepth: 64,
        headerBytes: 32_768,
        headerCount: 100,
        urlBytes: 8192,
        ranges: 1024,
        bodyMemory: 8_388_608,
        bodyMemoryPerClient: 6_291_456,
        connections: 10_000,
        connectionsPerClient: 1000,
        requestsPerUser: 0,
        requestsPerClient: 0,
        bytesPerUser: 0,
        bytesPerClient: 0,
        uploads: 10_000,
        uploadsPerClient: 1000,
        fetches: 512,
        fetchesPerClient: 256,
        connectionsPerPeer: 8,
        streamsPerPeer: 64,
        wantsPerPeer: 1024,
        peerBytes: 134_217_728,
        unaskedBytes: 268_435_456,
        headerTimeout: 30,
        bodyRate: 240,
        idleTimeout: 120,
        retrievalTimeout: 30,
        drainTimeout: 10,
      },
    })
  })

  it('freezes the defaults all the way down', () => {
    assert.throws(() => (defaultConfig.p2p.peers as string[]).push('x'), TypeError)
    assert.throws(() => {
      ;(defaultConfig.log as { level: string }).level = 'debug'
    }, TypeError)
  })

  it('accepts its own defaults', () => {
    assert.deepEqual(configSchema.parse(defaultConfig), defaultConfig)
  })

  it('refuses unknown keys at every level', () => {
    assert.equal(configSchema.safeParse({ nope: 1 }).success, false)
    assert.equal(configSchema.safeParse({ p2p: { nope: 1 } }).success, false)
  })

  it('describes every key in one line, and names its flag and variable', () => {
    for (const key of configKeys) {
      assert.match(key.description, /^[A-Z][^\n]{10,120}[^.\n]$/, key.path)
      assert.match(key.flag, /^--[a-z0-9]+(-[a-z0-9]+)*$/, key.path)
      assert.match(key.variable, /^IPDR(_[A-Z0-9]+)+$/, key.path)
    }
    assert.equal(new Set(configKeys.map(key => key.variable)).size, configKeys.length)
  })

  it('derives flag and variable from the path', () => {
    const swarmKey = configKeys.find(key => key.path === 'p2p.swarmKey')
    assert.equal(swarmKey?.flag, '--p2p-swarm-key')
    assert.equal(swarmKey?.variable, 'IPDR_P2P_SWARM_KEY')
    assert.equal(configKeys.find(key => key.path === 'cidResolvers')?.flag, '--cid-resolver')
    assert.ok(keyTree.get('p2p') instanceof Map)
  })
})
