import assert from 'node:assert/strict'
import { hash } from 'node:crypto'
import { it } from 'node:test'
import type { CID } from 'multiformats/cid'
import { verifiedReader } from '../../../../src/ipfs/content/verified-reader.ts'
import { leafCid } from '../../../../src/ipfs/dag/encode-node.ts'
import { readAll } from '../../../fixtures/registry.ts'

const kibibyte = 1024

/** Counts what is read of it, into the buffer that its reader gives */
class Blocks {
  readonly bytes = new Map<string, Buffer>()
  reads = 0

  put(bytes: Buffer): string {
    const cid = leafCid(hash('sha256', bytes, 'buffer')).toString()
    this.bytes.set(cid, bytes)
    return cid
  }

  read = async (cid: CID, { into }: { into?: Uint8Array | undefined } = {}): Promise<Uint8Array> => {
    this.reads++
    const bytes = this.bytes.get(cid.toString())!
    into!.set(bytes)
    return into!.subarray(0, bytes.byteLength)
  }
}

it('small blocks are read once, within a number of bytes, and stay as they are', async () => {
  const blocks = new Blocks()
  const contents = Array.from({ length: 40 }, (_, i) => Buffer.alloc(kibibyte, i))
  const cids = contents.map(bytes => blocks.put(bytes))
  const reader = verifiedReader(blocks, { remembered: 50 * kibibyte })
  for (let round = 0; round < 2; round++) {
    for (const [i, cid] of cids.entries()) {
      assert.deepEqual(await readAll(reader.read(cid)), contents[i])
    }
  }
  assert.equal(blocks.reads, 40)
  const others = Array.from({ length: 40 }, (_, i) => blocks.put(Buffer.alloc(kibibyte, 100 + i)))
  for (const cid of [...others, ...cids]) {
    await readAll(reader.read(cid))
  }
  assert.equal(blocks.reads, 40 + 40 + 40)
})

it('large blocks, and damaged ones, are read each time', async () => {
  const blocks = new Blocks()
  const large = blocks.put(Buffer.alloc(100 * kibibyte))
  const damaged = blocks.put(Buffer.from('what was stored'))
  blocks.bytes.set(damaged, Buffer.from('what is on disk'))
  const reader = verifiedReader(blocks, { remembered: 1024 * kibibyte })
  for (let round = 0; round < 2; round++) {
    await readAll(reader.read(large))
    await assert.rejects(readAll(reader.read(damaged)), { name: 'DamagedBlockError' })
  }
  assert.equal(blocks.reads, 4)
})
