/**
 * What was put before a sync is there after a power failure: on a model of a disk, which forgets what was not synced
 */
import assert from 'node:assert/strict'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import type { CID } from 'multiformats/cid'
import { DurableBlockstore } from '../../../../src/ipfs/blockstore/blockstore.ts'
import { syncDirectory } from '../../../../src/ipfs/blockstore/sync-directory.ts'
import { DiskModel } from '../../../fixtures/faults/disk-model.ts'
import { Faults } from '../../../fixtures/faults/faults.ts'
import { faultyFs } from '../../../fixtures/faults/faulty-fs.ts'
import { Journal } from '../../../fixtures/faults/journal.ts'
import { leafBlock } from '../../../fixtures/leaf-block.ts'
import { replaceFs } from '../../../fixtures/replace-fs.ts'
import { temporaryDirectory, type TemporaryDirectory } from '../../../fixtures/temporary.ts'

describe('a block that was put before a sync', () => {
  let directory: TemporaryDirectory
  let journal: Journal
  let replaced: Disposable

  beforeEach(async () => {
    directory = await temporaryDirectory('power-failure')
    journal = new Journal(join(directory.path, 'journal'))
    replaced = replaceFs(faultyFs({ faults: new Faults({}), journal }, { directory: join(directory.path, 'data') }))
    // its own name is not the blockstore's
    await mkdir(join(directory.path, 'data'))
    await syncDirectory(directory.path)
  })
  afterEach(async () => {
    replaced[Symbol.dispose]()
    await directory[Symbol.asyncDispose]()
  })

  async function opened(): Promise<DurableBlockstore> {
    const store = new DurableBlockstore(join(directory.path, 'data', 'blocks'))
    await store.open()
    return store
  }

  /** The power fails now */
  async function failPower(kind: 'synced' | 'names'): Promise<DurableBlockstore> {
    const model = new DiskModel()
    journal.read().forEach(({ entry }) => {
      model.apply(entry)
    })
    await model.write(join(directory.path, kind), kind)
    const left = new DurableBlockstore(join(directory.path, kind, 'blocks'))
    await left.open()
    return left
  }

  async function requireBlock(
    store: DurableBlockstore,
    { cid, bytes }: { cid: CID; bytes: Uint8Array },
  ): Promise<void> {
    assert.deepEqual(Buffer.from(await store.read(cid)), Buffer.from(bytes))
  }

  for (const kind of ['synced', 'names'] as const) {
    const left = kind === 'synced' ? 'only what was synced' : 'every name'
    it(`is there with its bytes where ${left} is left`, async () => {
      const block = await leafBlock(Buffer.from('a block'))
      const store = await opened()
      await store.put(block.cid, block.bytes)
      await store.sync()
      await requireBlock(await failPower(kind), block)
    })
  }

  it('is there where it had been put by a process that was killed before it synced', async () => {
    const block = await leafBlock(Buffer.from('a block'))
    const killed = await opened()
    await killed.put(block.cid, block.bytes)
    const store = await opened()
    await store.put(block.cid, block.bytes)
    await store.sync()
    await requireBlock(await failPower('synced'), block)
  })

  it('is there where another came into its directory while that was synced', async () => {
    const blocks = await Promise.all([1, 2].map(async i => await leafBlock(Buffer.from(`block ${i}`))))
    const store = await opened()
    await store.put(blocks[0]!.cid, blocks[0]!.bytes)
    const first = store.sync()
    await store.put(blocks[1]!.cid, blocks[1]!.bytes)
    await Promise.all([first, store.sync()])
    const left = await failPower('synced')
    for (const block of blocks) {
      await requireBlock(left, block)
    }
  })
})
