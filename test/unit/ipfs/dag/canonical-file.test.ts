import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as dagPb from '@ipld/dag-pb'
import { UnixFS } from 'ipfs-unixfs'
import { CID } from 'multiformats/cid'
import * as raw from 'multiformats/codecs/raw'
import { create as createMultihash } from 'multiformats/hashes/digest'
import { identity } from 'multiformats/hashes/identity'
import { canonicalFile } from '../../../../src/ipfs/dag/canonical-file.ts'
import type { Content } from '../../../../src/ipfs/content-store.ts'
import type { Block } from '../../../../src/ipfs/blocks/block.ts'
import {
  buildFile,
  encodeFileNode,
  hashBlock,
  leafSize,
  maxLinks,
  type FileLink,
} from '../../../../src/ipfs/dag/encode-node.ts'
import { leafBlock } from '../../../fixtures/leaf-block.ts'

const blocks = new Map<string, Uint8Array>()
let reads = 0

const put = async ({ cid, bytes }: Block): Promise<void> => {
  blocks.set(cid.toString(), bytes)
}

async function canonical(cid: CID | string): Promise<Content | undefined> {
  reads = 0
  return await canonicalFile(CID.parse(cid.toString()), async cid => {
    reads++
    const bytes = blocks.get(cid.toString())
    assert.ok(bytes, 'reads what is there')
    return bytes
  })
}

/** Leaves of which only the name is there */
async function leavesOf(...sizes: number[]): Promise<FileLink[]> {
  return await Promise.all(
    sizes.map(async (size, i) => ({ cid: (await leafBlock(Buffer.from(`${i} ${size}`))).cid, size, dagSize: size })),
  )
}

async function node(bytes: Uint8Array): Promise<CID> {
  const cid = await hashBlock(dagPb.code, bytes)
  await put({ cid, bytes })
  return cid
}

async function nodeOver(children: FileLink[]): Promise<FileLink> {
  const bytes = encodeFileNode(children)
  return {
    cid: await node(bytes),
    size: children.reduce((total, { size }) => total + size, 0),
    dagSize: children.reduce((total, { dagSize }) => total + dagSize, bytes.byteLength),
  }
}

const full = Array<number>(maxLinks).fill(leafSize)

const [one, other] = (await leavesOf(leafSize, 5)) as [FileLink, FileLink]

describe('the DAG that our own writer makes', () => {
  for (const sizes of [
    [leafSize, 1],
    [leafSize, leafSize],
    full,
    [...full, 7],
    [...full, ...full, ...full.slice(1), 9],
  ]) {
    it(`is known again where it has ${sizes.length} leaves, from its nodes`, async () => {
      const file = await buildFile(await leavesOf(...sizes), put)
      assert.deepEqual(await canonical(file.cid), file)
      assert.equal(reads, sizes.length <= maxLinks ? 1 : 1 + Math.ceil(sizes.length / maxLinks))
    })
  }

  for (const size of [0, 1, leafSize]) {
    it(`is known again where it is one leaf of ${size} bytes`, async () => {
      const leaf = await leafBlock(new Uint8Array(size))
      await put(leaf)
      assert.deepEqual(await canonical(leaf.cid), { cid: leaf.cid.toString(), size, dagSize: size })
    })
  }

  it('is read once for each node that is in it many times', async () => {
    const [leaf] = await leavesOf(leafSize)
    let link = leaf!
    for (let level = 0; level < 3; level++) {
      link = await nodeOver(Array<FileLink>(maxLinks).fill(link))
    }
    assert.deepEqual(await canonical(link.cid), {
      cid: link.cid.toString(),
      size: leafSize * maxLinks ** 3,
      dagSize: link.dagSize,
    })
    assert.equal(reads, 3)
  })
})

describe('another DAG of the same bytes', () => {
  const data = (init: ConstructorParameters<typeof UnixFS>[0]): Uint8Array => new UnixFS(init).marshal()
  const cases: Record<string, () => Promise<CID>> = {
    'with a child of size 0': async () => (await nodeOver([one, other, { ...other, size: 0 }])).cid,
    'with an empty last leaf': async () => (await nodeOver([one, { ...other, size: 0, dagSize: 0 }])).cid,
    'with small leaves': async () => (await nodeOver([other, other])).cid,
    'with a leaf that is too large': async () => (await nodeOver([{ ...one, size: 2 * leafSize }, other])).cid,
    'with a node over one leaf': async () => (await nodeOver([one])).cid,
    'with a root over one node': async () => (await nodeOver([await nodeOver([one, other])])).cid,
    'with a level too many': async () => (await nodeOver([await nodeOver(await leavesOf(...full)), other])).cid,
    'with the bytes in the node': async () =>
      await node(dagPb.encode({ Data: data({ type: 'file', data: Buffer.from('hello') }), Links: [] })),
    'with bytes in a node over leaves': async () =>
      await node(
        dagPb.encode({
          Data: data({ type: 'file', data: Buffer.from('x'), blockSizes: [BigInt(leafSize), 5n] }),
          Links: [one, other].map(({ cid, dagSize }) => ({ Name: '', Hash: cid, Tsize: dagSize })),
        }),
      ),
    'with a mode': async () =>
      await node(
        dagPb.encode({
          Data: data({ type: 'file', mode: 0o755, blockSizes: [BigInt(leafSize), 5n] }),
          Links: [one, other].map(({ cid, dagSize }) => ({ Name: '', Hash: cid, Tsize: dagSize })),
        }),
      ),
    'with another Tsize': async () => (await nodeOver([one, { ...other, dagSize: 6 }])).cid,
    'that claims more than it has': async () => await node(encodeFileNode([one, { ...other, size: 2 ** 50 }])),
    'that claims more than a number holds': async () =>
      await node(
        dagPb.encode({
          Data: data({ type: 'file', blockSizes: [2n ** 63n, 5n] }),
          Links: [one, other].map(({ cid, dagSize }) => ({ Name: '', Hash: cid, Tsize: dagSize })),
        }),
      ),
    'with a leaf by another hash': async () =>
      (await nodeOver([one, { ...other, cid: CID.createV1(raw.code, createMultihash(0x13, new Uint8Array(64))) }])).cid,
    'with a leaf by a part of a hash': async () =>
      (await nodeOver([one, { ...other, cid: CID.createV1(raw.code, createMultihash(0x12, new Uint8Array(20))) }])).cid,
    'with a leaf that is inline': async () =>
      (await nodeOver([one, { ...other, cid: CID.createV1(raw.code, identity.digest(Buffer.from('hello'))) }])).cid,
    'of version 0': async () => {
      const { cid } = await nodeOver([one, other])
      return CID.createV0(cid.multihash as Parameters<typeof CID.createV0>[0])
    },
    'that is a directory': async () => await node(dagPb.encode({ Data: data({ type: 'directory' }), Links: [] })),
    'that is no UnixFS': async () => await node(dagPb.encode({ Links: [] })),
    'that is a leaf of more than a leaf has': async () => {
      const leaf = await leafBlock(new Uint8Array(leafSize + 1))
      await put(leaf)
      return leaf.cid
    },
  }
  for (const [what, make] of Object.entries(cases)) {
    it(`${what} is told apart`, async () => {
      assert.equal(await canonical(await make()), undefined)
    })
  }
})
