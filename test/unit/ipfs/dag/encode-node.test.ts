import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as dagPb from '@ipld/dag-pb'
import { MemoryBlockstore } from 'blockstore-core'
import { importFile } from 'ipfs-unixfs-importer'
import { fixedSize } from 'ipfs-unixfs-importer/chunker'
import { balanced } from 'ipfs-unixfs-importer/layout'
import { CID } from 'multiformats/cid'
import { buildFile, directoryBlock, leafSize, type FileLink } from '../../../../src/ipfs/dag/encode-node.ts'
import { readNode } from '../../../../src/ipfs/dag/decode-node.ts'
import { walkFile } from '../../../../src/ipfs/dag/file-walk.ts'
import { leafBlock } from '../../../fixtures/leaf-block.ts'
import { randomBytes } from '../../../fixtures/images.ts'

/** Blocks in a map */
class Blocks {
  readonly map = new Map<string, Uint8Array>()

  put = async ({ cid, bytes }: { cid: CID; bytes: Uint8Array }): Promise<void> => {
    this.map.set(cid.toString(), bytes)
  }

  get = async (cid: CID): Promise<Uint8Array> => this.map.get(cid.toString())!

  get bytes(): number {
    return this.map.values().reduce((total, { byteLength }) => total + byteLength, 0)
  }
}

async function smallLeaves(bytes: Uint8Array, size: number, blocks: Blocks): Promise<FileLink[]> {
  const links: FileLink[] = []
  for (let offset = 0; offset < bytes.byteLength; offset += size) {
    const block = await leafBlock(bytes.subarray(offset, offset + size))
    await blocks.put(block)
    links.push({ cid: block.cid, size: block.bytes.byteLength, dagSize: block.bytes.byteLength })
  }
  return links
}

/** What the importer that kubo's JavaScript twin uses makes of leaves that are this small */
async function imported(bytes: Uint8Array, chunkSize: number): Promise<string> {
  const options = {
    cidVersion: 1,
    rawLeaves: true,
    chunker: fixedSize({ chunkSize }),
    layout: balanced({ maxChildrenPerNode: 1024 }),
  } as const
  return (await importFile({ content: bytes }, new MemoryBlockstore(), options)).cid.toString()
}

describe('the tree over the leaves of a file', () => {
  for (const [leaves, levels] of [
    [1, 0],
    [2, 1],
    [1024, 1],
    [1025, 2],
    [2048, 2],
    [2049, 2],
    [5000, 2],
  ] as const) {
    it(`has ${levels} levels for ${leaves} leaves, and the importer's CID`, async () => {
      const blocks = new Blocks()
      const bytes = randomBytes(leaves * 5 - 2, `leaves ${leaves}`)
      const root = await buildFile(await smallLeaves(bytes, 5, blocks), blocks.put)
      assert.deepEqual(root, { cid: await imported(bytes, 5), size: bytes.byteLength, dagSize: blocks.bytes })
      const nodes = [...blocks.map.keys()].map(cid => CID.parse(cid)).filter(({ code }) => code === dagPb.code)
      assert.equal(nodes.length, levels === 0 ? 0 : levels === 1 ? 1 : 1 + Math.ceil(leaves / 1024))
    })
  }

  // zeros, whose CIDs were taken from `ipfs add` of kubo
  for (const [mebibytes, cid] of [
    [2048, 'bafybeieyiwtflptdh35ga5rvsber2dzcbc7cikzfdwjmndjifuq42d6yhe'],
    [2560, 'bafybeigqhj4jk6uybxb43emwe34se7mwn4rqqsqk7zbcwhgsyqkv3igl7m'],
    [4095, 'bafybeiafmfztyzkxo5mqmjx2b6xnah66axvdjvveabreodvjuos66x34se'],
  ] as const) {
    it(`has kubo's CID for ${mebibytes} MiB, a size that fills the sign bit of 32`, async () => {
      const blocks = new Blocks()
      const leaf = await leafBlock(new Uint8Array(leafSize))
      const leaves = Array<FileLink>(mebibytes).fill({ cid: leaf.cid, size: leafSize, dagSize: leafSize })
      const root = await buildFile(leaves, blocks.put)
      assert.equal(root.cid, cid)
      const slices = await Array.fromAsync(
        walkFile(CID.parse(cid), async cid => await readNode(cid, blocks.get), 0, Infinity),
      )
      assert.equal(slices.length, mebibytes)
    })
  }

  it('needs a leaf', async () => {
    await assert.rejects(
      buildFile([], async () => {}),
      { name: 'RangeError' },
    )
  })
})

describe('a directory', () => {
  it('is the same in whatever order its entries come', async () => {
    const leaf = await leafBlock(Buffer.from('x'))
    const content = { cid: leaf.cid.toString(), size: 1, dagSize: 1 }
    const entries = ['b', 'a', 'sha256:0', 'é', 'B'].map(name => ({ name, content }))
    const [one, other] = [await directoryBlock(entries), await directoryBlock(entries.toReversed())]
    assert.deepEqual(one.content, other.content)
    assert.equal(one.content.dagSize, one.bytes.byteLength + 5)
  })
})
