import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import * as dagPb from '@ipld/dag-pb'
import { base32upper } from 'multiformats/bases/base32'
import { CID } from 'multiformats/cid'
import * as raw from 'multiformats/codecs/raw'
import { identity } from 'multiformats/hashes/identity'
import { blockKey } from '../../../../src/ipfs/blocks/block-set.ts'
import { hashBlock } from '../../../../src/ipfs/dag/encode-node.ts'
import { Marker } from '../../../../src/ipfs/dag/marker.ts'
import { randomBytes } from '../../../fixtures/images.ts'
import { TestRegistry } from '../../../fixtures/registry.ts'

const mebibyte = 1024 * 1024

describe('a marker', () => {
  let stores: TestRegistry
  let marker: Marker

  beforeEach(async () => {
    stores = await TestRegistry.open()
    marker = new Marker(stores)
  })
  afterEach(async () => {
    await stores[Symbol.asyncDispose]()
  })

  const isMarked = (cid: string | CID): boolean =>
    marker.marked.has(blockKey(CID.parse(cid.toString()).multihash.digest))
  const put = async (codec: number, bytes: Uint8Array): Promise<CID> =>
    await stores.blockstore.put(await hashBlock(codec, bytes), bytes)
  const pathOf = (cid: CID): string => {
    const name = base32upper.encode(cid.multihash.bytes)
    return join(stores.blocks, name.slice(-2), `${name}.data`)
  }
  const node = (...links: CID[]): Uint8Array =>
    dagPb.encode({ Data: Uint8Array.from([8, 1]), Links: links.map(cid => ({ Hash: cid, Name: '', Tsize: 0 })) })

  it('marks a file with all its leaves, and a directory with all below it', async () => {
    const file = await stores.content.add(randomBytes(3 * mebibyte, 'file'))
    const small = await stores.content.add(randomBytes(10, 'small'))
    const other = await stores.content.add(randomBytes(20, 'other'))
    const directory = await stores.content.addDirectory([
      { name: 'a', content: file },
      { name: 'b', content: small },
    ])
    await marker.mark(directory.cid)
    assert.equal(marker.marked.size, 1 + 1 + 3 + 1)
    assert.deepEqual(
      [directory, file, small, other].map(({ cid }) => isMarked(cid)),
      [true, true, true, false],
    )
    assert.equal(marker.missing.size, 0)
  })

  it('follows a node though a leaf has the same bytes', async () => {
    const leaf = await put(raw.code, randomBytes(100, 'leaf'))
    const bytes = node(leaf)
    const inner = await put(dagPb.code, bytes)
    // somebody pushes the bytes of a node as a blob
    await marker.mark((await hashBlock(raw.code, bytes)).toString())
    assert.ok(isMarked(inner) && !isMarked(leaf))
    await marker.mark(inner.toString())
    assert.ok(isMarked(leaf))
  })

  it('follows what has no block of its own, whose key anybody can choose', async () => {
    const leaf = await put(raw.code, randomBytes(100, 'leaf'))
    const inline = CID.createV1(dagPb.code, identity.digest(node(leaf)))
    await marker.mark((await put(dagPb.code, node(inline))).toString())
    assert.ok(isMarked(leaf))
    assert.equal(marker.marked.size, 2)
  })

  it('tells what is missing', async () => {
    const missing = await hashBlock(dagPb.code, node())
    await marker.mark((await put(dagPb.code, node(missing))).toString())
    assert.deepEqual([...marker.missing], [missing.toString()])
  })

  it('leaves out what it is told to', async () => {
    const leaf = await put(raw.code, randomBytes(100, 'leaf'))
    const image = await put(dagPb.code, node(leaf))
    const root = await put(dagPb.code, node(image))
    await marker.mark(root.toString(), { except: new Set([image.toString()]) })
    assert.ok(isMarked(root) && !isMarked(image) && !isMarked(leaf))
  })

  it('takes nothing from a damaged node', async () => {
    const leaf = await put(raw.code, randomBytes(100, 'leaf'))
    const inner = await put(dagPb.code, node(leaf))
    await writeFile(pathOf(inner), node())
    await assert.rejects(marker.mark(inner.toString()), { name: 'DamagedBlockError' })
    // of other nodes, it is fetched again
    assert.equal((await new Marker(stores).unmarked(inner.toString())).bytes, node().byteLength)
  })

  it('compares each node with its CID, though the blockstore takes it for right', async () => {
    const leaf = await put(raw.code, randomBytes(100, 'leaf'))
    const root = await hashBlock(dagPb.code, node(leaf))
    // as where a disk gives other bytes, and the time of the file is the same
    const blockstore = { read: async () => node(), size: async () => 100 }
    await assert.rejects(new Marker({ blockstore }).mark(root.toString()), { name: 'DamagedBlockError' })
    // nobody can tell what is below it
    const found = await new Marker({ blockstore }).unmarked(root.toString())
    assert.equal(found.bytes, 100)
  })

  it('refuses a codec that is neither of a node nor of a leaf, as there might be more below it', async () => {
    const other = CID.createV1(0x71, (await hashBlock(raw.code, Buffer.from('dag-cbor'))).multihash)
    const root = await put(dagPb.code, node(other))
    for (const cid of [other, root]) {
      await assert.rejects(marker.mark(cid.toString()), { name: 'RefusedDagError' })
      await assert.rejects(marker.unmarked(cid.toString()), { name: 'RefusedDagError' })
    }
    assert.equal(isMarked(other), false)
  })

  it('counts what is here and not marked below a root, in a tree with holes', async () => {
    const shared = await put(raw.code, randomBytes(1000, 'shared'))
    const here = await put(raw.code, randomBytes(100, 'here'))
    const away = await hashBlock(raw.code, randomBytes(100, 'away'))
    const root = await put(dagPb.code, node(shared, here, away, here, await hashBlock(dagPb.code, node(here))))
    marker.markBlock(shared.toString())
    const found = await marker.unmarked(root.toString())
    assert.equal(found.bytes, 100 + (await stores.blockstore.read(root)).byteLength)
    assert.ok(!isMarked(here))
    found.mark()
    assert.ok(isMarked(here) && isMarked(root))
    assert.equal((await marker.unmarked(root.toString())).bytes, 0)
  })

  it('is stopped by a signal', async () => {
    const { cid } = await stores.content.add(randomBytes(10, 'x'))
    await assert.rejects(marker.mark(cid, { signal: AbortSignal.abort() }), { name: 'AbortError' })
  })
})
