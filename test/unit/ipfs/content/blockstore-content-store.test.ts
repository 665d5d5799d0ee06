import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { unixfs } from '@helia/unixfs'
import { MemoryBlockstore } from 'blockstore-core'
import { NextToLast } from 'blockstore-fs/sharding'
import fc from 'fast-check'
import { UnixFS } from 'ipfs-unixfs'
import { fixedSize } from 'ipfs-unixfs-importer/chunker'
import { balanced, trickle } from 'ipfs-unixfs-importer/layout'
import { CID } from 'multiformats/cid'
import * as dagPb from '@ipld/dag-pb'
import { BlockstoreContentStore } from '../../../../src/ipfs/content/blockstore-content-store.ts'
import { FaultyBlockstore } from '../../../fixtures/faulty-blockstore.ts'
import { randomBytes } from '../../../fixtures/images.ts'
import { readAll, stream } from '../../../fixtures/registry.ts'
import { temporaryDirectory, type TemporaryDirectory } from '../../../fixtures/temporary.ts'

const mebibyte = 1024 * 1024
const bytes = randomBytes(3 * mebibyte + 12_345, 'content')

let directory: TemporaryDirectory
let blockstore: FaultyBlockstore
let store: BlockstoreContentStore

before(async () => {
  directory = await temporaryDirectory('content')
  blockstore = new FaultyBlockstore(directory.path)
  await blockstore.open()
  store = new BlockstoreContentStore({ blockstore })
})

after(async () => {
  await blockstore.close()
  await directory[Symbol.asyncDispose]()
})

/** Writes over a block as a bad disk might */
async function damage(cid: string, content: Uint8Array): Promise<void> {
  const { dir, file } = new NextToLast().encode(CID.parse(cid))
  await writeFile(join(directory.path, dir, file), content)
}

async function leavesOf(cid: string): Promise<string[]> {
  return dagPb.decode(await blockstore.read(CID.parse(cid))).Links.map(link => link.Hash.toString())
}

describe('the CID of a file', () => {
  for (const size of [0, 1, mebibyte - 1, mebibyte, mebibyte + 1, 10 * mebibyte]) {
    it(`of ${size} bytes is that of @helia/unixfs with the profile unixfs-v1-2025`, async () => {
      const content = randomBytes(size, `size ${size}`)
      const other = unixfs({ blockstore: new MemoryBlockstore() })
      const expected = await other.addByteStream(stream(content), { profile: 'unixfs-v1-2025' })
      const { cid, size: stored, dagSize } = await store.add(content)
      assert.deepEqual([cid, stored], [expected.toString(), size])
      assert.ok(dagSize >= size && dagSize <= size + 1000)
      assert.deepEqual(await readAll(store.read(cid)), content)
      assert.deepEqual(await readAll(unixfs({ blockstore }).cat(expected)), content)
    })
  }
})

