import assert from 'node:assert/strict'
import { rm, statfs, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { NextToLast } from 'blockstore-fs/sharding'
import { DurableBlockstore } from '../../../../src/ipfs/blockstore/blockstore.ts'
import type { StorageFullError } from '../../../../src/ipfs/errors.ts'
import { leastMinFree, type StorageSpaceInit } from '../../../../src/ipfs/blockstore/storage-space.ts'
import { bytesOnDisk } from '../../../fixtures/bytes-on-disk.ts'
import { randomBytes } from '../../../fixtures/images.ts'
import { leafBlock } from '../../../fixtures/leaf-block.ts'
import { temporaryDirectory, type TemporaryDirectory } from '../../../fixtures/temporary.ts'

const mebibyte = 1024 * 1024

let directory: TemporaryDirectory
let store: DurableBlockstore

beforeEach(async () => {
  directory = await temporaryDirectory('space')
})
afterEach(async () => {
  await store.close()
  await directory[Symbol.asyncDispose]()
})

async function open(init: StorageSpaceInit): Promise<DurableBlockstore> {
  store = new DurableBlockstore(directory.path, { fsync: false, ...init })
  await store.open()
  return store
}

async function put(seed: string, size: number, evictable = false): Promise<void> {
  const { cid, bytes } = await leafBlock(randomBytes(size, seed))
  await store.put(cid, bytes, { evictable })
}

/** @returns what was refused */
async function putMany(count: number, size: number): Promise<StorageFullError[]> {
  const results = await Promise.allSettled(
    Array.from({ length: count }, async (_, i) => {
      await put(`many ${i}`, size)
    }),
  )
  return results.flatMap(result => (result.status === 'rejected' ? [result.reason as StorageFullError] : []))
}

describe('a limit on all blocks', () => {
  it('is never passed, however many write at once', async () => {
    await open({ maxBytes: 1_000_000 })
    const refused = await putMany(100, 30_000)
    assert.equal(await bytesOnDisk(directory.path), 990_000)
    assert.equal(store.space.usage.total, 990_000)
    assert.equal(refused.length, 67)
    assert.ok(
      refused.every(
        err =>
          err.name === 'StorageFullError' &&
          err.detail?.limit === 'storage.maxBytes' &&
          err.detail.maxBytes === 1_000_000,
      ),
    )
    assert.equal(store.space.refused, 67)
  })

  it('has room for exactly what it says, again after a deletion, and always for what is there already', async () => {
    await open({ maxBytes: 100_000 })
    await put('a', 60_000)
    await put('b', 40_000)
    await assert.rejects(put('c', 1), {
      name: 'StorageFullError',
      detail: {
        limit: 'storage.maxBytes',
        maxBytes: 100_000,
        used: 100_000,
        wanted: 1,
        reason: 'blocks take 100000 of at most 100000 bytes',
      },
    })
    await put('a', 60_000)
    await store.delete((await leafBlock(randomBytes(40_000, 'b'))).cid)
    await put('c', 40_000)
    await assert.rejects(put('d', 1), { name: 'StorageFullError' })
  })

  it('holds after a crash as well, once the blocks are counted', async () => {
    await open({ maxBytes: 100_000 })
    await put('a', 90_000)
    await open({ maxBytes: 100_000 })
    await store.space.usage.count()
    await assert.rejects(put('b', 20_000), { name: 'StorageFullError' })
    await put('c', 10_000)
  })

  it('gives back the room of a write that failed', async () => {
    await open({ maxBytes: 100_000 })
    const { cid, bytes } = await leafBlock(randomBytes(60_000, 'a'))
    // what lies in the place of a block's directory
    const shard = join(directory.path, new NextToLast().encode(cid).dir)
    await writeFile(shard, '')
    for (let i = 0; i < 3; i++) {
      await assert.rejects(store.put(cid, bytes), { code: 'ENOTDIR' })
    }
    await rm(shard)
    await store.put(cid, bytes)
    assert.equal(store.space.usage.total, 60_000)
  })

  it('leaves some room to pushes where blocks can be fetched again', async () => {
    await open({ maxBytes: 1_000_000 })
    for (let i = 0; i < 9; i++) {
      await put(`${i}`, 100_000, true)
    }
    await assert.rejects(put('fetched', 60_000, true), { name: 'StorageFullError' })
    await put('pushed', 60_000)
    await put('fetched', 1, false)
  })

  it('says how much should be made free', async () => {
    const wanted: number[] = []
    await open({
      maxBytes: 1_000_000,
      onFull: bytes => {
        wanted.push(bytes)
      },
    })
    await put('a', 990_000)
    await assert.rejects(put('b', 20_000))
    await assert.rejects(store.space.require(0, 500_000))
    assert.deepEqual(wanted, [100_000, 500_000])
  })
})

describe('what stays free of the file system', () => {
  it('is refused, and asked for anew each time', async () => {
    const { bavail, bsize } = await statfs(directory.path)
    await open({ minFree: bavail * bsize + 1024 * mebibyte })
    await assert.rejects(put('a', 1000), (err: StorageFullError) => {
      assert.equal(err.name, 'StorageFullError')
      assert.equal(err.detail?.limit, 'storage.minFree')
      assert.equal(err.detail.minFree, bavail * bsize + 1024 * mebibyte)
      assert.equal(err.detail.wanted, 1000)
      return true
    })
    assert.equal(await bytesOnDisk(directory.path), 0)
  })

  it('is a share of it by default, and never less than the index needs', async () => {
    const { blocks, bsize } = await statfs(directory.path)
    await open({})
    assert.equal(
      (await store.space.free()).minFree,
      Math.min(1024 * mebibyte, Math.max(leastMinFree, Math.floor((blocks * bsize) / 100))),
    )
    await store.close()
    await open({ minFree: 1 })
    assert.equal((await store.space.free()).minFree, leastMinFree)
  })
})

describe('whether there is room', () => {
  it('is told of either limit, and makes none', async () => {
    const wanted: number[] = []
    const onFull = (bytes: number): void => {
      wanted.push(bytes)
    }
    await open({ maxBytes: 100_000, onFull })
    await put('a', 99_999)
    assert.equal(await store.space.hasRoom(), true)
    await put('b', 1)
    assert.equal(await store.space.hasRoom(), false)
    assert.deepEqual([wanted, store.space.refused], [[], 0])
    await store.close()
    const { bavail, bsize } = await statfs(directory.path)
    await open({ minFree: bavail * bsize + 1024 * mebibyte, onFull })
    assert.equal(await store.space.hasRoom(), false)
    assert.deepEqual([wanted, store.space.refused], [[], 0])
  })
})

describe('a blob', () => {
  it('that could never fit is too large, one for which there is no room now is not', async () => {
    await open({ maxBytes: 1_000_000 })
    await store.space.require(0, 1_000_000)
    await assert.rejects(store.space.require(1, 1_000_000), {
      name: 'BlobTooLargeError',
      detail: { limit: 'storage.maxBytes', maxBytes: 1_000_000, bytes: 1_000_001 },
    })
    await put('a', 10)
    await assert.rejects(store.space.require(0, 1_000_000), { name: 'StorageFullError' })
    await store.space.require(0, 999_990)
  })

  it('may not be larger than the file system', async () => {
    const { blocks, bsize } = await statfs(directory.path)
    for (const maxBytes of [undefined, 2 * blocks * bsize]) {
      await open({ maxBytes })
      await assert.rejects(store.space.require(0, blocks * bsize + 1), {
        name: 'BlobTooLargeError',
        detail: { limit: 'file system', maxBytes: blocks * bsize, bytes: blocks * bsize + 1 },
      })
      await store.close()
    }
  })
})
