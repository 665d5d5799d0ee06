import assert from 'node:assert/strict'
import { once } from 'node:events'
import { after, before, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { StorageFullError } from '../../src/ipfs/errors.ts'
import { randomBytes, sha256 } from '../fixtures/images.ts'
import { sha512 } from '../fixtures/manifests.ts'
import { TestApp, assertError, type Reply } from '../fixtures/app.ts'
import { until } from '../fixtures/until.ts'

const mebibyte = 1024 * 1024
const bytes = randomBytes(mebibyte + 300_000, 'upload')
const digest = sha256(bytes)
const uploadPath = /^\/v2\/a\/b\/blobs\/uploads\/[0-9a-f-]{36}$/

let app: TestApp

before(async () => {
  app = await TestApp.start()
})
after(async () => {
  await app[Symbol.asyncDispose]()
})

async function patch(path: string, body: Uint8Array, headers: Record<string, string> = {}): Promise<Reply> {
  return await app.request('PATCH', path, { body, headers })
}

function assertUpload(reply: Reply, status: number, path: string, size: number): void {
  assert.deepEqual(
    [
      reply.status,
      reply.headers.location,
      reply.headers.range,
      reply.headers['docker-upload-uuid'],
      reply.body.byteLength,
    ],
    [status, path, `0-${Math.max(0, size - 1)}`, path.split('/').at(-1), 0],
  )
}

async function assertStored(reply: Reply, content: Uint8Array, as = sha256(content)): Promise<void> {
  const { cid } = await app.stores.content.add(content)
  assert.deepEqual(
    [
      reply.status,
      reply.headers.location,
      reply.headers['docker-content-digest'],
      reply.headers['x-ipfs-cid'],
      reply.headers['content-length'],
    ],
    [201, `/v2/a/b/blobs/${as}`, as, cid, '0'],
  )
  assert.ok((await app.get(`/v2/a/b/blobs/${as}`)).body.equals(content))
}

describe('an upload', () => {
  it('begins with a POST, and its Location is relative', async () => {
    for (const path of ['/v2/a/b/blobs/uploads/', '/v2/a/b/blobs/uploads', '/v2/a/b/blobs/uploads/?x=y']) {
      const reply = await app.request('POST', path, {
        headers: { Host: 'evil.example', 'X-Forwarded-Host': 'evil.example' },
      })
      assert.match(String(reply.headers.location), uploadPath)
      assertUpload(reply, 202, String(reply.headers.location), 0)
    }
  })

  for (const chunked of [false, true]) {
    it(`goes on with PATCH, ends with PUT${chunked ? ', both without a length' : ''}`, async () => {
      const path = await app.startUpload('a/b')
      assertUpload(await app.request('PATCH', path, { body: bytes.subarray(0, 400_000), chunked }), 202, path, 400_000)
      assertUpload(await app.get(path), 204, path, 400_000)
      assertUpload(await app.request('HEAD', path), 204, path, 400_000)
      await assertStored(
        await app.request('PUT', `${path}?digest=${digest}`, { body: bytes.subarray(400_000), chunked }),
        bytes,
      )
      assertError(await app.get(path), 'BLOB_UPLOAD_UNKNOWN')
    })
  }

  it('may end without a body, be one PUT, or be one POST', async () => {
    const path = await app.startUpload('a/b')
    await patch(path, bytes)
    await assertStored(await app.request('PUT', `${path}?digest=${digest}`), bytes)
    await assertStored(
      await app.request('PUT', `${await app.startUpload('a/b')}?digest=${digest}`, { body: bytes }),
      bytes,
    )
    await assertStored(await app.request('POST', `/v2/a/b/blobs/uploads/?digest=${digest}`, { body: bytes }), bytes)
    await assertStored(
      await app.request('POST', `/v2/a/b/blobs/uploads/?digest=${encodeURIComponent(digest)}`, {
        body: bytes,
        chunked: true,
      }),
      bytes,
    )
    await assertStored(
      await app.request('POST', `/v2/a/b/blobs/uploads/?digest=${sha256(Buffer.alloc(0))}`),
      Buffer.alloc(0),
    )
  })

  it('of one POST that fails leaves nothing behind', async () => {
    const before = await app.stores.uploads.count()
    assertError(
      await app.request('POST', `/v2/a/b/blobs/uploads/?digest=${sha256(Buffer.from('other'))}`, { body: bytes }),
      'DIGEST_INVALID',
    )
    const socket = app.connect()
    socket.write(`POST /v2/a/b/blobs/uploads/?digest=${digest} HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nabc`)
    await until('the upload', async () => (await app.stores.uploads.count()) > before)
    socket.destroy()
    await until('its end', async () => (await app.stores.uploads.count()) === before)
  })

  it('ends with the digest that the client says, in any algorithm', async () => {
    for (const [query, as] of [
      ['', sha512(bytes)],
      ['?digest-algorithm=sha512', sha512(bytes)],
      ['?digest-algorithm=sha512', digest],
      ['?digest-algorithm=sha256', digest],
    ] as const) {
      const { headers } = await app.request('POST', `/v2/a/b/blobs/uploads/${query}`)
      await assertStored(await app.request('PUT', `${headers.location}?digest=${as}`, { body: bytes }), bytes, as)
    }
    for (const query of [
      '?digest-algorithm=md5',
      '?digest-algorithm=',
      '?digest-algorithm=sha256&digest-algorithm=sha512',
      '?digest-algorithm=__proto__',
    ]) {
      assertError(await app.request('POST', `/v2/a/b/blobs/uploads/${query}`), 'DIGEST_INVALID')
    }
  })

  it('whose digest differs is dropped', async () => {
    const path = await app.startUpload('a/b')
    const other = sha256(Buffer.from('other'))
    assert.deepEqual(
      assertError(await app.request('PUT', `${path}?digest=${other}`, { body: bytes }), 'DIGEST_INVALID'),
      { digest: other, actual: digest },
    )
    assertError(await app.get(`/v2/a/b/blobs/${other}`), 'BLOB_UNKNOWN')
    assertError(await app.get(path), 'BLOB_UPLOAD_UNKNOWN')
  })

  it('without a digest, or with two, does not end, and can still', async () => {
    const path = await app.startUpload('a/b')
    for (const query of [
      '',
      '?digest=',
      '?digest',
      '?digest=abc',
      `?digest=${digest}&digest=${digest}`,
      `?digest[]=${digest}`,
      `?Digest=${digest}`,
    ]) {
      assertError(await app.request('PUT', `${path}${query}`, { body: bytes }), 'DIGEST_INVALID')
    }
    assertUpload(await app.get(path), 204, path, 0)
    await assertStored(await app.request('PUT', `${path}?digest=${digest}`, { body: bytes }), bytes)
  })

  it('belongs to its repository', async () => {
    const id = (await app.startUpload('a/b')).split('/').at(-1)
    for (const [method, query] of [
      ['GET', ''],
      ['PATCH', ''],
      ['PUT', `?digest=${digest}`],
      ['DELETE', ''],
    ] as const) {
      assertError(
        await app.request(method, `/v2/a/blobs/uploads/${id}${query}`, { body: bytes }),
        'BLOB_UPLOAD_UNKNOWN',
      )
    }
    assert.equal((await app.get(`/v2/a/b/blobs/uploads/${id}`)).status, 204)
  })

  it('is cancelled once', async () => {
    const path = await app.startUpload('a/b')
    const reply = await app.request('DELETE', path)
    assert.deepEqual([reply.status, reply.body.byteLength], [204, 0])
    for (const method of ['GET', 'DELETE', 'PATCH']) {
      assertError(await app.request(method, path), 'BLOB_UPLOAD_UNKNOWN')
    }
  })
})

describe('a chunk', () => {
  it('goes where its Content-Range says', async () => {
    const path = await app.startUpload('a/b')
    assertUpload(await patch(path, bytes.subarray(0, 10), { 'Content-Range': '0-9' }), 202, path, 10)
    assertUpload(await patch(path, bytes.subarray(10, 20), { 'Content-Range': 'bytes 10-19/*' }), 202, path, 20)
    for (const range of ['0-9', '10-19', '19-28', '21-30']) {
      for (const [method, query] of [
        ['PATCH', ''],
        ['PUT', `?digest=${digest}`],
      ] as const) {
        const reply = await app.request(method, path + query, {
          body: bytes.subarray(0, 10),
          headers: { 'Content-Range': range },
        })
        assertError(reply, 'RANGE_INVALID')
        assert.equal(reply.headers.range, '0-19')
      }
    }
    await assertStored(
      await app.request('PUT', `${path}?digest=${digest}`, {
        body: bytes.subarray(20),
        headers: { 'Content-Range': `20-${bytes.byteLength - 1}` },
      }),
      bytes,
    )
  })

  for (const range of ['', 'x', '5', '9-0', 'bytes */10', '0-9,10-19', `0-${'9'.repeat(30)}`]) {
    it(`is refused where its Content-Range is ${JSON.stringify(range)}`, async () => {
      const path = await app.startUpload('a/b')
      assertError(await patch(path, bytes.subarray(0, 10), { 'Content-Range': range }), 'RANGE_INVALID')
      assertUpload(await app.get(path), 204, path, 0)
    })
  }

  it('is as long as its Content-Range says', async () => {
    const path = await app.startUpload('a/b')
    for (const range of ['0-8', '0-10']) {
      assertError(await patch(path, bytes.subarray(0, 10), { 'Content-Range': range }), 'SIZE_INVALID')
      assertUpload(await app.get(path), 204, path, 0)
    }
    assertError(
      await app.request('PATCH', path, { body: bytes, headers: { 'Content-Range': '0-8' }, chunked: true }),
      'SIZE_INVALID',
    )
    assertError(
      await app.request('PATCH', path, {
        body: bytes.subarray(0, 5),
        headers: { 'Content-Range': '0-8' },
        chunked: true,
      }),
      'SIZE_INVALID',
    )
    const { range } = (await app.get(path)).headers
    const next = range === '0-0' ? 0 : Number(range?.split('-')[1]) + 1
    await assertStored(await app.request('PUT', `${path}?digest=${digest}`, { body: bytes.subarray(next) }), bytes)
  })
})

describe('a body that is refused half-way', () => {
  it('gets its answer, and the connection goes on', async () => {
    const path = await app.startUpload('a/b')
    const chunk = (size: number): string => `${size.toString(16)}\r\n${'x'.repeat(size)}\r\n`
    const text = await app.exchange(
      `PATCH ${path} HTTP/1.1\r\nHost: a\r\nContent-Range: 0-9\r\nTransfer-Encoding: chunked\r\n\r\n${chunk(20)}${chunk(100_000).repeat(20)}0\r\n\r\n` +
        'GET /v2/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n',
    )
    assert.deepEqual(
      [...text.matchAll(/HTTP\/1\.1 (\d+)/g)].map(match => match[1]),
      ['400', '200'],
    )
    assert.match(text, /SIZE_INVALID/)
  })

  it('by a full disk gets 507, and can be sent again', async () => {
    const path = await app.startUpload('a/b')
    app.stores.blockstore.beforePut = () => {
      throw new StorageFullError()
    }
    const large = randomBytes(12 * mebibyte, 'large')
    for (const chunked of [false, true]) {
      assertError(await app.request('PATCH', path, { body: large, chunked }), 'STORAGE_FULL')
      assertError(await app.request('PUT', `${path}?digest=${sha256(large)}`, { body: large, chunked }), 'STORAGE_FULL')
    }
    assertUpload(await app.get(path), 204, path, 0)
    app.stores.blockstore.beforePut = () => {}
    await assertStored(await app.request('PUT', `${path}?digest=${sha256(large)}`, { body: large }), large)
  })
})

describe('a client that goes away in mid-upload', () => {
  for (const [what, head] of [
    ['a length', `Content-Length: ${bytes.byteLength}`],
    ['chunks', 'Transfer-Encoding: chunked'],
  ] as const) {
    for (const how of ['destroy', 'end', 'resetAndDestroy'] as const) {
      it(`after a part of ${what}, by ${how}, can go on later`, async () => {
        const path = await app.startUpload('a/b')
        const socket = app.connect()
        socket.write(`PATCH ${path} HTTP/1.1\r\nHost: a\r\nX-Request-Id: vanished\r\n${head}\r\n\r\n`)
        socket.write(what === 'chunks' ? `${(500_000).toString(16)}\r\n` : '')
        socket.write(bytes.subarray(0, 500_000))
        await until('the bytes', async () => (await app.get(path)).headers.range === '0-499999')
        socket[how]()
        await until('the end of the request', () =>
          app.requests.some(({ url, method }) => url === path && method === 'PATCH'),
        )
        assertUpload(await app.get(path), 204, path, 500_000)
        await assertStored(
          await app.request('PUT', `${path}?digest=${digest}`, {
            body: bytes.subarray(500_000),
            headers: { 'Content-Range': `500000-${bytes.byteLength - 1}` },
          }),
          bytes,
        )
      })
    }
  }

  it('in the last PUT makes no blob of the part', async () => {
    const path = await app.startUpload('a/b')
    const content = randomBytes(1000, 'last put')
    const half = sha256(content.subarray(0, 500))
    const socket = app.connect()
    socket.write(`PUT ${path}?digest=${half} HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n`)
    socket.write(content.subarray(0, 500))
    await until('the bytes', async () => (await app.get(path)).headers.range === '0-499')
    socket.resume().end()
    await once(socket, 'close')
    await until('the end of the request', () => app.requests.some(({ url }) => String(url).startsWith(`${path}?`)))
    assertError(await app.get(`/v2/a/b/blobs/${half}`), 'BLOB_UNKNOWN')
    assertUpload(await app.get(path), 204, path, 500)
  })

  it('lets the next request in at once', async () => {
    const path = await app.startUpload('a/b')
    const socket = app.connect()
    socket.write(`PATCH ${path} HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nabc`)
    await until('the bytes', async () => (await app.get(path)).headers.range === '0-2')
    const next = patch(path, Buffer.from('defg'))
    await sleep(20)
    socket.destroy()
    assertUpload(await next, 202, path, 7)
  })

  it('while it waits for its turn leaves no trace', async () => {
    const path = await app.startUpload('a/b')
    const first = app.connect()
    first.write(`PATCH ${path} HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\nConnection: close\r\n\r\nabc`)
    await until('the bytes', async () => (await app.get(path)).headers.range === '0-2')
    const second = app.connect()
    second.write(`PATCH ${path} HTTP/1.1\r\nHost: a\r\nX-Request-Id: second\r\nContent-Length: 3\r\n\r\nxyz`)
    await sleep(20)
    second.destroy()
    await app.logLine('second')
    first.write('defghij')
    await once(first.resume(), 'close')
    assertUpload(await app.get(path), 204, path, 10)
  })

  it('is no error of ours', () =>
    assert.deepEqual(
      app.stores.logged.filter(({ level, err }) => level === 'error' && (err as Error).name !== 'OciError'),
      [],
    ))
})

describe('a mount', () => {
  before(async () => {
    await app.pushBlob('source', bytes)
  })

  it('makes the blob a part of the repository', async () => {
    for (const query of [
      `mount=${digest}&from=source`,
      `mount=${encodeURIComponent(digest)}&from=source`,
      `mount=${digest}`,
      `mount=${digest}&from=`,
    ]) {
      assert.equal((await app.request('DELETE', `/v2/a/b/blobs/${digest}`)).status === 202, true)
      await assertStored(await app.request('POST', `/v2/a/b/blobs/uploads/?${query}`), bytes)
    }
  })

  it('becomes an upload where the blob is not there', async () => {
    for (const query of [
      `mount=${digest}&from=elsewhere`,
      `mount=${sha256(Buffer.from('none'))}&from=source`,
      `mount=${sha256(Buffer.from('none'))}`,
    ]) {
      const reply = await app.request('POST', `/v2/a/b/blobs/uploads/?${query}`)
      assertUpload(reply, 202, String(reply.headers.location), 0)
    }
  })

  it('from what is no name, or of what is no digest, is refused', async () => {
    assertError(await app.request('POST', `/v2/a/b/blobs/uploads/?mount=${digest}&from=A`), 'NAME_INVALID')
    assertError(await app.request('POST', `/v2/a/b/blobs/uploads/?mount=${digest}&from=..%2fsource`), 'NAME_INVALID')
    for (const mount of ['', 'abc', `${digest}&mount=${digest}`]) {
      assertError(await app.request('POST', `/v2/a/b/blobs/uploads/?mount=${mount}&from=source`), 'DIGEST_INVALID')
    }
  })
})

describe('a request without a length', () => {
  it('has no body, and the next one of its connection is answered', async () => {
    const path = await app.startUpload('a/b')
    const text = await app.exchange(
      [
        'POST /v2/a/b/blobs/uploads/ HTTP/1.1\r\nHost: a\r\n\r\n',
        'PUT /v2/a/b/manifests/empty HTTP/1.1\r\nHost: a\r\n\r\n',
        `PATCH ${path} HTTP/1.1\r\nHost: a\r\n\r\n`,
        `PUT ${path}?digest=${sha256(new Uint8Array())} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`,
      ].join(''),
    )
    assert.deepEqual(
      text.match(/HTTP\/1\.1 \d+/g),
      ['202', '400', '202', '201'].map(status => `HTTP/1.1 ${status}`),
    )
  })
})