describe('reading', () => {
  const range = fc
    .tuple(fc.nat(bytes.byteLength - 1), fc.nat(bytes.byteLength - 1))
    .map(([a, b]) => ({ start: Math.min(a, b), end: Math.max(a, b) }))

  for (const [layout, options] of [
    ['of our own', undefined],
    ['with chunks of 256 KiB and raw leaves', { chunker: fixedSize({ chunkSize: 262_144 }) }],
    ['with nodes as leaves, as CIDv0', { profile: 'unixfs-v0-2015' }],
    [
      'with nodes of type raw as leaves',
      { rawLeaves: false, leafType: 'raw', chunker: fixedSize({ chunkSize: 200_000 }) },
    ],
    [
      'in a trickle',
      { chunker: fixedSize({ chunkSize: 100_000 }), layout: trickle({ layerRepeat: 2, maxChildrenPerNode: 4 }) },
    ],
    [
      'that is high and narrow',
      { chunker: fixedSize({ chunkSize: 100_000 }), layout: balanced({ maxChildrenPerNode: 3 }) },
    ],
  ] as const) {
    it(`any range of a file ${layout} yields its bytes`, async () => {
      const cid =
        options === undefined
          ? (await store.add(bytes)).cid
          : (await unixfs({ blockstore }).addByteStream(stream(bytes, mebibyte), options)).toString()
      assert.ok((await readAll(store.read(cid))).equals(bytes))
      for (const start of [0, mebibyte - 1, mebibyte, bytes.byteLength - 1]) {
        assert.ok((await readAll(store.read(cid, { start }))).equals(bytes.subarray(start)))
        assert.ok((await readAll(store.read(cid, { start, end: start }))).equals(bytes.subarray(start, start + 1)))
      }
      await fc.assert(
        fc.asyncProperty(range, async ({ start, end }) => {
          assert.ok((await readAll(store.read(cid, { start, end }))).equals(bytes.subarray(start, end + 1)))
        }),
        { numRuns: 25 },
      )
    })
  }

  it('a small file whose only node holds its bytes', async () => {
    const cid = await unixfs({ blockstore }).addBytes(Buffer.from('hello'), {
      rawLeaves: false,
      reduceSingleLeafToSelf: true,
    })
    assert.equal(cid.code, dagPb.code)
    assert.equal(String(await readAll(store.read(cid.toString()))), 'hello')
    assert.equal(String(await readAll(store.read(cid.toString(), { start: 1, end: 3 }))), 'ell')
  })

  it('goes on with other files while one reader is slow', async () => {
    const { cid } = await store.add(bytes)
    const other = await store.add(randomBytes(2 * mebibyte, 'other'))
    const slow = store.read(cid)[Symbol.asyncIterator]()
    const first: Uint8Array = (await slow.next()).value
    const copy = Buffer.from(first)
    await Promise.all(Array.from({ length: 8 }, async () => await readAll(store.read(other.cid))))
    assert.ok(copy.equals(first), 'a chunk stays as it is until the next one is asked for')
    assert.ok(Buffer.concat([copy, await readAll({ [Symbol.asyncIterator]: () => slow })]).equals(bytes))
  })

  it('many files at a time mixes nothing up', async () => {
    const files = await Promise.all(
      Array.from({ length: 6 }, async (_, i) => {
        const content = randomBytes(mebibyte * 2 + i, `many ${i}`)
        return { content, cid: (await store.add(content)).cid }
      }),
    )
    await Promise.all(
      [...files, ...files].map(async ({ content, cid }) => assert.ok((await readAll(store.read(cid))).equals(content))),
    )
  })

  it('stops when it is told to', async () => {
    const { cid } = await store.add(randomBytes(10 * mebibyte, 'stopped'))
    const controller = new AbortController()
    await assert.rejects(
      async () => {
        for await (const _ of store.read(cid, { signal: controller.signal })) {
          controller.abort()
        }
      },
      { name: 'AbortError' },
    )
    await assert.rejects(readAll(store.read(cid, { signal: AbortSignal.abort() })), { name: 'AbortError' })
  })
})

describe('a file that is not whole', () => {
  for (const [what, leaf, error] of [
    ['whose first leaf is missing', 0, 'NotFoundError'],
    ['whose last leaf is missing', 3, 'NotFoundError'],
    ['whose root is missing', undefined, 'NotFoundError'],
  ] as const) {
    it(`${what} ends with ${error}`, async () => {
      const content = randomBytes(bytes.byteLength, what)
      const { cid } = await store.add(content)
      await blockstore.delete(CID.parse(leaf === undefined ? cid : (await leavesOf(cid))[leaf]!))
      await assert.rejects(readAll(store.read(cid)), { name: error })
      if (leaf === 3) {
        assert.ok((await readAll(store.read(cid, { end: 3 * mebibyte - 1 }))).equals(content.subarray(0, 3 * mebibyte)))
      }
    })
  }

  for (const [what, content] of [
    ['cut off', Buffer.alloc(1000)],
    ['empty', Buffer.alloc(0)],
    ['too long', Buffer.alloc(mebibyte + 1)],
  ] as const) {
    it(`whose second leaf is ${what} ends with DamagedBlockError after the first`, async () => {
      const { cid } = await store.add(randomBytes(bytes.byteLength, what))
      await damage((await leavesOf(cid))[1]!, content)
      let size = 0
      await assert.rejects(
        async () => {
          for await (const chunk of store.read(cid)) {
            size += chunk.byteLength
          }
        },
        { name: 'DamagedBlockError' },
      )
      assert.equal(size, mebibyte)
    })
  }

  for (const [what, content] of [
    ['garbage', Buffer.from('garbage')],
    ['empty', Buffer.alloc(0)],
  ] as const) {
    it(`whose root is ${what} ends with DamagedBlockError`, async () => {
      const { cid } = await store.add(randomBytes(2 * mebibyte, `root ${what}`))
      await damage(cid, content)
      await assert.rejects(readAll(store.read(cid)), { name: 'DamagedBlockError' })
    })
  }

  it('that is a directory ends with RefusedDagError', async () => {
    const { cid } = await store.addDirectory([])
    await assert.rejects(readAll(store.read(cid)), { name: 'RefusedDagError' })
  })
})

