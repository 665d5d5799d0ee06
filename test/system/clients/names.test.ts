import assert from 'node:assert/strict'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { IPNSEntry } from '@helia/ipns'
import { MemoryDatastore } from 'datastore-core'
import { Names } from '../../../src/ipfs/names/names.ts'
import { DnsServer } from '../../fixtures/dns.ts'
import { ipfsNode, swarmKey } from '../../fixtures/ipfs-node.ts'
import { startKubo, type Kubo } from '../../fixtures/kubo.ts'
import { emptyJson, imageManifest } from '../../fixtures/manifests.ts'
import { recordingLog } from '../../fixtures/recording-log.ts'
import { RegistryClient } from '../../fixtures/registry-client.ts'
import { ServerProcess } from '../../fixtures/server.ts'
import { temporaryDirectory, type TemporaryDirectory } from '../../fixtures/temporary.ts'
import { until } from '../../fixtures/until.ts'

const second = 1000
const minute = 60 * second

describe('names in a private swarm', { timeout: 10 * minute }, () => {
  let scratch: TemporaryDirectory
  let kubo: Kubo
  let a: ServerProcess
  let b: ServerProcess
  let name: string
  const root: Record<string, string> = {}

  before(async () => {
    scratch = await temporaryDirectory('names')
    const key = swarmKey()
    await writeFile(join(scratch.path, 'swarm.key'), key)
    kubo = await startKubo({ swarmKey: key })
    a = await startNode(scratch, kubo)
    root['v1'] = await push(a, 'team/app', 'v1')
    name = (await publish(a)).name
    b = await startNode(scratch, kubo, '--cid-resolver', `/ipns/${name}/cids`)
  })

  after(async () => {
    await a?.[Symbol.asyncDispose]()
    await b?.[Symbol.asyncDispose]()
    await kubo?.stop()
    await scratch?.[Symbol.asyncDispose]()
  })

  it('an appliance resolves what another one publishes', async () => {
    const { cid } = await publish(a)
    await until('the name is resolved', async () => (await resolve(b, name))['cid'] === cid, 90 * second)
    assert.deepEqual((await resolve(b, `/ipns/${name}/cids`))['path'], ['cids'])
  })

  it('kubo resolves it, and reads the tags and images below it', async () => {
    const { cid } = await publish(a)
    assert.equal((await kubo.ipfs('name', 'resolve', '--nocache', `/ipns/${name}`)).stdout, `/ipfs/${cid}\n`)
    assert.equal((await kubo.ipfs('cat', `/ipns/${name}/cids/team/app/v1`)).stdout, root['v1'])
    assert.equal(
      (await kubo.ipfs('cat', `/ipns/${name}/images/team/app/v1/oci-layout`)).stdout,
      '{"imageLayoutVersion":"1.0.0"}',
    )
  })

  it('another appliance pulls by the tag, and follows when it moves', async () => {
    assert.equal(await tagCid(b, 'team/app', 'v1'), root['v1'])
    assert.deepEqual(await tags(b, 'team/app'), ['v1'])
    const moved = await push(a, 'team/app', 'v1', 'again')
    assert.notEqual(moved, root['v1'])
    // the record holds for a minute, and was asked for a moment ago
    await until('the tag has moved', async () => (await tagCid(b, 'team/app', 'v1')) === moved, 150 * second)
  })

  it('a tag that nobody has is unknown', async () => {
    const response = await fetch(`${b.url}/v2/team/app/manifests/nothing`)
    assert.equal(response.status, 404)
    assert.equal((await fetch(`${b.url}/dig?q=team/app:nothing`)).status, 404)
  })

  it('what kubo publishes resolves here, by its key and by its peer id', async () => {
    const cid = root['v1']!
    await kubo.ipfs('name', 'publish', '--ttl=1s', '--resolve=false', `/ipfs/${cid}/manifests`)
    const { Id: key } = JSON.parse((await kubo.ipfs('key', 'list', '--encoding=json')).stdout).Keys[0]
    for (const form of [key, `/ipns/${key}`, `/ipns/${kubo.id}`, kubo.id]) {
      assert.deepEqual(await resolve(b, form), { name: form, cid, path: ['manifests'], ttl: 1 })
    }
  })

  it('the sequence of the name goes on after a restart, and stays where nothing changes', async () => {
    const { name: before, cid } = await publish(a)
    const sequence = await sequenceOf(kubo, name)
    await a.restart()
    assert.deepEqual(await publish(a), { name: before, cid })
    await until('kubo has the record', async () => (await sequenceOf(kubo, name)) === sequence, 30 * second)
    await push(a, 'team/app', 'v2')
    await publish(a)
    await until('kubo has the next record', async () => (await sequenceOf(kubo, name)) === sequence + 1, 30 * second)
  })
})

