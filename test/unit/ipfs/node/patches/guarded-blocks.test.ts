import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { IpfsNode } from '../../../../../src/ipfs/node/node.ts'
import { announceBlock } from '../../../../../src/ipfs/node/patches/bounded-bitswap.ts'
import { ipfsNode, randomBlock, readBlock } from '../../../../fixtures/ipfs-node.ts'

const patience = 700

async function started(stack: AsyncDisposableStack, ...args: Parameters<typeof ipfsNode>): Promise<IpfsNode> {
  const { node } = ipfsNode(...args)
  await node.start()
  stack.defer(async () => {
    await node.stop()
  })
  return node
}

test('only peers that may fetch get blocks, when they want them and when they are sent', async () => {
  await using stack = new AsyncDisposableStack()
  const allowed = new Set<string>()
  const node = await started(stack, {}, { access: { mayFetch: peer => allowed.has(peer), isPublic: () => false } })
  const peers = [node.multiaddrs[0]!]
  const [friend, stranger] = [await started(stack, { peers }), await started(stack, { peers })]
  allowed.add(friend.peerId!)
  // one for each: what the friend has, it gives to strangers
  const [first, { cid, bytes }] = [randomBlock(1000), randomBlock(1000)]
  await node.helia.blockstore.put(first.cid, first.bytes)
  await node.helia.blockstore.put(cid, bytes)

  assert.deepEqual(await readBlock(friend, first.cid), Buffer.from(first.bytes))
  const waiting = readBlock(stranger, cid, AbortSignal.timeout(60_000))
  let isThere = false
  waiting.then(
    () => {
      isThere = true
    },
    () => {},
  )
  await sleep(patience)
  // a want that could not be served is served when the block comes
  await announceBlock(node.helia, cid)
  await sleep(patience)
  assert.equal(isThere, false)

  allowed.add(stranger.peerId!)
  await announceBlock(node.helia, cid)
  assert.deepEqual(await waiting, Buffer.from(bytes))
})
