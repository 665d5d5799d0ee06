import assert from 'node:assert/strict'
import { mkdir, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import fc from 'fast-check'
import type { CID } from 'multiformats/cid'
import * as raw from 'multiformats/codecs/raw'
import { CollectionGuard } from '../../../../src/ipfs/blockstore/collection-guard.ts'
import { blockKey, BlockSet } from '../../../../src/ipfs/blocks/block-set.ts'
import { DurableBlockstore } from '../../../../src/ipfs/blockstore/blockstore.ts'
import { hashBlock } from '../../../../src/ipfs/dag/encode-node.ts'
import { temporaryDirectory, type TemporaryDirectory } from '../../../fixtures/temporary.ts'

const blocks = await Promise.all(
  Array.from({ length: 40 }, async (_, i) => {
    const bytes = Buffer.from(`block ${i}`)
    return { cid: await hashBlock(raw.code, bytes), bytes }
  }),
)

function keySet(cids: CID[]): BlockSet {
  const set = new BlockSet()
  cids.forEach(cid => {
    set.add(blockKey(cid.multihash.digest))
  })
  return set
}

describe('a sweep', () => {
  let directory: TemporaryDirectory
  let store: DurableBlockstore

  beforeEach(async () => {
    directory = await temporaryDirectory('sweep')
  })
  afterEach(async () => {
    await store.close()
    await directory[Symbol.asyncDispose]()
  })

  async function open(init: { recent?: number } = { recent: 0 }): Promise<void> {
    store = new DurableBlockstore(directory.path, init)
    await store.open()
  }
  const putAll = async (some = blocks): Promise<void> => {
    await Array.fromAsync(
      store.putMany(
        some.map(({ cid, bytes }) => ({
          cid,
          bytes: (async function* () {
            yield bytes
          })(),
        })),
      ),
    )
  }
  const held = async (): Promise<number[]> => {
    const found = await Promise.all(blocks.map(async ({ cid }) => await store.has(cid)))
    return found.flatMap((has, i) => (has ? [i] : []))
  }

  it('deletes what is not kept, tells how much, and leaves other files alone', async () => {
    await open()
    await putAll()
    const shard = (await readdir(directory.path)).find(name => name !== 'tmp')!
    await writeFile(join(directory.path, shard, 'notes.txt'), 'mine')
    await writeFile(join(directory.path, shard, 'NOTHING.data'), 'mine')
    await mkdir(join(directory.path, 'lost+found'))
    const keep = keySet(blocks.slice(0, 10).map(({ cid }) => cid))
    const bytes = blocks.slice(10).reduce((sum, block) => sum + block.bytes.byteLength, 0)
    const before = store.space.usage.atLeast
    const seen: number[] = []
    assert.deepEqual(await store.sweep(keep, { dryRun: true }), { blocks: 30, bytes })
    assert.equal((await held()).length, 40)
    assert.deepEqual(
      await store.sweep(keep, {
        onProgress: ({ blocks }) => {
          seen.push(blocks)
        },
      }),
      { blocks: 30, bytes },
    )
    assert.deepEqual(await held(), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    assert.equal(store.space.usage.atLeast, before - bytes)
    assert.equal(seen.at(-1), 30)
    assert.deepEqual((await readdir(join(directory.path, shard))).filter(name => /notes|NOTHING/.test(name)).sort(), [
      'NOTHING.data',
      'notes.txt',
    ])
    assert.deepEqual(await store.sweep(keep), { blocks: 0, bytes: 0 })
  })

  it('leaves alone what was put lately, or since the collection began', async () => {
    await open({ recent: 60_000 })
    await putAll()
    assert.equal((await store.sweep(new BlockSet())).blocks, 0)
    await store.close()
    await open()
    await store.put(blocks[0]!.cid, blocks[0]!.bytes)
    const collection = store.beginCollection()
    await store.put(blocks[1]!.cid, blocks[1]!.bytes)
    await store.read(blocks[2]!.cid, { protect: true })
    await store.read(blocks[3]!.cid)
    assert.equal((await store.sweep(new BlockSet())).blocks, 38)
    assert.deepEqual(await held(), [1, 2])
    collection[Symbol.dispose]()
    await store.read(blocks[2]!.cid, { protect: true })
    assert.equal((await store.sweep(new BlockSet())).blocks, 2)
  })

  it("is stopped by a signal, and by what can't be read", async () => {
    await open()
    await putAll()
    await assert.rejects(store.sweep(new BlockSet(), { signal: AbortSignal.abort() }), { name: 'AbortError' })
    assert.equal((await held()).length, 40)
    const controller = new AbortController()
    await assert.rejects(
      store.sweep(new BlockSet(), {
        signal: controller.signal,
        onProgress: () => {
          controller.abort()
        },
      }),
      { name: 'AbortError' },
    )
    assert.ok((await held()).length > 0)
  })

  it('is waited for by who puts a block that is being deleted', async () => {
    await open()
    const [{ cid, bytes }] = blocks as [(typeof blocks)[0]]
    for (let round = 0; round < 20; round++) {
      await store.put(cid, bytes)
      await Promise.all([store.delete(cid), store.delete(cid), store.put(cid, bytes)])
      assert.ok(await store.has(cid))
    }
  })

  it('never takes a block from somebody who puts it meanwhile', async () => {
    await open()
    for (let round = 0; round < 15; round++) {
      await putAll()
      const collection = store.beginCollection()
      const again = blocks.filter((_, i) => (i + round) % 2 === 0)
      await Promise.all([
        store.sweep(new BlockSet()),
        store.sweep(new BlockSet()),
        ...again.map(async ({ cid, bytes }) => {
          await store.put(cid, bytes)
        }),
      ])
      collection[Symbol.dispose]()
      const left = await held()
      assert.deepEqual(
        again.map(block => blocks.indexOf(block)).filter(i => !left.includes(i)),
        [],
      )
    }
  })
})

describe('the guard between puts and deletions', () => {
  /** A store of one file, in which every step may wait */
  it('lets no put end without its block, whatever order the steps come in', async () => {
    const [{ cid }] = blocks as [(typeof blocks)[0]]
    const key = blockKey(cid.multihash.digest)
    await fc.assert(
      fc.asyncProperty(
        fc.scheduler(),
        fc.array(fc.constantFrom('put', 'sweep', 'read'), { minLength: 2, maxLength: 8 }),
        async (scheduler, actions) => {
          const guard = new CollectionGuard({ recent: 0 })
          const pause = async (): Promise<void> => {
            await scheduler.schedule(Promise.resolve())
          }
          const collection = guard.beginCollection()
          let exists = true
          let puts = 0
          await scheduler.waitFor(
            Promise.all(
              actions.map(async action => {
                await pause()
                if (action === 'put') {
                  using _put = guard.put('file', key)
                  await guard.deletion('file')
                  await pause()
                  exists ||= await (async () => {
                    await pause()
                    return true
                  })()
                  puts++
                } else if (action === 'read') {
                  await guard.read('file', key)
                  const found = exists
                  await pause()
                  assert.ok(!found || exists, 'a protected block went away')
                } else if (!guard.isUsed('file', key)) {
                  await guard.delete('file', async () => {
                    await pause()
                    exists = false
                  })
                }
              }),
            ),
          )
          assert.ok(puts === 0 || exists)
          collection[Symbol.dispose]()
          assert.ok(!guard.isUsed('file', key))
        },
      ),
    )
  })
})