describe('a data directory that comes from a backup', () => {
  it('publishes above the sequence that the network knows', async () => {
    const [cidA, cidB] = [
      'bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy',
      'bafybeifdu6szz4rerwwo577ttks42zqyurteguvwp7zrztmumxxx3b62ma',
    ] as const
    const key = swarmKey()
    await using other = await startNames(key)
    const datastore = new MemoryDatastore()
    const backup = new MemoryDatastore()
    let name: string
    {
      await using names = await startNames(key, datastore, other.addresses)
      name = await send(names, cidA)
      await copy(datastore, backup)
      await send(names, cidB)
      await send(names, cidA)
    }
    await using names = await startNames(key, backup, other.addresses)
    assert.deepEqual(await names.publish(cidB), { name, sequence: 2 })
    // a name that could not be resolved once has its last answer for another 30 s
    await until('the new record is out', async () => (await other.resolve(name)).cid === cidB, 90 * second)
  })
})

describe('DNSLink', { timeout: 10 * minute }, () => {
  const cids = [
    'bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy',
    'bafybeifdu6szz4rerwwo577ttks42zqyurteguvwp7zrztmumxxx3b62ma',
  ] as const

  it('leads to IPFS, to another domain and to an IPNS key, and is read again when its TTL is over', async () => {
    await using dns = await DnsServer.start(
      {
        txt: {
          '_dnslink.a.test': [`dnslink=/ipfs/${cids[0]}/some/path`],
          '_dnslink.b.test': ['dnslink=/ipns/a.test/below'],
        },
      },
      2,
    )
    await using server = await ServerProcess.start({ args: ['--names-dns', dns.address] })
    assert.deepEqual(await resolve(server, 'a.test'), { name: 'a.test', cid: cids[0], path: ['some', 'path'], ttl: 2 })
    const { path } = await resolve(server, '/ipns/b.test/file')
    assert.deepEqual(path, ['some', 'path', 'below', 'file'])

    await push(server, 'x', 'y')
    const own = await publish(server)
    await dns.set({ txt: { '_dnslink.a.test': [`dnslink=/ipns/${own.name}`] } })
    assert.equal((await resolve(server, 'a.test'))['cid'], cids[0])
    await sleep(2.1 * second)
    assert.equal((await resolve(server, 'a.test'))['cid'], own.cid)
  })

  it('takes the first valid record, of the domain itself where its _dnslink has none, and never a file', async () => {
    await using dns = await DnsServer.start(
      {
        txt: {
          '_dnslink.many.test': [
            'v=spf1',
            'dnslink=file:/etc',
            'dnslink=/ipfs/nothing',
            `dnslink=/ipfs/${cids[1]}`,
            `dnslink=/ipfs/${cids[0]}`,
          ],
          'plain.test': [`dnslink=/ipfs/${cids[0]}`],
          '_dnslink.file.test': ['dnslink=file:/etc', 'dnslink=/../etc', `/ipfs/${cids[0]}`],
          '_dnslink.long.test': [
            `dnslink=/ipfs/${cids[0]}/${'a/'.repeat(300)}`,
            ...Array.from({ length: 20 }, (_, i) => `${i}${'x'.repeat(200)}`),
          ],
          '_dnslink.circle.test': ['dnslink=/ipns/circle.test'],
        },
        cname: { '_dnslink.alias.test': '_dnslink.many.test' },
      },
      60,
    )
    await using server = await ServerProcess.start({ args: ['--names-dns', dns.address] })
    // in alphabetical order, as there is no other
    assert.equal((await resolve(server, 'many.test'))['cid'], cids[0])
    assert.equal((await resolve(server, 'plain.test'))['cid'], cids[0])
    assert.equal((await resolve(server, 'alias.test'))['cid'], cids[0])
    assert.equal(((await resolve(server, 'long.test')) as { path: string[] }).path.length, 300)
    for (const [domain, status, message] of [
      ['file.test', 404, /has no valid DNSLink/],
      ['nothing.test', 404, /has no valid DNSLink/],
      ['circle.test', 400, /more than/],
      ['elsewhere.example', 503, /No DNS server/],
    ] as const) {
      const response = await new RegistryClient(server).request('GET', `/ipdr/v1/resolve?name=${domain}`)
      assert.equal(response.status, status, domain)
      assert.match(((await response.json()) as { error: string }).error, message)
    }
  })

  it('keeps its last answer while no DNS server answers', async () => {
    await using dns = await DnsServer.start({ txt: { '_dnslink.a.test': [`dnslink=/ipfs/${cids[0]}`] } }, 1)
    await using server = await ServerProcess.start({ args: ['--names-dns', dns.address, '--log-format', 'json'] })
    await resolve(server, 'a.test')
    await dns.stop()
    await sleep(1.1 * second)
    assert.equal((await resolve(server, 'a.test'))['cid'], cids[0])
    assert.match(server.log, /using its last answer/)
    const response = await new RegistryClient(server).request('GET', '/ipdr/v1/resolve?name=b.test')
    assert.equal(response.status, 503)
  })
})

