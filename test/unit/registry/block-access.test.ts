import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { base32upper } from 'multiformats/bases/base32'
import { CID } from 'multiformats/cid'
import type { IpfsNode } from '../../../src/ipfs/node/node.ts'
import { BlockAccess } from '../../../src/registry/block-access.ts'
import { TestAccess } from '../../fixtures/access.ts'
import { randomBytes, sha256 } from '../../fixtures/images.ts'
import { ipfsNode, randomBlock, readBlock } from '../../fixtures/ipfs-node.ts'
import { descriptorOf, imageManifest } from '../../fixtures/manifests.ts'
import { blocksBelow } from '../../fixtures/reachable.ts'
import { TestRegistry } from '../../fixtures/registry.ts'

const patience = 1500
const base = randomBytes(2 * 1024 * 1024, 'base layer of everybody')
const secret = randomBytes(1024 * 1024 + 1, 'secret layer')

let stores: TestRegistry
let access: TestAccess
let node: IpfsNode
let blockAccess: BlockAccess
const resources = new AsyncDisposableStack()

async function started(...args: Parameters<typeof ipfsNode>): Promise<IpfsNode> {
  const { node } = ipfsNode(...args)
  await node.start()
  resources.defer(async () => {
    await node.stop()
  })
  return node
}

async function pushImage(repository: string, layers: readonly Buffer[]): Promise<string> {
  await stores.pushEmptyConfig(repository)
  for (const layer of layers) {
    await stores.pushBlob(repository, layer)
  }
  const manifest = imageManifest({ layers: layers.map(layer => descriptorOf(layer)), annotations: { repository } })
  return (await stores.pushManifest(repository, 'v1', manifest)).root
}

async function gets(peer: IpfsNode, blocks: Iterable<CID>): Promise<Set<string>> {
  const signal = AbortSignal.timeout(patience)
  const got = await Promise.all(
    [...blocks].map(async cid => ((await readBlock(peer, cid, signal).catch(() => undefined)) ? [cid.toString()] : [])),
  )
  return new Set(got.flat())
}

async function below(root: string): Promise<CID[]> {
  const names = await blocksBelow(stores, [root])
  return Array.from(names, name => CID.decode(Buffer.concat([Buffer.of(1, 0x55), base32upper.decode(name)])))
}

before(async () => {
  stores = resources.use(await TestRegistry.open())
  access = new TestAccess({ log: stores.log })
  await access.start({ rules: 'rules: []' })
  blockAccess = new BlockAccess(stores)
  node = await started(
    {},
    {
      blockstore: stores.blockstore,
      access: {
        mayFetch: (peer, inSwarm, cid) => blockAccess.mayPeerFetch(access.access.peer(peer, inSwarm), cid),
        isPublic: (inSwarm, cid) => blockAccess.mayFetch(access.access.peer('', inSwarm), cid),
      },
    },
  )
})
after(async () => {
  await resources.disposeAsync()
})

describe('a private repository beside a public one', () => {
  it('gives its blocks to peers that may pull it, and shared ones to all', async () => {
    const roots = {
      public: await pushImage('public/app', [base]),
      secret: await pushImage('secret/app', [base, secret]),
    }
    const [stranger, friend] = [
      await started({ peers: [node.multiaddrs[0]!] }),
      await started({ peers: [node.multiaddrs[0]!] }),
    ]
    access.change({
      rules: `
rules:
  - { who: [anonymous], repositories: ['public/**'], actions: [pull] }
  - { who: ['peer:${friend.peerId}'], repositories: ['secret/*'], actions: [pull] }
`,
    })
    const [open, all] = [await below(roots.public), await below(roots.secret)]
    const shared = new Set(open.map(String))
    // whoever has a block gives it to others: the stranger asks first
    assert.deepEqual(
      await gets(stranger, [...open, ...all]),
      new Set([...open, ...all].map(String).filter(cid => shared.has(cid))),
    )
    assert.ok(all.filter(cid => !shared.has(cid.toString())).length > 5)
    assert.deepEqual(await gets(friend, all), new Set(all.map(String)))
  })

  it('says no as late where a block is here as where it is not', async () => {
    access.change({ rules: `rules: [{ who: [anonymous], repositories: ['public/**'], actions: [pull] }]` })
    const { cid } = (await stores.index.blob(sha256(secret)))!
    for (const block of [CID.parse(cid), randomBlock(10).cid]) {
      const began = performance.now()
      assert.equal(await blockAccess.mayPeerFetch(access.access.peer('stranger', false), block), false)
      assert.ok(performance.now() - began >= 2.5)
    }
  })

  it('gives nobody but who may pull everything what is of no repository', async () => {
    const { cid } = await stores.content.add(randomBytes(100, 'of another node'))
    const [one, other] = [
      await started({ peers: [node.multiaddrs[0]!] }),
      await started({ peers: [node.multiaddrs[0]!] }),
    ]
    assert.deepEqual(await gets(one, [CID.parse(cid)]), new Set())
    access.change({ rules: `rules: [{ who: [anonymous], repositories: ['**'], actions: [pull] }]` })
    assert.deepEqual(await gets(other, [CID.parse(cid)]), new Set([cid]))
  })
})
