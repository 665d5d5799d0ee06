import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { BufferPool } from '../../../../src/ipfs/blocks/buffer-pool.ts'
import { DagReader, type BlockReader } from '../../../../src/ipfs/content/dag-reader.ts'
import { leafCid } from '../../../../src/ipfs/dag/encode-node.ts'
import { sha256 } from '../../../fixtures/images.ts'

const bytes = Buffer.from('a leaf')
const cid = leafCid(Buffer.from(sha256(bytes).slice('sha256:'.length), 'hex')).toString()

/** @returns buffers that are free after a read of one leaf by `blocks` */
async function freeAfter(blocks: BlockReader['read'], consume: (chunks: AsyncGenerator<Uint8Array>) => Promise<void>) {
  const buffers = new BufferPool(1000, 4)
  const reader = new DagReader({ blocks: { read: blocks }, buffers }, { readAhead: 2 })
  await consume(reader.read(cid)).catch(() => {})
  return buffers.free
}

const readInto: BlockReader['read'] = async (_, { into } = {}) => {
  into!.set(bytes)
  return into!.subarray(0, bytes.byteLength)
}

describe('the buffer of a leaf', () => {
  it('is given back where the consumer stops', async () => {
    const free = await freeAfter(readInto, async chunks => {
      await chunks.next()
      await chunks.return(undefined)
    })
    assert.equal(free, 1)
  })

  it('is given back where the leaf is missing', async () => {
    const free = await freeAfter(
      async () => {
        throw new Error('missing')
      },
      async chunks => {
        await chunks.next()
      },
    )
    assert.equal(free, 1)
  })

  it('is given back at once where the leaf came in memory of its own', async () => {
    let free = 0
    const buffers = new BufferPool(1000, 4)
    const reader = new DagReader({ blocks: { read: async () => bytes }, buffers }, { readAhead: 2 })
    for await (const chunk of reader.read(cid)) {
      assert.deepEqual(Buffer.from(chunk), bytes)
      free = buffers.free
    }
    assert.equal(free, 1)
  })
})