describe('--cid-resolver', { timeout: 10 * minute }, () => {
  it('finds tags in a directory, in IPFS, by an IPNS name and by a domain, in this order', async () => {
    await using scratch = await temporaryDirectory('resolvers')
    await using a = await ServerProcess.start({})
    const roots = {
      v1: await push(a, 'team/app', 'v1'),
      v2: await push(a, 'team/app', 'v2'),
      v3: await push(a, 'team/app', 'v3'),
    }
    const { cid, name } = await publish(a)
    await a.stop()
    await mkdir(join(scratch.path, 'other/app'), { recursive: true })
    await writeFile(join(scratch.path, 'other/app/latest'), `${roots.v2}\n`)
    await mkdir(join(scratch.path, 'team/app'), { recursive: true })
    await writeFile(join(scratch.path, 'team/app/v1'), roots.v3)

    await using dns = await DnsServer.start({ txt: { '_dnslink.registry.test': [`dnslink=/ipns/${name}/cids`] } }, 60)
    for (const resolver of [`/ipfs/${cid}/cids`, `/ipns/${name}/cids`, 'registry.test']) {
      // the same data without the tags, which the directory that was published still has
      await using b = await ServerProcess.start({
        dataDir: a.dataDir,
        args: [
          '--names-publish',
          'false',
          // what was deleted is to be garbage, which may be given away until it is collected
          '--history-keep',
          'off',
          '--names-dns',
          dns.address,
          '--cid-resolver',
          `file:${scratch.path}`,
          '--cid-resolver',
          resolver,
        ],
      })
      await deleteAll(b, 'team/app')
      assert.equal(await tagCid(b, 'team/app', 'v1'), roots.v3, 'the directory goes first')
      assert.equal(await tagCid(b, 'team/app', 'v2'), roots.v2)
      assert.equal(await tagCid(b, 'other/app', 'latest'), roots.v2)
      assert.equal(await (await fetch(`${b.url}/dig?q=other/app:latest&short=true`)).text(), `${roots.v2}\n`)
      assert.equal(await (await fetch(`${b.url}/dig?q=other/app`)).text(), 'latest\n')
      assert.equal((await fetch(`${b.url}/dig?q=team/app:v9&short=true`)).status, 404)
    }
  })

  it('says 503, not 404, where a resolver can not be asked', async () => {
    await using server = await ServerProcess.start({
      args: ['--names-dns', '127.0.0.1:1', '--cid-resolver', 'registry.test'],
    })
    assert.equal((await fetch(`${server.url}/v2/team/app/manifests/v1`)).status, 503)
    assert.equal((await fetch(`${server.url}/dig?q=team/app`)).status, 503)
  })

  it('is refused at the start where it is none', async () => {
    for (const [resolver, message] of [
      ['cids', 'must be file:'],
      ['/ipfs/nothing', 'must be file:'],
      ['file:/nonexistent/cids', 'no such directory'],
    ] as const) {
      await assert.rejects(
        ServerProcess.start({ args: ['--cid-resolver', resolver] }),
        ({ message: told }: Error) => told.includes(message) && !told.includes(' at '),
      )
    }
  })
})

describe('--cid-store', { timeout: 10 * minute }, () => {
  it('holds the CID of every tag, and is read by a resolver', async () => {
    await using scratch = await temporaryDirectory('cid-store')
    const directory = join(scratch.path, 'cids')
    await using server = await ServerProcess.start({ args: ['--cid-store', directory] })
    const root = await push(server, 'team/app', 'v1')
    const file = join(directory, 'team/app/v1')
    await until('the file is there', async () => (await readFile(file, 'utf8')) === root)
    assert.equal((await new RegistryClient(server).request('DELETE', '/v2/team/app/manifests/v1')).status, 202)
    await until(
      'the file is gone',
      async () =>
        await readFile(file).then(
          () => false,
          () => true,
        ),
    )
  })
})