describe('a directory', () => {
  const entriesOf = (count: number): string[] =>
    Array.from({ length: count }, (_, i) => `sha256:${String(i).padStart(64, '0')}`)

  it('leads to what was put into it', async () => {
    const content = await store.add(Buffer.from('x'))
    const inner = await store.addDirectory([{ name: 'file', content }])
    const { cid } = await store.addDirectory([
      { name: 'sha256:abc', content },
      { name: 'inner', content: inner },
    ])
    const fs = unixfs({ blockstore })
    assert.deepEqual(
      (await Array.fromAsync(fs.ls(CID.parse(cid)))).map(({ name, cid }) => [name, cid.toString()]),
      [
        ['inner', inner.cid],
        ['sha256:abc', content.cid],
      ],
    )
    assert.equal(String(await readAll(fs.cat(CID.parse(cid), { path: 'inner/file' }))), 'x')
  })

  it('has the CID that @helia/unixfs gives to it', async () => {
    const content = await store.add(Buffer.from('x'))
    const names = entriesOf(50)
    const { cid } = await store.addDirectory(names.map(name => ({ name, content })))
    const all = await Array.fromAsync(
      unixfs({ blockstore }).addAll(
        names.map(path => ({ path, content: Buffer.from('x') })),
        { profile: 'unixfs-v1-2025', wrapWithDirectory: true },
      ),
    )
    assert.equal(cid, all.at(-1)!.cid.toString())
  })

  it('with thousands of entries is sharded as @helia/unixfs does it, in whatever order they come', async () => {
    const content = await store.add(Buffer.from('x'))
    const names = entriesOf(2600)
    const all = await Array.fromAsync(
      unixfs({ blockstore }).addAll(
        names.map(path => ({ path, content: Buffer.from('x') })),
        { profile: 'unixfs-v1-2025', wrapWithDirectory: true },
      ),
    )
    const { cid: expected, size } = all.at(-1)!
    assert.equal(UnixFS.unmarshal(dagPb.decode(await blockstore.read(expected)).Data!).type, 'hamt-sharded-directory')
    const one = await store.addDirectory(names.map(name => ({ name, content })))
    const other = await store.addDirectory(names.toReversed().map(name => ({ name, content })))
    assert.deepEqual(one, other)
    assert.deepEqual(one, { cid: expected.toString(), size: 0, dagSize: Number(size) })
    assert.equal(String(await readAll(unixfs({ blockstore }).cat(expected, { path: names[1234]! }))), 'x')
  })

  it('with thousands of entries is given up when the signal fires', async () => {
    const content = await store.add(Buffer.from('x'))
    const controller = new AbortController()
    const put = blockstore.put.bind(blockstore)
    let puts = 0
    blockstore.put = async (...args) => {
      puts++
      controller.abort()
      return await put(...args)
    }
    await assert.rejects(
      store.addDirectory(
        entriesOf(20_000).map(name => ({ name, content })),
        { signal: controller.signal },
      ),
      { name: 'AbortError' },
    )
    assert.ok(puts < 20, String(puts))
  })
})
