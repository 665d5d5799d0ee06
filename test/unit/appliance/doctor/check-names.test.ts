import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { checkNames, namesIn, systemNames, type NameLookup } from '../../../../src/appliance/doctor/check-names.ts'
import { parseConfig } from '../../../../src/config/load.ts'
import { DnsServer } from '../../../fixtures/dns.ts'

const { signal } = new AbortController()
const id = '12D3KooWGRUVh5cJ4gZHwFQhKjCYAWjFCNbWNpWNGUTsVjkr9n3F'

const config = parseConfig({
  network: 'lan',
  p2p: { peers: ['/dns4/peers.test/tcp/4001', `/dnsaddr/all.test/p2p/${id}`, '/ip4/192.0.2.1/tcp/4001'] },
  upstreams: { 'docker.io': 'https://hub.test', 'ip.test': 'http://192.0.2.2:5000', 'six.test': 'http://[::1]:5000' },
  registryMirror: 'docker.io',
  ipfsGateways: ['https://gateway.test'],
  cidResolvers: ['file:/srv/cids', 'tags.test/sub', '/ipns/names.test', '/ipfs/bafyfoo.bar'],
})

describe('the check of DNS', () => {
  it('finds the names in a configuration', () => {
    assert.deepEqual(
      namesIn(config).map(({ key, name, record }) => `${key} ${name} ${record}`),
      [
        'upstreams docker.io hub.test address',
        'ipfsGateways gateway.test address',
        'p2p.peers peers.test address',
        'p2p.peers _dnsaddr.all.test text',
        'cidResolvers _dnslink.tags.test text',
        'cidResolvers _dnslink.names.test text',
      ],
    )
    const offline = parseConfig({ network: 'offline', p2p: { peers: ['/dns4/peers.test/tcp/4001'] } })
    assert.deepEqual(namesIn(offline), [])
    assert.deepEqual(namesIn(parseConfig({})), [])
  })

  it('tells which of them nobody knows: wrong for an upstream, a warning for a peer', async () => {
    const names: NameLookup = {
      addresses: async name => await (['hub.test', 'peers.test'].includes(name) ? unknownName() : '192.0.2.1'),
      texts: async () => [],
    }
    const found = await checkNames(namesIn(config), names, signal)
    assert.deepEqual(
      found.map(({ outcome }) => outcome),
      ['ok', 'wrong', 'warning'],
    )
    assert.equal(found[1]!.found, 'hub.test, of upstreams docker.io, has no address: ENOTFOUND')
    assert.match(found[2]!.found, /^peers\.test, of p2p\.peers/)
  })

  it('asks the servers of names.dns for texts', async () => {
    await using dns = await DnsServer.start({ txt: { '_dnslink.tags.test': ['dnslink=/ipfs/bafy'] } }, 1)
    const own = parseConfig({ cidResolvers: ['tags.test', 'none.test'], names: { dns: [dns.address] } })
    const found = await checkNames(namesIn(own), systemNames(own), signal)
    assert.deepEqual(
      found.map(({ found: text, outcome }) => [outcome, text.split(':')[0]]),
      [
        ['ok', 'knows _dnslink.tags.test'],
        ['warning', '_dnslink.none.test, of cidResolvers, has no text that can be read'],
      ],
    )
  })

  it('ends with the signal, whoever does not answer', async () => {
    const never: NameLookup = { addresses: async () => await new Promise(() => {}), texts: async () => [] }
    const reason = new Error('stopped')
    const stop = new AbortController()
    const began = performance.now()
    const checking = checkNames(namesIn(config), never, stop.signal)
    stop.abort(reason)
    await assert.rejects(checking, reason)
    assert.ok(performance.now() - began < 3000)
    await assert.rejects(checkNames(namesIn(config), never, stop.signal), reason)
  })
})

async function unknownName(): Promise<never> {
  throw Object.assign(new Error('queryA ENOTFOUND'), { code: 'ENOTFOUND' })
}