/** Names of a node in a private swarm, in this process */
async function startNames(
  key: Uint8Array,
  datastore = new MemoryDatastore(),
  peers: readonly string[] = [],
): Promise<Names & AsyncDisposable & { addresses: string[] }> {
  const { node } = ipfsNode({ network: 'private', swarmKey: key, peers }, { datastore })
  await node.start()
  const names = new Names(
    { node, datastore, log: recordingLog() },
    { network: 'private', dns: [], republish: minute, ttl: 1 * second },
  )
  await names.start()
  return Object.assign(names, {
    addresses: node.multiaddrs,
    [Symbol.asyncDispose]: async () => {
      await names.stop()
      await node.stop()
    },
  })
}

/**
 * Publishes, and waits until a peer has taken the record: that others resolve the name says less, as they may have
 * asked the one that publishes
 *
 * @returns our name
 */
async function send(names: Names, cid: string): Promise<string> {
  const before = (await names.status())?.sent?.time
  const { name } = await names.publish(cid)
  await until(
    'a peer has the record',
    async () => {
      const sent = (await names.status())?.sent
      return sent !== undefined && sent.peers > 0 && sent.time !== before
    },
    90 * second,
  )
  return name
}

async function copy(from: MemoryDatastore, to: MemoryDatastore): Promise<void> {
  for await (const { key, value } of from.query({})) {
    to.put(key, value)
  }
}

/** In the private swarm of a kubo, on the loopback interface */
async function startNode(scratch: TemporaryDirectory, kubo: Kubo, ...args: string[]): Promise<ServerProcess> {
  const network = [
    '--network',
    'private',
    '--p2p-swarm-key',
    join(scratch.path, 'swarm.key'),
    '--p2p-host',
    '127.0.0.1',
    '--p2p-port',
    '0',
  ]
  const server = await ServerProcess.start({
    args: [...network, '--p2p-peers', kubo.addrs[0]!, '--log-format', 'json', '--log-level', 'debug', ...args],
  })
  await until(
    'it is connected',
    async () => {
      const { peers } = (await (await new RegistryClient(server).request('GET', '/ipdr/v1/peers')).json()) as {
        peers: Array<{ peer: string }>
      }
      return peers.some(({ peer }) => peer === kubo.id)
    },
    30 * second,
  )
  return server
}

/** Pushes a manifest of its own for each tag and content; returns the image root */
async function push(server: ServerProcess, repository: string, tag: string, content = tag): Promise<string> {
  const client = new RegistryClient(server)
  assert.equal((await client.pushBlob(repository, emptyJson)).status, 201)
  const response = await client.pushManifest(repository, tag, imageManifest({ annotations: { content } }))
  assert.equal(response.status, 201)
  return response.headers.get('X-Ipfs-Cid')!
}

async function deleteAll(server: ServerProcess, repository: string): Promise<void> {
  const client = new RegistryClient(server)
  for (const tag of ['v1', 'v2', 'v3']) {
    const digest = await client.digestOf(`/v2/${repository}/manifests/${tag}`)
    if (digest !== undefined) {
      await client.request('DELETE', `/v2/${repository}/manifests/${digest}`)
    }
  }
}

async function publish(server: ServerProcess): Promise<{ name: string; cid: string }> {
  const response = await new RegistryClient(server).request('POST', '/ipdr/v1/publish', {
    body: '{}',
    headers: { 'Content-Type': 'application/json' },
  })
  assert.equal(response.status, 200)
  return (await response.json()) as { name: string; cid: string }
}

async function resolve(server: ServerProcess, name: string): Promise<Record<string, unknown>> {
  const response = await new RegistryClient(server).request(
    'GET',
    `/ipdr/v1/resolve?${new URLSearchParams({ name }).toString()}`,
  )
  const body = (await response.json()) as Record<string, unknown>
  assert.equal(response.status, 200, JSON.stringify(body))
  return body
}

async function tagCid(server: ServerProcess, repository: string, tag: string): Promise<string | undefined> {
  const response = await fetch(`${server.url}/v2/${repository}/manifests/${tag}`)
  const body = await response.text()
  assert.ok([200, 404].includes(response.status), body)
  return response.headers.get('X-Ipfs-Cid') ?? undefined
}

async function tags(server: ServerProcess, repository: string): Promise<string[]> {
  return ((await (await fetch(`${server.url}/v2/${repository}/tags/list`)).json()) as { tags: string[] }).tags
}

async function sequenceOf(kubo: Kubo, name: string): Promise<number> {
  const { stdout } = await kubo.ipfs('routing', 'get', `/ipns/${name}`)
  return Number(IPNSEntry.decode(Buffer.from(stdout, 'latin1')).sequence)
}
