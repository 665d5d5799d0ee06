import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { nodeAddress } from '../fixtures/connect-all.ts'
import { basic, initAccess } from '../fixtures/access.ts'
import { makeImage, sha256, writeLayout } from '../fixtures/images.ts'
import { ipdr } from '../fixtures/ipdr.ts'
import { ServerProcess } from '../fixtures/server.ts'
import { temporaryDirectory } from '../fixtures/temporary.ts'
import { until } from '../fixtures/until.ts'

const minute = 60_000
const lan = ['--network', 'lan', '--p2p-host', '127.0.0.1', '--p2p-port', '0', '--limits-retrieval-timeout', '3s']
const json = ['--log-format', 'json']

/** What the node says of itself when it has started */
async function started(server: ServerProcess): Promise<{ peer: string; address: string }> {
  const address = await nodeAddress(server)
  return { peer: address.split('/p2p/')[1]!, address }
}

suite('appliances of one operator', { timeout: 10 * minute }, () => {
  const resources = new AsyncDisposableStack()
  let directory: string
  let origin: ServerProcess
  let key: string
  let cids: Record<string, string>

  before(async () => {
    directory = resources.use(await temporaryDirectory('peer-trust')).path
    const dataDir = join(directory, 'origin')
    const password = await initAccess('private', dataDir)
    key = (await ipdr(['peers', 'trust', 'init', '--key', join(directory, 'operator-key')])).trim()
    await writeRules()
    origin = resources.use(await ServerProcess.start({ dataDir, args: [...lan, ...json] }))
    const env = { DOCKER_CONFIG: join(directory, 'docker') }
    await ipdr(['login', origin.host, '-u', 'admin', '--password-stdin'], { env, input: password })
    cids = {}
    for (const repository of ['team/app', 'secret/app', 'public/app']) {
      const layer = randomBytes(3 * 1024 * 1024)
      await writeLayout(join(directory, repository), makeImage([{ file: layer }]))
      const push = ['push', repository, '-s', '--from', join(directory, repository)]
      cids[repository] = await ipdr([...push, '--docker-registry-host', origin.host], { env })
    }
    assert.equal((await fetch(`${origin.url}/v2/`, { headers: basic('admin', password) })).status, 200)
  })
  after(async () => {
    await resources.disposeAsync()
  })

  async function writeRules(revoked: readonly string[] = []): Promise<void> {
    await writeFile(
      join(directory, 'origin/access.yml'),
      `
trust:
  keys: ['${key}']
  revoked: ${JSON.stringify(revoked)}
rules:
  - { who: ['user:admin'], repositories: ['**'], actions: [pull, push, tag] }
  - { who: ['group:appliances'], repositories: ['team/**'], actions: [pull] }
  - { who: [anonymous], repositories: ['public/**'], actions: [pull] }
`,
    )
  }

  async function sign(peer: string, ...args: string[]): Promise<string> {
    return await ipdr(['peers', 'trust', 'sign', peer, '--key', join(directory, 'operator-key'), ...args])
  }

  /** An open registry beside the origin, connected to it; one at a time, or they have it from each other */
  async function appliance(name: string): Promise<ServerProcess> {
    const args = [...lan, ...json, '--p2p-peers', (await started(origin)).address]
    return await ServerProcess.start({ dataDir: join(directory, name), args })
  }

  /** Which repositories of the origin a server gets whole, by CID */
  async function gets(server: ServerProcess): Promise<string[]> {
    const found: string[] = []
    for (const [repository, cid] of Object.entries(cids)) {
      const manifest = await fetch(`${server.url}/v2/${cid}/manifests/latest`, { headers: { Accept: '*/*' } })
      const text = await manifest.text()
      if (manifest.status === 200) {
        const { layers } = JSON.parse(text) as { layers: { digest: string }[] }
        const blob = await fetch(`${server.url}/v2/${cid}/blobs/${layers[0]!.digest}`)
        assert.equal(sha256(Buffer.from(await blob.arrayBuffer())), layers[0]!.digest)
        found.push(repository)
      }
    }
    return found
  }

  const told = async (server: ServerProcess, message: string): Promise<string> =>
    await until(`${message} in the log`, () => server.log.split('\n').find(line => line.includes(message)))

  test('without a certificate get what is public, and with one what its groups may pull', async () => {
    await using server = await appliance('plain')
    const { peer } = await started(server)
    await until('they are connected', async () => origin.log.includes(peer) || server.log.includes('peer connected'))
    assert.deepEqual(await gets(server), ['public/app'])

    // it is shown without a restart
    await writeFile(join(server.dataDir, 'peer-certificate'), `${await sign(peer, '--groups', 'appliances')}\n`)
    await told(server, 'other nodes are shown a certificate')
    const line = await told(origin, 'peer shows a certificate')
    assert.deepEqual((JSON.parse(line) as { peer: string; groups: string[] }).groups, ['appliances'])
    assert.deepEqual(await gets(server), ['team/app', 'public/app'])
  })

  test('show it as soon as they are connected, so that nothing is refused before', async () => {
    await using server = await appliance('again')
    const { peer } = await started(server)
    await server.stop()
    await writeFile(join(server.dataDir, 'peer-certificate'), await sign(peer, '--groups', 'appliances'))
    await server.start()
    assert.deepEqual(await gets(server), ['team/app', 'public/app'])
  })

  for (const [what, groups, revoke] of [
    ['has another peer id', ['--groups', 'appliances'], false],
    ['is in other groups', ['--groups', 'others'], false],
    ['is revoked', ['--groups', 'appliances'], true],
  ] as const) {
    test(`get nothing more by a certificate that ${what}`, async () => {
      await using server = await appliance(what)
      const { peer } = await started(server)
      await writeRules(revoke ? [peer] : [])
      await until('the rules are read', () => !revoke || origin.log.includes('access rules read'))
      const holder = what === 'has another peer id' ? (await started(origin)).peer : peer
      await server.stop()
      await writeFile(join(server.dataDir, 'peer-certificate'), await sign(holder, ...groups))
      await server.start()
      await told(server, holder === peer ? 'other nodes are shown a certificate' : 'no certificate is shown')
      assert.deepEqual(await gets(server), ['public/app'])
    })
  }
})
