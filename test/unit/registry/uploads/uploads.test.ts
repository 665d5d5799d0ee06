import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { CID } from 'multiformats/cid'
import { leafBlock } from '../../../fixtures/leaf-block.ts'
import { StorageFullError } from '../../../../src/ipfs/errors.ts'
import { parseDigest } from '../../../../src/oci/digest.ts'
import { uploadRange } from '../../../../src/registry/uploads/upload-range.ts'
import { randomBytes, randomStream, sha256 } from '../../../fixtures/images.ts'
import { sha512 } from '../../../fixtures/manifests.ts'
import { TestRegistry, readAll, stream } from '../../../fixtures/registry.ts'
import { until } from '../../../fixtures/until.ts'

const mebibyte = 1024 * 1024
const bytes = randomBytes(2 * mebibyte + 500_000, 'upload')
const digest = sha256(bytes)
const unknown = { name: 'OciError', code: 'BLOB_UPLOAD_UNKNOWN', status: 404 }
const gone = new Error('the client is gone')

let stores: TestRegistry

beforeEach(async () => {
  stores = await TestRegistry.open()
})
afterEach(async () => {
  await stores[Symbol.asyncDispose]()
})

async function append(id: string, content: Uint8Array, range?: { start: number; end: number }): Promise<number> {
  return await stores.uploads.append('r', id, stream(content), range === undefined ? {} : { range })
}

async function commit(
  id: string,
  content: Uint8Array = new Uint8Array(),
  as = digest,
): Promise<{ cid: string; size: number }> {
  return await stores.uploads.commit('r', id, as, stream(content))
}

async function readBlob(as = digest, repository = 'r'): Promise<Buffer> {
  return await readAll((await stores.repository(repository).blob(as)).read())
}

/** A source that goes on when it is told to */
function stalled(
  before: Uint8Array,
  after: Uint8Array,
): { source: AsyncIterable<Uint8Array>; reached: Promise<void>; release: () => void } {
  const { promise: reached, resolve: reach } = Promise.withResolvers<void>()
  const { promise: released, resolve: release } = Promise.withResolvers<void>()
  const source = (async function* () {
    yield* stream(before)
    reach()
    await released
    yield* stream(after)
  })()
  return { source, reached, release }
}

async function* failing(before: Uint8Array): AsyncGenerator<Uint8Array> {
  yield* stream(before)
  throw gone
}

