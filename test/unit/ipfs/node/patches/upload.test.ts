import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import type { CID } from 'multiformats/cid'
import type { IpfsNode } from '../../../../../src/ipfs/node/node.ts'
import { ipfsNode, randomBlock, readBlock, swarmKey } from '../../../../fixtures/ipfs-node.ts'

const mebibyte = 1024 * 1024
const rate = 3 * mebibyte
const swarm = { network: 'private', swarmKey: swarmKey() } as const

async function start(t: TestContext, maxUpload?: number): Promise<IpfsNode> {
  const { node } = ipfsNode({ ...swarm, maxUpload })
  t.after(async () => await node.stop())
  await node.start()
  return node
}

async function filled(node: IpfsNode, count: number): Promise<CID[]> {
  const blocks = Array.from({ length: count }, () => randomBlock(mebibyte))
  await Array.fromAsync(node.helia.blockstore.putMany(blocks))
  return blocks.map(({ cid }) => cid)
}

/**
 * Fetches blocks until it is aborted; `inFlight` of them are wanted at a time
 *
 * @param onBlock is told how many bytes it has by now
 */
async function fetchUntil(
  node: IpfsNode,
  cids: CID[],
  inFlight: number,
  signal: AbortSignal,
  onBlock: (bytes: number) => void = () => {},
): Promise<number> {
  let bytes = 0
  await Promise.all(
    Array.from({ length: inFlight }, async () => {
      for (let cid = cids.pop(); cid !== undefined && !signal.aborted; cid = cids.pop()) {
        try {
          const block = await readBlock(node, cid, signal)
          bytes += block.byteLength
          onBlock(bytes)
        } catch (err) {
          if (!signal.aborted) {
            throw err
          }
        }
      }
    }),
  )
  return bytes
}

describe('p2p.maxUpload', () => {
  it('bounds what all peers get together, and each gets its half, however much it wants', async t => {
    const server = await start(t, rate)
    const [one, other] = [await start(t), await start(t)]
    await Promise.all([one.connect(server.multiaddrs[0]!), other.connect(server.multiaddrs[0]!)])
    const blocks = [await filled(server, 24), await filled(server, 24)] as const
    const enough = new AbortController()
    // a machine that is busy with other tests takes longer, never less
    const signal = AbortSignal.any([enough.signal, AbortSignal.timeout(120_000)])
    const began = performance.now()
    const got = await Promise.all([
      fetchUntil(one, blocks[0], 16, signal),
      fetchUntil(other, blocks[1], 2, signal, bytes => {
        if (bytes >= 8 * mebibyte) {
          enough.abort()
        }
      }),
    ])
    const seconds = (performance.now() - began) / 1000
    const sum = got[0] + got[1]
    const shown = `${got.map(bytes => (bytes / mebibyte).toFixed(1)).join(' and ')} MiB in ${seconds.toFixed(1)} s`
    assert.ok(enough.signal.aborted, shown)
    for (const bytes of got) {
      assert.ok(Math.abs(bytes - sum / 2) <= 0.2 * (sum / 2), shown)
    }
    assert.ok(sum <= rate * seconds + 2 * mebibyte, shown)
  })

  it('is no limit where it is 0', async t => {
    const [server, peer] = [await start(t, 0), await start(t)]
    await peer.connect(server.multiaddrs[0]!)
    const blocks = await filled(server, 12)
    // by the smallest number it would take hours
    assert.equal(await fetchUntil(peer, blocks, 4, AbortSignal.timeout(60_000)), 12 * mebibyte)
  })

  it('lower than a block is kept over time', async t => {
    const server = await start(t, mebibyte / 2)
    const peer = await start(t)
    await peer.connect(server.multiaddrs[0]!)
    const blocks = await filled(server, 3)
    const began = performance.now()
    assert.equal(await fetchUntil(peer, blocks, 3, AbortSignal.timeout(60_000)), 3 * mebibyte)
    // the first one at once
    assert.ok(performance.now() - began >= 3900)
  })
})
