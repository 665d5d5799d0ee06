import assert from 'node:assert/strict'
import { mkdir, readFile, readdir, rename, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { FsBlockstore } from 'blockstore-fs'
import { CID } from 'multiformats/cid'
import * as raw from 'multiformats/codecs/raw'
import { create as createMultihash } from 'multiformats/hashes/digest'
import { identity } from 'multiformats/hashes/identity'
import { DurableBlockstore } from '../../../../src/ipfs/blockstore/blockstore.ts'
import { hashBlock } from '../../../../src/ipfs/dag/encode-node.ts'
import { randomBytes } from '../../../fixtures/images.ts'
import { readAll } from '../../../fixtures/registry.ts'
import { temporaryDirectory, type TemporaryDirectory } from '../../../fixtures/temporary.ts'

interface Pair {
  cid: CID
  bytes: Buffer
}

const pairs: Pair[] = await Promise.all(
  ['', 'a', 'hello', 'x'.repeat(100_000)].map(async text => {
    const bytes = Buffer.from(text)
    return { cid: await hashBlock(raw.code, bytes), bytes }
  }),
)
const [, one, hello, large] = pairs as [Pair, Pair, Pair, Pair]

let directory: TemporaryDirectory
let location: string

beforeEach(async () => {
  directory = await temporaryDirectory('blockstore')
  location = join(directory.path, 'deep', 'blocks')
})

afterEach(async () => {
  await directory[Symbol.asyncDispose]()
})

async function opened(init: { fsync?: boolean } = {}): Promise<DurableBlockstore> {
  const store = new DurableBlockstore(location, init)
  await store.open()
  return store
}

/** Every file below the store, with its size */
async function files(): Promise<Map<string, number>> {
  const found = new Map<string, number>()
  for (const entry of await readdir(location, { recursive: true, withFileTypes: true })) {
    if (entry.isFile()) {
      found.set(entry.name, (await stat(join(entry.parentPath, entry.name))).size)
    }
  }
  return found
}

function hexOf(cid: CID): string {
  return Buffer.from(cid.multihash.bytes).toString('hex')
}

/** As many blocks are put: each comes as a stream */
function input(pairs: readonly Pair[]): Array<{ cid: CID; bytes: AsyncGenerator<Uint8Array> }> {
  return pairs.map(({ cid, bytes }) => ({
    cid,
    bytes: (async function* () {
      yield bytes
    })(),
  }))
}

async function read(store: FsBlockstore, cid: CID): Promise<Buffer> {
  return await readAll(store.get(cid))
}

for (const [name, make] of [
  ['FsBlockstore', async () => new FsBlockstore(location)],
  ['DurableBlockstore', async () => new DurableBlockstore(location)],
  ['DurableBlockstore without fsync', async () => new DurableBlockstore(location, { fsync: false })],
] as const) {
  describe(`what every blockstore does: ${name}`, () => {
    let store: FsBlockstore

    beforeEach(async () => {
      store = await make()
      await store.open()
    })

    afterEach(async () => {
      await store.close()
    })

    it('gives back what was put', async () => {
      for (const { cid, bytes } of pairs.slice(name === 'FsBlockstore' ? 1 : 0)) {
        assert.equal(await store.has(cid), false)
        assert.equal((await store.put(cid, bytes)).toString(), cid.toString())
        assert.equal(await store.has(cid), true)
        assert.ok((await read(store, cid)).equals(bytes))
        await store.put(cid, bytes)
        assert.ok((await read(store, cid)).equals(bytes))
      }
    })

    it('takes a block in pieces', async () => {
      await store.put(hello.cid, [Buffer.from('he'), Buffer.from('llo')])
      assert.equal(String(await read(store, hello.cid)), 'hello')
      await store.put(
        one.cid,
        (async function* () {
          yield Buffer.from('a')
        })(),
      )
      assert.equal(String(await read(store, one.cid)), 'a')
    })

    it('finds a block by its multihash, whatever the codec', async () => {
      await store.put(hello.cid, hello.bytes)
      assert.equal(String(await read(store, CID.createV1(0x70, hello.cid.multihash))), 'hello')
    })

    it('says that a block is not there', async () => {
      assert.equal(await store.has(one.cid), false)
      await assert.rejects(read(store, one.cid), { name: 'NotFoundError' })
    })

    it('deletes, also what is not there', async () => {
      await store.put(one.cid, one.bytes)
      await store.delete(one.cid)
      assert.equal(await store.has(one.cid), false)
      await store.delete(one.cid)
    })

    it('puts, gets and deletes many', async () => {
      const put = await Array.fromAsync(store.putMany(input([one, hello, large])))
      assert.deepEqual(
        put.map(String),
        [one, hello, large].map(({ cid }) => cid.toString()),
      )
      for await (const { cid, bytes } of store.getMany([large.cid, one.cid])) {
        assert.ok((await readAll(bytes)).equals(pairs.find(pair => pair.cid.equals(cid))!.bytes))
      }
      await Array.fromAsync(store.deleteMany([one.cid, hello.cid]))
      assert.deepEqual(
        [await store.has(one.cid), await store.has(hello.cid), await store.has(large.cid)],
        [false, false, true],
      )
    })

    it('lists what it holds, and nothing else', async () => {
      await Array.fromAsync(store.putMany(input([one, hello, large])))
      // only the multihash is in a name: the CID's version and codec are anybody's guess
      const found = new Map<string, number>()
      for await (const { cid, bytes } of store.getAll()) {
        found.set(hexOf(cid), (await readAll(bytes)).byteLength)
      }
      assert.deepEqual(found, new Map([one, hello, large].map(({ cid, bytes }) => [hexOf(cid), bytes.byteLength])))
    })

    it('is stopped by a signal', async () => {
      await store.put(one.cid, one.bytes)
      const options = { signal: AbortSignal.abort() }
      await assert.rejects(async () => {
        await store.put(hello.cid, hello.bytes, options)
      })
      await assert.rejects(async () => {
        await readAll(store.get(one.cid, options))
      })
      await assert.rejects(async () => {
        await store.delete(one.cid, options)
      })
      assert.deepEqual([await store.has(one.cid), await store.has(hello.cid)], [true, false])
    })
  })
}

describe('DurableBlockstore', () => {
  it('uses the same names as FsBlockstore', async () => {
    const ours = await opened()
    await Array.fromAsync(ours.putMany(input(pairs)))
    await ours.close()
    const theirs = new FsBlockstore(location)
    await theirs.open()
    for (const { cid, bytes } of pairs) {
      assert.ok((await read(theirs, cid)).equals(bytes))
    }
    const more = { bytes: Buffer.from('more'), cid: await hashBlock(raw.code, Buffer.from('more')) }
    await theirs.put(more.cid, more.bytes)
    await theirs.close()
    const again = await opened()
    assert.equal(String(await read(again, more.cid)), 'more')
  })

  it('leaves no temporary files, and empties tmp when it is opened', async () => {
    await mkdir(join(location, 'tmp'), { recursive: true })
    await writeFile(join(location, 'tmp', '0'), 'left by a crash')
    const store = await opened()
    assert.deepEqual(await readdir(join(location, 'tmp')), [])
    await Promise.all(pairs.map(async ({ cid, bytes }) => await store.put(cid, bytes)))
    assert.deepEqual(await readdir(join(location, 'tmp')), [])
    assert.ok([...(await files()).keys()].every(name => name.endsWith('.data')))
  })

  it('writes a block anew that is there in another size, and no other', async () => {
    const store = await opened()
    await store.put(hello.cid, hello.bytes)
    const [name] = await files()
    const path = join(location, name![0].slice(-7, -5), name![0])
    const { ino } = await stat(path)
    await store.put(hello.cid, hello.bytes)
    assert.equal((await stat(path)).ino, ino)
    await writeFile(path, 'hel')
    await store.put(hello.cid, hello.bytes)
    assert.equal(String(await readFile(path)), 'hello')
    assert.equal(String(await store.read(hello.cid)), 'hello')
  })

  it('takes the same block many times at once', async () => {
    const store = await opened()
    const bytes = randomBytes(100_000, 'same')
    const cid = await hashBlock(raw.code, bytes)
    await Promise.all(Array.from({ length: 20 }, async () => await store.put(cid, bytes)))
    assert.ok(Buffer.from(await store.read(cid)).equals(bytes))
    assert.deepEqual([...(await files()).values()], [bytes.byteLength])
  })

  it("keeps what it holds when it can't write, and says why", async () => {
    const store = await opened()
    await store.put(one.cid, one.bytes)
    await rm(join(location, 'tmp'), { recursive: true })
    await assert.rejects(store.put(hello.cid, hello.bytes), { code: 'ENOENT' })
    assert.equal(await store.has(hello.cid), false)
    assert.equal(String(await store.read(one.cid)), 'a')
  })

  it('reads into a buffer where the block fits in', async () => {
    const store = await opened()
    await store.put(hello.cid, hello.bytes)
    const into = Buffer.alloc(10, '-')
    assert.equal(String(await store.read(hello.cid, { into })), 'hello')
    assert.equal(String(into), 'hello-----')
    const small = Buffer.alloc(3, '-')
    assert.equal(String(await store.read(hello.cid, { into: small })), 'hello')
    assert.equal(String(small), '---')
  })

  it('syncs once for all who ask meanwhile, and again for who asks later', async () => {
    const store = await opened({ fsync: true })
    await Promise.all(pairs.map(async ({ cid, bytes }) => await store.put(cid, bytes)))
    await Promise.all([
      store.sync(),
      store.sync(),
      store.put(one.cid, one.bytes).then(async () => {
        await store.sync()
      }),
    ])
    await store.sync()
    await store.close()
    await store.close()
  })

  it("can't sync a directory that is gone, says so, and tries again", async () => {
    const store = await opened({ fsync: true })
    await store.put(hello.cid, hello.bytes)
    const [name] = await files()
    const shard = join(location, name![0].slice(-7, -5))
    await rename(shard, `${shard}-away`)
    await assert.rejects(store.sync(), { code: 'ENOENT' })
    await assert.rejects(store.sync(), { code: 'ENOENT' })
    await rename(`${shard}-away`, shard)
    await store.sync()
  })
})

describe('a CID whose block can lie in no file', () => {
  for (const [what, code, length] of [
    ['with a multihash of 300 bytes', 0x12, 300],
    ['with a multihash of 100,000 bytes', 0x99, 100_000],
    ['by a hash that nobody here can compute', 0x1e, 32],
    ['by a part of a hash', 0x12, 16],
    ['that holds more itself than it may', identity.code, 200],
  ] as const) {
    it(`${what} is that of a block that is not here, and can't be put`, async () => {
      const store = await opened()
      const cid = CID.createV1(raw.code, createMultihash(code, new Uint8Array(length)))
      await assert.rejects(store.put(cid, Buffer.from('a')), { name: 'RefusedDagError' })
      assert.equal(await store.has(cid), false)
      assert.equal(await store.size(cid), 0)
      await assert.rejects(read(store, cid), { name: 'NotFoundError' })
      await store.delete(cid)
      await store.quarantine(cid, async () => true)
      assert.equal((await files()).size, 0)
      await store.close()
    })
  }

  it('is here where it holds the block itself, and needs no file', async () => {
    const store = await opened()
    const cid = CID.createV1(raw.code, identity.digest(Buffer.from('inline')))
    await store.put(cid, Buffer.from('inline'))
    assert.equal((await files()).size, 0)
    assert.ok(await store.has(cid))
    assert.equal(String(await read(store, cid)), 'inline')
    await store.delete(cid)
    assert.ok(await store.has(cid))
    await store.close()
  })
})
