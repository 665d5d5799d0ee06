import assert from 'node:assert/strict'
import { statfs } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { TestApp, assertError, type Reply } from '../fixtures/app.ts'
import { randomBytes, sha256 } from '../fixtures/images.ts'
import { descriptorOf, imageManifest } from '../fixtures/manifests.ts'
import { stream } from '../fixtures/registry.ts'

const mebibyte = 1024 * 1024
const maxBytes = 8 * mebibyte

let app: TestApp

beforeEach(async () => {
  app = await TestApp.start({ maxBytes })
})
afterEach(async () => {
  await app[Symbol.asyncDispose]()
})

/** The ways in which a blob may come */
const ways: Record<string, (bytes: Buffer) => Promise<Reply>> = {
  'a POST': async bytes => await app.request('POST', `/v2/a/blobs/uploads/?digest=${sha256(bytes)}`, { body: bytes }),
  'a POST of unknown length': async bytes =>
    await app.request('POST', `/v2/a/blobs/uploads/?digest=${sha256(bytes)}`, { body: bytes, chunked: true }),
  'a PUT': async bytes =>
    await app.request('PUT', `${await app.startUpload('a')}?digest=${sha256(bytes)}`, { body: bytes }),
  'a PUT of unknown length': async bytes =>
    await app.request('PUT', `${await app.startUpload('a')}?digest=${sha256(bytes)}`, { body: bytes, chunked: true }),
  'a PATCH': async bytes => await app.request('PATCH', await app.startUpload('a'), { body: bytes }),
  'a PATCH of unknown length': async bytes =>
    await app.request('PATCH', await app.startUpload('a'), { body: bytes, chunked: true }),
  'many PATCHes': async bytes => {
    const path = await app.startUpload('a')
    let reply: Reply | undefined
    for (
      let offset = 0;
      offset < bytes.byteLength && (reply === undefined || reply.status === 202);
      offset += mebibyte
    ) {
      const chunk = bytes.subarray(offset, offset + mebibyte)
      reply = await app.request('PATCH', path, {
        body: chunk,
        headers: { 'Content-Range': `${offset}-${offset + chunk.byteLength - 1}` },
      })
    }
    return reply!
  },
}

for (const [way, push] of Object.entries(ways)) {
  describe(`a blob that comes by ${way}`, () => {
    it('is 413 where there could never be room for it', async () => {
      const detail = assertError(await push(randomBytes(maxBytes + mebibyte, 'large')), 'BLOB_TOO_LARGE')
      assert.equal(detail?.['limit'], 'storage.maxBytes')
      assert.equal(detail['maxBytes'], maxBytes)
      assert.ok(Number(detail['bytes']) > maxBytes)
    })

    it('is 507 where there is no room for it now', async () => {
      const first = randomBytes(6 * mebibyte, 'first')
      assert.equal((await app.pushBlob('a', first)).status, 201)
      const detail = assertError(await push(randomBytes(4 * mebibyte, 'second')), 'STORAGE_FULL')
      assert.equal(detail?.['limit'], 'storage.maxBytes')
      assert.equal(detail['maxBytes'], maxBytes)
      assert.ok(Number(detail['used']) >= 6 * mebibyte && Number(detail['wanted']) > 0)
      assert.ok((await app.get(`/v2/a/blobs/${sha256(first)}`)).body.equals(first))
      assert.ok(app.stores.blockstore.space.usage.total! <= maxBytes)
    })
  })
}

describe('where blocks may take no more', () => {
  const layer = randomBytes(maxBytes - 3000, 'layer')
  const manifest = imageManifest({ layers: [descriptorOf(layer)] })

  beforeEach(async () => {
    await app.pushEmptyConfig('a')
    assert.equal((await app.pushBlob('a', layer)).status, 201)
  })

  it('an upload that begins is refused, and so is a manifest; pulls, lists, mounts and deletes go on', async () => {
    assert.equal((await app.pushBlob('a', randomBytes(2000, 'rest'))).status, 201)
    assertError(await app.pushManifest('a', 'latest', manifest), 'STORAGE_FULL')
    await app.pushBlob('a', randomBytes(maxBytes - app.stores.blockstore.space.usage.total!, 'last'))
    assertError(await app.request('POST', '/v2/a/blobs/uploads/'), 'STORAGE_FULL')
    assert.equal((await app.request('POST', `/v2/b/blobs/uploads/?mount=${sha256(layer)}&from=a`)).status, 201)
    assert.ok((await app.get(`/v2/b/blobs/${sha256(layer)}`)).body.equals(layer))
    assert.equal((await app.request('DELETE', `/v2/a/blobs/${sha256(layer)}`)).status, 202)
    assert.equal((await app.get('/v2/_catalog')).status, 200)
  })

  it('an upload that was refused goes on once there is room', async () => {
    const blob = randomBytes(2 * mebibyte, 'blob')
    const path = await app.startUpload('a')
    assert.equal((await app.request('PATCH', path, { body: blob.subarray(0, 1000) })).status, 202)
    assertError(
      await app.request('PUT', `${path}?digest=${sha256(blob)}`, { body: blob.subarray(1000) }),
      'STORAGE_FULL',
    )
    const { blockstore } = app.stores
    for await (const { cid } of blockstore.getAll()) {
      if ((await blockstore.size(cid)) === mebibyte) {
        await blockstore.delete(cid)
      }
    }
    assert.equal((await app.get(path)).headers.range, '0-999')
    assert.equal(
      (await app.request('PUT', `${path}?digest=${sha256(blob)}`, { body: blob.subarray(1000) })).status,
      201,
    )
  })
})

describe('an upload', () => {
  it('that turns out too large is gone', async () => {
    const path = await app.startUpload('a')
    const large = randomBytes(maxBytes + 1, 'too large')
    assert.equal((await app.request('PATCH', path, { body: large.subarray(0, mebibyte) })).status, 202)
    assertError(await app.request('PATCH', path, { body: large.subarray(mebibyte), chunked: true }), 'BLOB_TOO_LARGE')
    assertError(await app.get(path), 'BLOB_UPLOAD_UNKNOWN')
  })

  it('larger than the file system is refused before it comes', async () => {
    const { blocks, bsize } = await statfs(tmpdir())
    await using unlimited = await TestApp.start()
    const path = await unlimited.startUpload('a')
    const text = await unlimited.exchange(
      `PATCH ${path} HTTP/1.1\r\nHost: a\r\nContent-Length: ${blocks * bsize + 1}\r\nConnection: close\r\n\r\nx`,
    )
    assert.match(text, /^HTTP\/1\.1 413 .*BLOB_TOO_LARGE.*"limit":"file system"/s)
  })
})

describe('many uploads at once', () => {
  it('together take no more than there is', async () => {
    const replies = await Promise.all(
      Array.from({ length: 8 }, async (_, i) => {
        const bytes = randomBytes(3 * mebibyte, `together ${i}`)
        return await app.stores.pushBlob('a', bytes).then(
          () => 201,
          (err: { status: number }) => err.status,
        )
      }),
    )
    assert.ok(app.stores.blockstore.space.usage.total! <= maxBytes)
    assert.ok(
      replies.every(status => status === 201 || status === 507),
      replies.join(),
    )
    assert.ok(replies.includes(507))
    const id = await app.stores.uploads.create('a').catch(() => undefined)
    if (id !== undefined) {
      await assert.rejects(app.stores.uploads.append('a', id, stream(randomBytes(4 * mebibyte, 'one more'))), {
        status: 507,
      })
    }
  })
})
