import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, it } from 'node:test'
import * as dagPb from '@ipld/dag-pb'
import { CID } from 'multiformats/cid'
import * as raw from 'multiformats/codecs/raw'
import { create as createMultihash } from 'multiformats/hashes/digest'
import { DurableBlockstore } from '../../../../src/ipfs/blockstore/blockstore.ts'
import { encodeFileNode, leafSize, type FileLink } from '../../../../src/ipfs/dag/encode-node.ts'
import { dagLimits } from '../../../../src/ipfs/dag/dag-limits.ts'
import type { Gateways } from '../../../../src/ipfs/retrieval/gateways.ts'
import { IpfsNode } from '../../../../src/ipfs/node/node.ts'
import { Retrieval } from '../../../../src/ipfs/retrieval/retrieval.ts'
import { DagBlocks } from '../../../fixtures/dag-blocks.ts'
import { recordingLog } from '../../../fixtures/recording-log.ts'
import { readAll } from '../../../fixtures/registry.ts'
import { temporaryDirectory, type TemporaryDirectory } from '../../../fixtures/temporary.ts'

describe('what is fetched from other nodes', () => {
  let directory: TemporaryDirectory
  let blockstore: DurableBlockstore
  /** What the others have */
  let elsewhere: DagBlocks
  let retrieval: Retrieval

  beforeEach(async () => {
    directory = await temporaryDirectory('retrieval-limits')
    blockstore = new DurableBlockstore(directory.path, { fsync: false })
    await blockstore.open()
    elsewhere = new DagBlocks()
    const log = recordingLog()
    const gateways = { isEmpty: false, fetch: async (cid: CID) => await elsewhere.read(cid) } as unknown as Gateways
    const node = new IpfsNode(
      { blockstore, datastore: undefined as never, log },
      { network: 'offline', host: '127.0.0.1', peers: [], bootstrap: [], announce: [] },
    )
    retrieval = new Retrieval({ blockstore, node, gateways, log }, { timeout: 5000 })
  })
  afterEach(async () => {
    await blockstore.close()
    await directory[Symbol.asyncDispose]()
  })

  it('is no file that claims 2^50 bytes in four blocks, be it one byte of it', async () => {
    let link: FileLink = { cid: await elsewhere.leaf(Buffer.alloc(leafSize)), size: leafSize, dagSize: 0 }
    for (let level = 0; level < 3; level++) {
      link = {
        cid: await elsewhere.put(dagPb.code, encodeFileNode(Array<FileLink>(1024).fill(link))),
        size: 1024 * link.size,
        dagSize: 0,
      }
    }
    const root = link.cid.toString()
    const start = 2 ** 49
    await assert.rejects(readAll(retrieval.read(root, { start, end: start })), { name: 'RefusedDagError' })
    await assert.rejects(retrieval.find(root, []), { name: 'RefusedDagError' })
    assert.equal(elsewhere.reads.length, 3)
  })

  it('is nothing below a node that names a block with a multihash of 300 bytes', async () => {
    const file = await elsewhere.leaf(Buffer.from('file'))
    const root = await elsewhere.node({ type: 'directory' }, [
      { cid: file, name: 'file' },
      { cid: CID.createV1(raw.code, createMultihash(0x12, new Uint8Array(300))), name: 'other' },
    ])
    await assert.rejects(retrieval.find(root.toString(), ['file']), { name: 'RefusedDagError' })
    await assert.rejects(Array.fromAsync(retrieval.list(root.toString())), { name: 'RefusedDagError' })
    assert.deepEqual(elsewhere.reads, [root.toString()])
  })

  it('is no block of more bytes than a block may have, and it is not kept', async () => {
    const cid = await elsewhere.leaf(Buffer.alloc(dagLimits.blockBytes + 1))
    await assert.rejects(readAll(retrieval.read(cid.toString())), { name: 'RefusedDagError' })
    await assert.rejects(retrieval.fetchBlock(cid), { name: 'RefusedDagError' })
    assert.equal(await blockstore.has(cid), false)
    await assert.rejects(retrieval.fetchBlock(CID.createV1(0x71, cid.multihash)), { name: 'RefusedDagError' })
  })

  it('is not what lies in its CID', async () => {
    const root = await elsewhere.file([
      { cid: await elsewhere.leaf(Buffer.from('in'), true), size: 2 },
      { cid: await elsewhere.leaf(Buffer.from('out')), size: 3 },
    ])
    assert.equal(String(await readAll(retrieval.read(root.toString()))), 'inout')
    assert.equal(elsewhere.reads.length, 2)
    assert.equal(
      String(await readAll(retrieval.read((await elsewhere.leaf(Buffer.from('alone'), true)).toString()))),
      'alone',
    )
  })
})
