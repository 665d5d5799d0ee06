import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as dagPb from '@ipld/dag-pb'
import { UnixFS } from 'ipfs-unixfs'
import type { CID } from 'multiformats/cid'
import { BufferPool } from '../../../../src/ipfs/blocks/buffer-pool.ts'
import { buildFile, encodeFileNode, leafSize, type FileLink } from '../../../../src/ipfs/dag/encode-node.ts'
import { DagChecker } from '../../../../src/ipfs/dag/dag-checker.ts'
import { dagLimits } from '../../../../src/ipfs/dag/dag-limits.ts'
import { readNode } from '../../../../src/ipfs/dag/decode-node.ts'
import { DagReader } from '../../../../src/ipfs/content/dag-reader.ts'
import { walkFile, type LeafSlice } from '../../../../src/ipfs/dag/file-walk.ts'
import { inlineHasher } from '../../../../src/ipfs/hashing/hasher.ts'
import { Marker } from '../../../../src/ipfs/dag/marker.ts'
import { RateLimit } from '../../../../src/scheduling/rate-limit.ts'
import { DagBlocks } from '../../../fixtures/dag-blocks.ts'
import { randomBytes } from '../../../fixtures/images.ts'
import { readAll } from '../../../fixtures/registry.ts'

async function walk(blocks: DagBlocks, root: CID, start = 0, end = Infinity): Promise<Array<LeafSlice | Uint8Array>> {
  return await Array.fromAsync(walkFile(root, async cid => await readNode(cid, blocks.read), start, end))
}

function reader(blocks: DagBlocks, init: { isKnown?: boolean } = {}): DagReader {
  return new DagReader({ blocks, buffers: new BufferPool(leafSize, 4) }, { readAhead: 2, ...init })
}

/** A file whose levels link to one child only, each `links` times */
async function repeated(blocks: DagBlocks, leaf: Uint8Array, levels: number, links: number): Promise<FileLink> {
  let link: FileLink = { cid: await blocks.leaf(leaf), size: leaf.byteLength, dagSize: leaf.byteLength }
  for (let level = 0; level < levels; level++) {
    link = {
      cid: await blocks.put(dagPb.code, encodeFileNode(Array<FileLink>(links).fill({ ...link, dagSize: 0 }))),
      size: links * link.size,
      dagSize: 0,
    }
  }
  return link
}

describe('the walk through a file', () => {
  it('reads only the nodes above the leaves that are wanted, and no leaf', async () => {
    const blocks = new DagBlocks()
    const bytes = randomBytes(3 * 1024 * 4, 'walk')
    const leaves: FileLink[] = []
    for (let offset = 0; offset < bytes.byteLength; offset += 4) {
      leaves.push({ cid: await blocks.leaf(bytes.subarray(offset, offset + 4)), size: 4, dagSize: 4 })
    }
    let root: CID | undefined
    await buildFile(leaves, async ({ bytes }) => {
      root = await blocks.put(dagPb.code, bytes)
    })
    const slices = await walk(blocks, root!, 1024 * 4 + 1, 1024 * 4 + 9)
    assert.deepEqual(
      slices.map(slice => (slice instanceof Uint8Array ? 'bytes' : [slice.leafSize, slice.start, slice.end])),
      [
        [4, 1, 4],
        [4, 0, 4],
        [4, 0, 1],
      ],
    )
    assert.equal(blocks.reads.length, 2)
  })

  it('yields what lies in nodes and CIDs, of any range', async () => {
    const blocks = new DagBlocks()
    const inner = await blocks.file(
      [
        { cid: await blocks.leaf(Buffer.from('cd'), true), size: 2 },
        { cid: await blocks.leaf(Buffer.from('ef')), size: 2 },
      ],
      Buffer.from('ab'),
    )
    const root = await blocks.file([
      { cid: inner, size: 6 },
      { cid: await blocks.file([], Buffer.from('gh'), true), size: 2 },
    ])
    for (let start = 0; start < 8; start++) {
      for (let end = start; end < 8; end++) {
        assert.equal(
          String(await readAll(reader(blocks).read(root.toString(), { start, end }))),
          'abcdefgh'.slice(start, end + 1),
        )
      }
    }
  })

  for (const [what, make] of [
    ['bytes that are no node', async blocks => await blocks.put(dagPb.code, Buffer.from('garbage'))],
    ['an empty block', async blocks => await blocks.put(dagPb.code, new Uint8Array())],
    ['a node without data', async blocks => await blocks.put(dagPb.code, dagPb.encode({ Links: [] }))],
    ['a directory', async blocks => await blocks.node({ type: 'directory' })],
    ['a symlink', async blocks => await blocks.node({ type: 'symlink', data: Buffer.from('/etc/passwd') })],
    ['a node of metadata', async blocks => await blocks.node({ type: 'metadata' })],
    [
      'more links than sizes',
      async blocks => await blocks.node({ type: 'file' }, [await blocks.leaf(Buffer.from('x'))]),
    ],
    ['more sizes than links', async blocks => await blocks.node({ type: 'file', blockSizes: [1n] })],
    ['a codec that no file has', async blocks => await blocks.put(0x71, Buffer.from('a'))],
    [
      'sizes without an end',
      async blocks =>
        await blocks.put(
          dagPb.code,
          dagPb.encode({
            Data: Buffer.concat([
              new UnixFS({ type: 'file' }).marshal(),
              Buffer.alloc(2 * (dagLimits.links + 1), Buffer.from([0x20, 1])),
            ]),
            Links: [],
          }),
        ),
    ],
    [
      'data that is cut short',
      async blocks =>
        await blocks.put(dagPb.code, dagPb.encode({ Data: Buffer.from([0x08, 2, 0x12, 9, 1]), Links: [] })),
    ],
  ] as Array<[string, (blocks: DagBlocks) => Promise<CID>]>) {
    it(`ends with an error at ${what}`, async () => {
      const blocks = new DagBlocks()
      await assert.rejects(walk(blocks, await make(blocks)), { name: 'RefusedDagError' })
    })
  }

  it('tells what is refused from what is damaged', async () => {
    const blocks = new DagBlocks()
    const leaf = await blocks.leaf(Buffer.from('leaf'))
    const root = await blocks.file([{ cid: leaf, size: 4 }])
    blocks.map.set(DagBlocks.key(leaf), Buffer.from('cut'))
    await assert.rejects(readAll(reader(blocks).read(root.toString())), { name: 'DamagedBlockError' })
    blocks.map.set(DagBlocks.key(root), Buffer.from('garbage'))
    await assert.rejects(readAll(reader(blocks).read(root.toString())), { name: 'DamagedBlockError' })
  })
})