describe('an upload', () => {
  for (const [what, cuts] of [
    ['at once', []],
    ['in two chunks', [700_000]],
    ['in chunks at the edges of leaves', [mebibyte - 1, mebibyte, mebibyte + 1, 2 * mebibyte]],
    ['with empty chunks', [0, 0, 100, 100]],
  ] as const) {
    it(`${what} becomes a blob of the repository`, async () => {
      const id = await stores.uploads.create('r')
      let offset = 0
      for (const cut of cuts) {
        assert.equal(await append(id, bytes.subarray(offset, cut)), cut)
        assert.equal(await stores.uploads.size('r', id), cut)
        offset = cut
      }
      const { cid, size } = await commit(id, bytes.subarray(offset))
      assert.equal(size, bytes.byteLength)
      assert.equal((await stores.content.add(bytes)).cid, cid)
      assert.ok((await readBlob()).equals(bytes))
      await assert.rejects(stores.uploads.size('r', id), unknown)
      await assert.rejects(readBlob(digest, 'other'), { code: 'BLOB_UNKNOWN' })
    })
  }

  it('may be empty', async () => {
    const id = await stores.uploads.create('r')
    assert.equal((await commit(id, Buffer.alloc(0), sha256(Buffer.alloc(0)))).size, 0)
    assert.equal((await readBlob(sha256(Buffer.alloc(0)))).byteLength, 0)
  })

  it('that nobody knows, or another repository has, is unknown', async () => {
    const id = await stores.uploads.create('r')
    for (const [repository, other] of [
      ['s', id],
      ['r', 'none'],
      ['r', ''],
      ['r', '../r'],
    ] as const) {
      await assert.rejects(stores.uploads.size(repository, other), unknown)
      await assert.rejects(stores.uploads.append(repository, other, stream(bytes)), unknown)
      await assert.rejects(stores.uploads.commit(repository, other, digest, stream(bytes)), unknown)
      await assert.rejects(stores.uploads.cancel(repository, other), unknown)
    }
    assert.equal(await stores.uploads.size('r', id), 0)
  })

  it('is dropped where its digest differs, and becomes no blob', async () => {
    const id = await stores.uploads.create('r')
    const other = sha256(Buffer.from('other'))
    await assert.rejects(commit(id, bytes, other), {
      code: 'DIGEST_INVALID',
      detail: { digest: other, actual: digest },
    })
    await assert.rejects(stores.uploads.size('r', id), unknown)
    for (const as of [digest, other]) {
      await assert.rejects(readBlob(as), { code: 'BLOB_UNKNOWN' })
    }
  })

  for (const [first, last] of [
    ['sha256', 'sha512'],
    ['sha512', 'sha256'],
    ['sha512', 'sha512'],
  ] as const) {
    it(`that began with ${first} may end with ${last}`, async () => {
      const id = await stores.uploads.create('r', first)
      await append(id, bytes.subarray(0, 100))
      const as = last === 'sha256' ? digest : sha512(bytes)
      await commit(id, bytes.subarray(100), as)
      assert.ok((await readBlob(as)).equals(bytes))
      const wrong = await stores.uploads.create('r', first)
      await assert.rejects(commit(wrong, bytes.subarray(1), as), { code: 'DIGEST_INVALID' })
    })
  }

  it('can be cancelled', async () => {
    const id = await stores.uploads.create('r')
    await append(id, bytes)
    assert.equal(await stores.uploads.count(), 1)
    await stores.uploads.cancel('r', id)
    assert.equal(await stores.uploads.count(), 0)
    await assert.rejects(append(id, bytes), unknown)
    await assert.rejects(stores.uploads.cancel('r', id), unknown)
    assert.deepEqual(await stores.index.uploadLeaves(id), [])
  })

  it('tells how far it is', () => {
    assert.deepEqual(
      [0, 1, 2, mebibyte].map(size => uploadRange(size).Range),
      ['0-0', '0-0', '0-1', '0-1048575'],
    )
  })
})

describe('an upload after a restart', () => {
  for (const size of [0, 1, mebibyte - 1, mebibyte, mebibyte + 1, 2 * mebibyte + 5]) {
    it(`goes on after ${size} bytes`, async () => {
      const id = await stores.uploads.create('r', 'sha512')
      await append(id, bytes.subarray(0, size))
      await stores.reopen()
      assert.equal(await stores.uploads.size('r', id), size)
      await append(id, bytes.subarray(size, size + 10))
      await stores.reopen()
      const { cid } = await commit(id, bytes.subarray(size + 10), sha512(bytes))
      assert.equal(cid, (await stores.content.add(bytes)).cid)
      await stores.reopen()
      assert.ok((await readBlob(sha512(bytes))).equals(bytes))
    })
  }

  it('still finds that the digest differs', async () => {
    const id = await stores.uploads.create('r')
    await append(id, bytes.subarray(0, 100))
    await stores.reopen()
    await assert.rejects(commit(id, bytes.subarray(99)), { code: 'DIGEST_INVALID' })
  })

  it('has most of what a long request brought, though that never ended', async () => {
    const id = await stores.uploads.create('r')
    const { source, reached, release } = stalled(Buffer.concat([...randomStream(4 * mebibyte, 'end')]), Buffer.alloc(0))
    const { blockstore } = stores
    const work = stores.uploads.append(
      'r',
      id,
      (async function* () {
        yield* randomStream(30 * mebibyte, 'begin')
        await until('the first leaves are stored', () => blockstore.space.usage.atLeast === 30 * mebibyte)
        yield* source
      })(),
    )
    await reached
    await stores.reopen()
    const size = await stores.uploads.size('r', id)
    assert.ok(size >= 30 * mebibyte && size <= 34 * mebibyte, String(size))
    release()
    await work.catch(() => {})
  })

  it('never has less than was acknowledged, in whatever order the leaves are stored', async () => {
    const id = await stores.uploads.create('r')
    await append(id, bytes.subarray(0, 100))
    const { promise, resolve } = Promise.withResolvers<void>()
    const more = Buffer.concat([...randomStream(34 * mebibyte, 'order')])
    const first = await leafBlock(Buffer.concat([bytes.subarray(0, 100), more]).subarray(0, mebibyte))
    stores.blockstore.beforePut = async cid => {
      if (cid.equals(first.cid)) {
        await promise
      }
    }
    const { source, reached, release } = stalled(more, Buffer.alloc(0))
    const work = stores.uploads.append('r', id, source)
    await reached
    await stores.reopen()
    assert.equal(await stores.uploads.size('r', id), 100)
    resolve()
    release()
    await work.catch(() => {})
    await commit(id, bytes.subarray(100))
    assert.ok((await readBlob()).equals(bytes))
  })

  it('stops where its tail is damaged, rather than make something else of it', async () => {
    const id = await stores.uploads.create('r')
    await append(id, bytes.subarray(0, 100))
    await stores.reopen()
    const { tail } = (await stores.index.upload(id))!
    await stores.blockstore.delete(CID.parse(tail!))
    await assert.rejects(append(id, bytes.subarray(100)), { code: 'UNAVAILABLE', status: 503 })
    assert.equal(await stores.uploads.size('r', id), 100)
  })
})

