import assert from 'node:assert/strict'
import { glob, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import type { CID } from 'multiformats/cid'
import { DurableBlockstore } from '../../../../src/ipfs/blockstore/blockstore.ts'
import { bytesOnDisk } from '../../../fixtures/bytes-on-disk.ts'
import { randomBytes } from '../../../fixtures/images.ts'
import { leafBlock } from '../../../fixtures/leaf-block.ts'
import { temporaryDirectory, type TemporaryDirectory } from '../../../fixtures/temporary.ts'
import { until } from '../../../fixtures/until.ts'

let directory: TemporaryDirectory
let location: string

beforeEach(async () => {
  directory = await temporaryDirectory('usage')
  // what is taken out of a blockstore goes beside it
  location = join(directory.path, 'blocks')
})
afterEach(async () => {
  await directory[Symbol.asyncDispose]()
})

async function opened(): Promise<DurableBlockstore> {
  const store = new DurableBlockstore(location, { fsync: false })
  await store.open()
  return store
}

async function put(store: DurableBlockstore, seed: string, size = 1000): Promise<CID> {
  const { cid, bytes } = await leafBlock(randomBytes(size, seed))
  return await store.put(cid, bytes)
}

async function counted(store: DurableBlockstore): Promise<number> {
  await store.space.usage.count()
  return store.space.usage.total!
}

describe('the bytes of all blocks', () => {
  it('are those on disk, whatever is put, put again and deleted', async () => {
    const store = await opened()
    assert.equal(await counted(store), 0)
    const cids = await Promise.all(
      Array.from({ length: 20 }, async (_, i) => await put(store, `${i % 10}`, 1000 + (i % 10))),
    )
    assert.equal(await counted(store), await bytesOnDisk(location))
    await Promise.all(
      cids.slice(0, 15).map(async cid => {
        await store.delete(cid)
      }),
    )
    assert.deepEqual([await counted(store), await bytesOnDisk(location)], [0, 0])
    await store.close()
  })

  it('are right for a block that is written over a damaged one', async () => {
    const store = await opened()
    const cid = await put(store, 'damaged', 1000)
    const [name] = await Array.fromAsync(glob('*/*.data', { cwd: location }))
    await store.close()
    await writeFile(join(location, name!), 'short')
    await (await opened()).space.usage.count()
    // the file of the clean stop is gone by now
    const again = await opened()
    assert.equal(await counted(again), 5)
    await put(again, 'damaged', 1000)
    assert.equal(await counted(again), 1000)
    assert.equal((await again.read(cid)).byteLength, 1000)
  })

  it('are known at once after a clean stop, and counted after a crash', async () => {
    const store = await opened()
    await put(store, 'a', 12_345)
    assert.equal(await counted(store), 12_345)
    await store.close()
    const second = await opened()
    assert.equal(second.space.usage.total, 12_345)
    await put(second, 'b', 1)
    // no clean stop
    const third = await opened()
    assert.equal(third.space.usage.total, undefined)
    assert.equal(await counted(third), 12_346)
  })

  it('are counted right while blocks come and go', async () => {
    const store = await opened()
    const old = await Promise.all(Array.from({ length: 400 }, async (_, i) => await put(store, `old ${i}`, 100 + i)))
    const again = await opened()
    const { usage } = again.space
    const before = usage.atLeast
    assert.equal(before, 0)
    let counting = true
    const count = usage.count().then(() => {
      counting = false
    })
    let changes = 0
    for (let i = 0; counting || changes < 50; i++) {
      await Promise.all([
        put(again, `new ${i}`, 50 + i),
        again.delete(old[i % old.length]!),
        put(again, `old ${(i * 7) % 400}`, 100 + ((i * 7) % 400)),
      ])
      changes += 3
    }
    await count
    assert.equal(usage.total, await bytesOnDisk(location))
    assert.ok(changes > 3)
  })

  it('are not known where the stop comes before the end of the count', async () => {
    const store = await opened()
    for (let i = 0; i < 50; i++) {
      await put(store, `${i}`)
    }
    const again = await opened()
    assert.equal(again.space.usage.total, undefined)
    await again.close()
    const third = await opened()
    await until('the count', () => third.space.usage.total !== undefined)
    assert.equal(third.space.usage.total, 50_000)
  })
})
