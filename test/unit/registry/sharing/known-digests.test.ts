import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { after, before, describe, it } from 'node:test'
import type { DigestNews } from '../../../../src/ipfs/digests/digest-messages.ts'
import { KnownDigests } from '../../../../src/registry/sharing/known-digests.ts'
import type { Digest } from '../../../../src/oci/digest.ts'
import { TestAccess } from '../../../fixtures/access.ts'
import { randomBytes, sha256 } from '../../../fixtures/images.ts'
import { TestRegistry } from '../../../fixtures/registry.ts'

const mebibyte = 1024 * 1024
const large = randomBytes(2 * mebibyte + 1, 'a large blob')
const small = randomBytes(1000, 'a small blob')
const secret = randomBytes(1000, 'a secret blob')
const [friend, stranger] = ['12D3KooWFriend', '12D3KooWStranger']

let stores: TestRegistry
let access: TestAccess
let known: KnownDigests
const resources = new AsyncDisposableStack()

before(async () => {
  stores = resources.use(await TestRegistry.open())
  access = new TestAccess({ log: stores.log })
  await access.start({
    rules: `
rules:
  - { who: [anonymous], repositories: ['public/**'], actions: [pull] }
  - { who: ['peer:${friend}'], repositories: ['**'], actions: [pull] }
  - { who: ['peer:12D3KooWOther'], repositories: ['other'], actions: [pull] }
`,
  })
  await stores.pushBlob('public/app', large)
  await stores.pushBlob('public/app', small)
  await stores.pushBlob('secret/app', secret)
  known = new KnownDigests({
    blockstore: stores.blockstore,
    index: stores.index,
    puller: peer => access.access.peer(peer, false),
  })
})
after(async () => {
  await resources.disposeAsync()
})

async function told(
  peer: string,
  digest: Digest,
): Promise<{ size: number; news: Array<Partial<DigestNews>> } | undefined> {
  const answer = await known.answer(peer, digest)
  return (
    answer && { size: answer.size, news: await Array.fromAsync(answer.news({ signal: AbortSignal.timeout(5000) })) }
  )
}

function hashOf(bytes: Uint8Array): Buffer {
  return createHash('sha256').update(bytes).digest()
}

describe('what a peer is told of a digest', () => {
  it('the hashes of the leaves and the root, where the blob is whole', async () => {
    const { cid } = (await stores.index.blob(sha256(large)))!
    const leaves = [0, 1, 2].map(i => hashOf(large.subarray(i * mebibyte, (i + 1) * mebibyte)))
    assert.deepEqual(await told(stranger, sha256(large)), {
      size: large.byteLength,
      news: [{ leaves: [{ first: 0, hashes: Buffer.concat(leaves) }] }, { leaves: [], root: cid }],
    })
  })

  it('the only leaf of a small blob', async () => {
    const answer = await told(stranger, sha256(small))
    assert.deepEqual(answer!.news[0], { leaves: [{ first: 0, hashes: hashOf(small) }] })
  })

  it('nothing of what it may not pull, as late as of what is not here', async () => {
    for (const digest of [sha256(secret), sha256(Buffer.from('nowhere'))]) {
      const began = performance.now()
      assert.equal(await told(stranger, digest), undefined)
      assert.ok(performance.now() - began >= 5)
    }
    assert.equal((await told(friend, sha256(secret)))!.size, secret.byteLength)
  })

  it('what is being fetched for a repository that it may pull', async () => {
    const digest = sha256(Buffer.from('fetched'))
    const knowing = new KnownDigests({
      blockstore: stores.blockstore,
      index: stores.index,
      puller: peer => access.access.peer(peer, false),
    })
    knowing.fetched = {
      answer: (_peer, asked, isMeant) =>
        asked === digest && isMeant('secret/app') ? { size: 7, async *news() {} } : undefined,
    }
    assert.equal((await knowing.answer(friend, digest))!.size, 7)
    assert.equal(await knowing.answer(stranger, digest), undefined)
  })
})
