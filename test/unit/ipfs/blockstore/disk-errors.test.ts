/** What the system says when it can't read or write a file, and what becomes of the block */
import assert from 'node:assert/strict'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { UncheckedBlocks } from '../../../../src/ipfs/blockstore/unchecked-blocks.ts'
import { DurableBlockstore } from '../../../../src/ipfs/blockstore/blockstore.ts'
import { CheckingReader } from '../../../../src/ipfs/blockstore/checking-reader.ts'
import { smallBlocks } from '../../../../src/ipfs/blockstore/small-blocks.ts'
import { leafBlock } from '../../../fixtures/leaf-block.ts'
import { replaceHandles, systemError } from '../../../fixtures/replace-fs.ts'
import { temporaryDirectory, type TemporaryDirectory } from '../../../fixtures/temporary.ts'

const block = await leafBlock(Buffer.from('a block'))
let directory: TemporaryDirectory
let location: string
let store: DurableBlockstore
let damaged: string[]

beforeEach(async () => {
  directory = await temporaryDirectory('disk-errors')
  location = join(directory.path, 'blocks')
  damaged = []
  store = new DurableBlockstore(location, {
    // what was written just now counts as right without it
    verifiedFor: 0,
    onDamaged: cid => {
      damaged.push(cid.toString())
    },
  })
  await store.open()
})
afterEach(async () => {
  await store.close()
  await directory[Symbol.asyncDispose]()
})

/** Until it is disposed of, reading the files of blocks fails */
function failReads(code: string): Disposable {
  return replaceHandles(path => (path.endsWith('.data') ? { read: () => Promise.reject(systemError(code)) } : {}))
}

/** Until it is disposed of, writing files of blocks fails */
function failWrites(code: string): Disposable {
  return replaceHandles(path =>
    path.includes(join('blocks', 'tmp')) ? { write: () => Promise.reject(systemError(code)) } : {},
  )
}

describe("a block that the disk can't read", () => {
  beforeEach(async () => {
    await store.put(block.cid, block.bytes)
  })

  it('is damaged', async () => {
    using _fault = failReads('EIO')
    await assert.rejects(store.read(block.cid), { name: 'DamagedBlockError' })
    assert.deepEqual(damaged, [block.cid.toString()])
  })

  it('has no bytes among the small blocks', async () => {
    using _fault = failReads('EIO')
    const small = smallBlocks(location, 1000, { signal: new AbortController().signal, onDirectory: () => {} })
    assert.deepEqual(
      (await Array.fromAsync(small)).flat().map(({ bytes }) => bytes.byteLength),
      [0],
    )
  })

  it('is damaged to whoever looks at files', async () => {
    using _fault = failReads('EIO')
    await assert.rejects(new UncheckedBlocks(location).read(block.cid), { name: 'DamagedBlockError' })
  })

  it('is damaged where another thread reads it', async () => {
    const reader = new CheckingReader({
      readers: { read: () => Promise.reject(systemError('EIO')) },
      onDamaged: cid => {
        damaged.push(cid.toString())
      },
    })
    const into = new Uint8Array(new SharedArrayBuffer(100))
    await assert.rejects(reader.read(block.cid, '/nowhere', into), { name: 'DamagedBlockError' })
    assert.deepEqual(damaged, [block.cid.toString()])
  })

  it('is put anew by whoever has it, and what was there is kept aside', async () => {
    {
      using _fault = failReads('EIO')
      await store.put(block.cid, block.bytes)
    }
    assert.deepEqual(Buffer.from(await store.read(block.cid)), block.bytes)
    assert.equal((await readdir(join(directory.path, 'quarantine'))).length, 1)
  })

  it('is no damage where only this process has too many files open', async () => {
    using _fault = failReads('EMFILE')
    await assert.rejects(store.read(block.cid), { code: 'EMFILE' })
    await assert.rejects(new UncheckedBlocks(location).read(block.cid), { code: 'EMFILE' })
    await assert.rejects(store.put(block.cid, block.bytes), { code: 'EMFILE' })
    assert.deepEqual(damaged, [])
  })
})

describe("a block that the disk can't write", () => {
  for (const code of ['ENOSPC', 'EDQUOT']) {
    it(`finds the storage full (${code}), and leaves nothing`, async () => {
      using _fault = failWrites(code)
      await assert.rejects(store.put(block.cid, block.bytes), { name: 'StorageFullError' })
      assert.equal(await store.has(block.cid), false)
      assert.deepEqual(await readdir(join(location, 'tmp')), [])
    })
  }

  it('is told from a full disk', async () => {
    using _fault = failWrites('EIO')
    await assert.rejects(store.put(block.cid, block.bytes), { code: 'EIO' })
    assert.equal(await store.has(block.cid), false)
  })
})

describe('a damaged block', () => {
  it('is not moved away while somebody puts it', async () => {
    const writing = Promise.withResolvers<void>()
    const goOn = Promise.withResolvers<void>()
    {
      using _fault = replaceHandles((path, handle) => {
        const datasync = handle.datasync.bind(handle)
        return path.includes(join('blocks', 'tmp'))
          ? {
              datasync: async () => {
                writing.resolve()
                await goOn.promise
                await datasync()
              },
            }
          : {}
      })
      const put = store.put(block.cid, block.bytes)
      await writing.promise
      let asked = false
      await store.quarantine(block.cid, async () => {
        asked = true
        goOn.resolve()
        await put
        return true
      })
      goOn.resolve()
      await put
      assert.equal(asked, false)
    }
    assert.deepEqual(Buffer.from(await store.read(block.cid)), block.bytes)
  })
})