describe('chunks of an upload', () => {
  it('go where they say that they belong', async () => {
    const id = await stores.uploads.create('r')
    assert.equal(await append(id, bytes.subarray(0, 10), { start: 0, end: 9 }), 10)
    for (const range of [
      { start: 0, end: 9 },
      { start: 9, end: 18 },
      { start: 11, end: 20 },
    ]) {
      await assert.rejects(append(id, bytes.subarray(0, 10), range), {
        code: 'RANGE_INVALID',
        status: 416,
        headers: { Range: '0-9' },
      })
      await assert.rejects(stores.uploads.commit('r', id, digest, stream(bytes), { range }), { code: 'RANGE_INVALID' })
    }
    assert.equal(await append(id, bytes.subarray(10, 20), { start: 10, end: 19 }), 20)
    await commit(id, bytes.subarray(20))
    assert.ok((await readBlob()).equals(bytes))
  })

  it('are as long as they say', async () => {
    const id = await stores.uploads.create('r')
    await assert.rejects(append(id, bytes.subarray(0, 11), { start: 0, end: 9 }), { code: 'SIZE_INVALID', status: 400 })
    assert.equal(await stores.uploads.size('r', id), 0)
    await assert.rejects(append(id, bytes.subarray(0, 5), { start: 0, end: 9 }), { code: 'SIZE_INVALID' })
    const size = await stores.uploads.size('r', id)
    await commit(id, bytes.subarray(size))
    assert.ok((await readBlob()).equals(bytes))
  })

  it('that come at once are taken one after the other', async () => {
    const id = await stores.uploads.create('r')
    const pieces = [bytes.subarray(0, 300_000), bytes.subarray(300_000, mebibyte), bytes.subarray(mebibyte)]
    const sizes = await Promise.all(pieces.map(async piece => await append(id, piece)))
    assert.deepEqual(sizes, [300_000, mebibyte, bytes.byteLength])
    await commit(id)
    assert.ok((await readBlob()).equals(bytes))
  })

  it('that wait may give up', async () => {
    const id = await stores.uploads.create('r')
    const { source, reached, release } = stalled(bytes.subarray(0, 10), bytes.subarray(10, 20))
    const first = stores.uploads.append('r', id, source)
    await reached
    const controller = new AbortController()
    const second = stores.uploads.append('r', id, stream(bytes), { signal: controller.signal })
    controller.abort()
    await assert.rejects(second, { name: 'AbortError' })
    assert.equal(await stores.uploads.size('r', id), 10)
    release()
    assert.equal(await first, 20)
  })
})