describe('a file that claims 2^50 bytes in four blocks', async () => {
  const blocks = new DagBlocks()
  const { cid, size } = await repeated(blocks, Buffer.alloc(leafSize), 3, 1024)
  assert.equal(size, 2 ** 50)

  for (const range of [{ start: 0, end: 0 }, { start: size - 1, end: size - 1 }, {}]) {
    it(`is not read, be it the range ${JSON.stringify(range)}`, async () => {
      blocks.reads.length = 0
      await assert.rejects(readAll(reader(blocks).read(cid.toString(), range)), {
        name: 'RefusedDagError',
        message: /claims 1125899906842624 bytes, and its different blocks have 1\d{6}$/,
      })
      assert.ok(blocks.reads.length <= 4, `${blocks.reads.length} reads`)
    })
  }

  it('is not found either, so that nobody is told of a size that never comes', async () => {
    await assert.rejects(reader(blocks).find(cid.toString(), []), { name: 'RefusedDagError' })
  })

  it('is marked and checked by reading each block once', async () => {
    blocks.reads.length = 0
    await new Marker({ blockstore: blocks }).mark(cid.toString())
    assert.equal(blocks.reads.length, 3)
    assert.deepEqual(
      await new DagChecker({
        files: blocks,
        hasher: inlineHasher,
        rate: new RateLimit(Infinity),
        onChecked: () => {},
      }).dag(cid.toString()),
      [],
    )
    assert.equal(blocks.reads.length, 3 + 4)
  })

  it('is read where it was read whole before', async () => {
    assert.equal(
      (await readAll(reader(blocks, { isKnown: true }).read(cid.toString(), { start: size - 3 }))).byteLength,
      3,
    )
  })
})

describe('a sparse file', () => {
  it('is read up to 64 GiB', async () => {
    const blocks = new DagBlocks()
    const { cid, size } = await repeated(blocks, Buffer.alloc(leafSize), 2, 256)
    assert.equal(size, dagLimits.uncountedBytes)
    assert.equal((await readAll(reader(blocks).read(cid.toString(), { start: size - 5 }))).byteLength, 5)
    assert.equal((await reader(blocks).find(cid.toString(), []))?.size, size)
  })

  it('is read beyond that where enough of it is there, without a look at all of it', async () => {
    const blocks = new DagBlocks()
    const zeros = await repeated(blocks, Buffer.alloc(leafSize), 2, 1024)
    const parts: FileLink[] = []
    for (let i = 0; i < 1024; i++) {
      const bytes = randomBytes(10, `${i}`)
      // only their names are looked at
      parts.push({ cid: await blocks.leaf(bytes), size: leafSize, dagSize: 0 })
    }
    const data = { cid: await blocks.put(dagPb.code, encodeFileNode(parts)), size: 1024 * leafSize, dagSize: 0 }
    const root = await blocks.put(dagPb.code, encodeFileNode([data, zeros]))
    const found = await reader(blocks).find(root.toString(), [])
    assert.equal(found?.size, data.size + zeros.size)
    const less = await blocks.put(dagPb.code, encodeFileNode([parts[0]!, zeros]))
    await assert.rejects(reader(blocks).find(less.toString(), []), { name: 'RefusedDagError' })
  })
})
