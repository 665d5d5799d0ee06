import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { base32upper } from 'multiformats/bases/base32'
import { CID } from 'multiformats/cid'
import * as raw from 'multiformats/codecs/raw'
import { basic, initAccess } from '../../fixtures/access.ts'
import { randomBytes, sha256 } from '../../fixtures/images.ts'
import { ipfsNode, readBlock, swarmKey } from '../../fixtures/ipfs-node.ts'
import { startKubo, type Kubo } from '../../fixtures/kubo.ts'
import { descriptorOf, emptyJson, imageManifest, ociManifest } from '../../fixtures/manifests.ts'
import { blocksOnDisk } from '../../fixtures/reachable.ts'
import { RegistryClient } from '../../fixtures/registry-client.ts'
import { ServerProcess } from '../../fixtures/server.ts'
import { temporaryDirectory } from '../../fixtures/temporary.ts'
import { until } from '../../fixtures/until.ts'

const second = 1000
const minute = 60 * second
const base = randomBytes(1024 * 1024 + 10, 'base layer of everybody')
const secret = randomBytes(2 * 1024 * 1024 + 10, 'secret layer')
const gone = { message: /timeout|deadline|not found|context/ }

suite('a private repository beside a public one, in a swarm', { timeout: 10 * minute }, () => {
  const resources = new AsyncDisposableStack()
  let server: ServerProcess
  let dataDir: string
  let address: string
  let key: Uint8Array
  let headers: Record<string, string>
  let friend: Kubo
  let stranger: Kubo
  let roots: { secret: string; open: string }
  /** Blocks of the private image, some of which are of the public one, too */
  let blocks: string[]
  /** Blocks of the private image alone */
  let secrets: string[]

  async function push(repository: string, layers: readonly Buffer[]): Promise<string> {
    for (const bytes of [emptyJson, ...layers]) {
      const path = `${server.url}/v2/${repository}/blobs/uploads/?digest=${sha256(bytes)}`
      assert.equal((await fetch(path, { method: 'POST', headers, body: new Uint8Array(bytes) })).status, 201)
    }
    const manifest = imageManifest({ layers: layers.map(layer => descriptorOf(layer)), annotations: { repository } })
    const answer = await fetch(`${server.url}/v2/${repository}/manifests/v1`, {
      method: 'PUT',
      headers: { ...headers, 'Content-Type': ociManifest },
      body: new Uint8Array(manifest),
    })
    assert.equal(answer.status, 201)
    return answer.headers.get('X-Ipfs-Cid')!
  }

  async function get(kubo: Kubo, cid: string, timeout = '4s'): Promise<string> {
    return (await kubo.ipfs(`--timeout=${timeout}`, 'block', 'get', cid)).stdout
  }

  async function blocksHere(): Promise<string[]> {
    const names = await blocksOnDisk({ blocks: join(dataDir, 'blocks') })
    return Array.from(names, name =>
      CID.decode(Buffer.concat([Buffer.of(1, raw.code), base32upper.decode(name)])).toString(),
    )
  }

  before(async () => {
    const directory = resources.use(await temporaryDirectory('access')).path
    dataDir = join(directory, 'data')
    key = swarmKey()
    await writeFile(join(directory, 'swarm.key'), key)
    const kubos = [await startKubo({ swarmKey: key }), await startKubo({ swarmKey: key })] as const
    ;[friend, stranger] = kubos
    for (const kubo of kubos) {
      resources.defer(async () => {
        await kubo.stop()
      })
    }
    headers = basic('admin', await initAccess('private', dataDir))
    const file = join(dataDir, 'access.yml')
    await writeFile(
      file,
      `${await readFile(file, 'utf8')}
  - { who: [anonymous], repositories: ['public/**'], actions: [pull] }
  - { who: ['peer:${friend.id}'], repositories: ['secret/**'], actions: [pull] }
`,
    )
    const network = ['--network', 'private', '--p2p-swarm-key', join(directory, 'swarm.key')]
    const listen = ['--p2p-host', '127.0.0.1', '--p2p-port', '0']
    server = resources.use(
      await ServerProcess.start({ dataDir, args: [...network, ...listen, '--log-format', 'json'] }),
    )
    address = /"addresses":\["([^"]+)"/.exec(server.log)![1]!
    const secretRoot = await push('secret/app', [base, secret])
    blocks = await blocksHere()
    roots = { secret: secretRoot, open: await push('public/app', [base]) }
    await stranger.ipfs('swarm', 'connect', address)
  })
  after(async () => {
    await resources.disposeAsync()
  })

  test('a stranger gets the public image, with what the private one shares with it', async () => {
    const { stdout } = await stranger.ipfs('--timeout=20s', 'refs', '--recursive', '--unique', roots.open)
    const open = new Set(stdout.trim().split('\n').map(multihash))
    secrets = blocks.filter(cid => !open.has(multihash(cid)))
    assert.ok(secrets.length > 8, `${secrets.length} of ${blocks.length}`)
    assert.ok(blocks.length - secrets.length >= 5)
    for (const cid of blocks.filter(cid => !secrets.includes(cid))) {
      await get(stranger, cid)
    }
  })

  test('a stranger gets no block of the private image alone, by kubo or Helia', async () => {
    await Promise.all(secrets.map(async cid => assert.rejects(get(stranger, cid), gone)))
    const { node } = ipfsNode({ network: 'private', swarmKey: key, peers: [address] })
    await node.start()
    try {
      const signal = AbortSignal.timeout(5 * second)
      const got = await Promise.allSettled(secrets.map(async cid => await readBlock(node, CID.parse(cid), signal)))
      assert.deepEqual(
        got.filter(({ status }) => status === 'fulfilled'),
        [],
      )
      const open = await readBlock(node, CID.parse(roots.open))
      assert.ok(open.byteLength > 0)
    } finally {
      await node.stop()
    }
  })

  test('only the public image is found in the DHT', async () => {
    const providers = async (cid: string): Promise<string> =>
      (await stranger.ipfs('--timeout=5s', 'routing', 'findprovs', '--num-providers=1', cid).catch(() => undefined))
        ?.stdout ?? ''
    const peer = address.split('/').at(-1)!
    await until('the public root is provided', async () => (await providers(roots.open)).includes(peer), 30 * second)
    for (const cid of [roots.secret, ...secrets.slice(0, 3)]) {
      assert.equal((await providers(cid)).includes(peer), false)
    }
  })

  test('only tags of the public image are published', async () => {
    const client = new RegistryClient(server)
    const answer = await client.request('POST', '/ipdr/v1/publish', {
      body: '{}',
      headers: { 'Content-Type': 'application/json' },
    })
    assert.equal(answer.status, 200)
    const { name } = (await answer.json()) as { name: string }
    await until(
      'kubo resolves the name',
      async () => {
        const { stdout } = await stranger.ipfs('--timeout=5s', 'ls', `/ipns/${name}/cids`)
        return stdout.includes('public')
      },
      minute,
    )
    const list = async (path: string): Promise<string> => (await stranger.ipfs('--timeout=5s', 'ls', path)).stdout
    assert.match(await list(`/ipns/${name}/cids/public/app`), /v1/)
    assert.match(await list(`/ipns/${name}/images/public/app/v1`), /oci-layout/)
    for (const kind of ['cids', 'images']) {
      assert.doesNotMatch(await list(`/ipns/${name}/${kind}`), /secret/)
      await assert.rejects(list(`/ipns/${name}/${kind}/secret`))
    }
  })

  test('nothing over HTTP tells a stranger of it, or that it is there', async () => {
    const other = roots.secret.replace(/.$/, last => (last === 'a' ? 'e' : 'a'))
    const shape = async (root: string, path: string, init?: RequestInit): Promise<unknown> => {
      const answer = await fetch(server.url + path.replaceAll('<root>', root), init)
      return [answer.status, (await answer.text()).replaceAll(root, '<root>'), answer.headers.get('X-Ipfs-Cid')]
    }
    for (const path of [
      '/v2/<root>/manifests/latest',
      '/v2/ipfs/<root>/manifests/latest',
      `/v2/<root>/blobs/${sha256(secret)}`,
      '/dig?q=<root>:latest',
    ]) {
      const there = await shape(roots.secret, path)
      assert.deepEqual(there, await shape(other, path))
      assert.equal((there as [number])[0], 401)
    }
    const mount = `/v2/public/mine/blobs/uploads/?mount=${sha256(secret)}&from=secret/app`
    assert.equal((await fetch(server.url + mount, { method: 'POST' })).status, 401)
    assert.equal((await fetch(`${server.url}/metrics`)).status, 401)
    assert.doesNotMatch(await (await new RegistryClient(server).request('GET', '/metrics')).text(), /secret|public/)
  })

  test('a trusted peer gets all of it', async () => {
    await friend.ipfs('swarm', 'connect', address)
    const got = await Promise.all(blocks.map(async cid => await get(friend, cid, '20s')))
    assert.equal(got.length, blocks.length)
    const layer = await friend.ipfs('--timeout=20s', 'cat', `/ipfs/${roots.secret}/blobs/${sha256(secret)}`)
    assert.ok(Buffer.from(layer.stdout, 'latin1').equals(secret))
  })

  test('a stranger gets new blocks once the rules allow it, and none any more once they do not', async () => {
    const file = join(dataDir, 'access.yml')
    const rules = await readFile(file, 'utf8')
    const [one, two] = [
      await push('later/app', [randomBytes(100, 'one')]),
      await push('later/app', [randomBytes(100, 'two')]),
    ]
    await assert.rejects(get(stranger, one), gone)
    await writeFile(file, `${rules}  - { who: ['peer:${stranger.id}'], repositories: ['later/*'], actions: [pull] }\n`)
    await until('the stranger gets a block', async () => (await get(stranger, one, '2s')).length > 0, 30 * second)
    await writeFile(file, rules)
    await until('the rules are read', () => server.log.match(/access rules read/g)?.length === 2)
    await assert.rejects(get(stranger, two), gone)
  })
})

function multihash(cid: string): string {
  return base32upper.encode(CID.parse(cid).multihash.bytes)
}