describe('an upload that is interrupted', () => {
  it('keeps what arrived', async () => {
    const id = await stores.uploads.create('r')
    await assert.rejects(stores.uploads.append('r', id, failing(bytes.subarray(0, 1_200_000))), gone)
    assert.equal(await stores.uploads.size('r', id), 1_200_000)
    await assert.rejects(stores.uploads.commit('r', id, digest, failing(bytes.subarray(1_200_000, 1_300_000))), gone)
    assert.equal(await stores.uploads.size('r', id), 1_300_000)
    await stores.reopen()
    await commit(id, bytes.subarray(1_300_000))
    assert.ok((await readBlob()).equals(bytes))
  })

  for (const last of ['append', 'commit'] as const) {
    it(`by a full disk in ${last} goes on once there is room`, async () => {
      const id = await stores.uploads.create('r')
      await append(id, bytes.subarray(0, 1000))
      stores.blockstore.beforePut = () => {
        throw new StorageFullError()
      }
      const rest = bytes.subarray(1000)
      await assert.rejects(last === 'append' ? append(id, rest) : commit(id, rest), {
        name: 'OciError',
        code: 'STORAGE_FULL',
        status: 507,
      })
      assert.equal(await stores.uploads.size('r', id), 1000)
      await assert.rejects(append(id, bytes.subarray(1000, 1100)), { code: 'STORAGE_FULL' })
      stores.blockstore.beforePut = () => {}
      await commit(id, rest)
      assert.ok((await readBlob()).equals(bytes))
    })
  }

  it('by a disk that does not sync is not acknowledged, and can be committed again', async () => {
    const id = await stores.uploads.create('r')
    await append(id, bytes)
    stores.blockstore.sync = async () => {
      throw new Error('I/O error')
    }
    await assert.rejects(commit(id), { message: 'I/O error' })
    await assert.rejects(readBlob(), { code: 'BLOB_UNKNOWN' })
    Reflect.deleteProperty(stores.blockstore, 'sync')
    await commit(id)
    assert.ok((await readBlob()).equals(bytes))
  })

  it('does not come back to life when somebody asks for it while it is completed', async () => {
    const id = await stores.uploads.create('r')
    await append(id, bytes)
    const { promise, resolve } = Promise.withResolvers<void>()
    let putting = false
    stores.blockstore.beforePut = async () => {
      putting = true
      await promise
    }
    const committed = commit(id)
    await until('the last node is being written', () => putting)
    assert.equal(await stores.uploads.size('r', id), bytes.byteLength)
    resolve()
    await committed
    await assert.rejects(stores.uploads.size('r', id), unknown)
    await assert.rejects(append(id, bytes), unknown)
    assert.equal(await stores.uploads.count(), 0)
  })
})

describe('uploads that nobody goes on with', () => {
  /** Makes the last write to an upload one of eight days ago */
  async function age(id: string): Promise<void> {
    const updated = new Date(Date.now() - 8 * 24 * 60 * 60 * 1000).toISOString()
    await stores.index
      .change()
      .putUpload(id, { ...(await stores.index.upload(id))!, updated })
      .commit({ durable: false })
  }

  it('expire, at the start too', async () => {
    const old = await stores.uploads.create('r')
    await append(old, bytes)
    await age(old)
    const fresh = await stores.uploads.create('r')
    await stores.uploads.expire()
    await assert.rejects(stores.uploads.size('r', old), unknown)
    assert.equal(await stores.uploads.size('r', fresh), 0)
    assert.deepEqual(
      stores.logged.map(({ message, upload, size, repository }) => [message, upload, size, repository]),
      [['upload expired', old, bytes.byteLength, 'r']],
    )
    await age(fresh)
    await stores.reopen()
    await stores.uploads.start()
    await stores.uploads.start()
    await assert.rejects(stores.uploads.size('r', fresh), unknown)
    await stores.uploads.stop()
    await stores.uploads.stop()
  })

  it('do not where somebody does meanwhile', async () => {
    const id = await stores.uploads.create('r')
    await age(id)
    const { source, reached, release } = stalled(bytes.subarray(0, 100), bytes.subarray(100))
    const work = stores.uploads.append('r', id, source)
    await reached
    const expired = stores.uploads.expire()
    await sleep(5)
    release()
    await Promise.all([work, expired])
    await stores.uploads.commit('r', id, parseDigest(digest), stream(Buffer.alloc(0)))
    assert.equal((await stores.repository('r').blob(digest)).size, bytes.byteLength)
  })
})
