import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { base32upper } from 'multiformats/bases/base32'
import { CID } from 'multiformats/cid'
import { digestCid } from '../../../../src/ipfs/digests/digest-cid.ts'
import type { IpfsNode } from '../../../../src/ipfs/node/node.ts'
import { BlockAccess } from '../../../../src/registry/sharing/block-access.ts'
import { TestAccess } from '../../../fixtures/access.ts'
import { randomBytes, sha256 } from '../../../fixtures/images.ts'
import { ipfsNode, randomBlock, readBlock } from '../../../fixtures/ipfs-node.ts'
import { descriptorOf, imageManifest } from '../../../fixtures/manifests.ts'
import { blocksBelow } from '../../../fixtures/reachable.ts'
import { TestRegistry } from '../../../fixtures/registry.ts'

/** How long a block is waited for that must not come; milliseconds */
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

async function requireAll(peer: IpfsNode, blocks: readonly CID[]): Promise<void> {
  await Promise.all(blocks.map(async cid => await readBlock(peer, cid)))
}

async function requireNone(peer: IpfsNode, blocks: readonly CID[]): Promise<void> {
  const signal = AbortSignal.timeout(patience)
  await Promise.all(
    blocks.map(async cid => {
      await assert.rejects(readBlock(peer, cid, signal), String(cid))
    }),
  )
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
        mayFetch: (peer, cid) => blockAccess.mayPeerFetch(access.access.peer(peer, false), cid),
        isPublic: cid => blockAccess.mayFetch(access.access.peer('', false), cid),
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
    const secrets = all.filter(cid => !shared.has(cid.toString()))
    assert.ok(secrets.length > 5 && secrets.length < all.length)
    // whoever has a block gives it to others: the stranger asks first
    await requireAll(stranger, open)
    await requireNone(stranger, secrets)
    await requireAll(friend, all)
  })

  it('says no as late where a block is here as where it is not', async () => {
    access.change({ rules: `rules: [{ who: [anonymous], repositories: ['public/**'], actions: [pull] }]` })
    const { cid } = (await stores.index.blob(sha256(secret)))!
    for (const block of [CID.parse(cid), randomBlock(10).cid]) {
      const began = performance.now()
      assert.equal(await blockAccess.mayPeerFetch(access.access.peer('stranger', false), block), false)
      assert.ok(performance.now() - began >= 3)
    }
  })

  it('is provided by the digests of what all may pull, and not by those of the rest', async () => {
    access.change({ rules: `rules: [{ who: [anonymous], repositories: ['public/**'], actions: [pull] }]` })
    const mayGet = async (layer: Buffer): Promise<boolean> =>
      await blockAccess.mayGet(access.access.peer('', false), digestCid(sha256(layer))!)
    assert.deepEqual(
      [await mayGet(base), await mayGet(secret), await mayGet(Buffer.from('none'))],
      [true, false, false],
    )
    access.change({ rules: 'rules: []' })
    assert.equal(await mayGet(base), false)
  })

  it('gives nobody but who may pull everything what is of no repository', async () => {
    const { cid } = await stores.content.add(randomBytes(100, 'of another node'))
    const [one, other] = [
      await started({ peers: [node.multiaddrs[0]!] }),
      await started({ peers: [node.multiaddrs[0]!] }),
    ]
    await requireNone(one, [CID.parse(cid)])
    access.change({ rules: `rules: [{ who: [anonymous], repositories: ['**'], actions: [pull] }]` })
    await requireAll(other, [CID.parse(cid)])
  })
})
