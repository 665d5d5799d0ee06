import assert from 'node:assert/strict'
import { once } from 'node:events'
import { after, before, describe, it } from 'node:test'
import * as dagPb from '@ipld/dag-pb'
import { CID } from 'multiformats/cid'
import { randomBytes, sha256 } from '../fixtures/images.ts'
import { sha512 } from '../fixtures/manifests.ts'
import { TestApp, assertError, type Reply } from '../fixtures/app.ts'
import { until } from '../fixtures/until.ts'

const mebibyte = 1024 * 1024
const bytes = randomBytes(2 * mebibyte + 1234, 'blob')
const digest = sha256(bytes)
const path = `/v2/a/b/blobs/${digest}`
const size = bytes.byteLength
const quoted = `"${digest}"`
const absent = `/v2/a/b/blobs/${sha256(Buffer.from('never pushed'))}`

let app: TestApp

before(async () => {
  app = await TestApp.start()
  await app.pushBlob('a/b', bytes)
})
after(async () => {
  await app[Symbol.asyncDispose]()
})

/** The parts of a multipart/byteranges body: their Content-Range and bytes */
function parts({ headers, body }: Reply): Array<[string, Buffer]> {
  const [, boundary] = /^multipart\/byteranges; boundary=(\S+)$/.exec(String(headers['content-type'])) ?? []
  const text = body.toString('latin1')
  assert.ok(text.startsWith(`--${boundary}\r\n`) && text.endsWith(`\r\n--${boundary}--\r\n`))
  return text
    .slice(0, -`\r\n--${boundary}--\r\n`.length)
    .split(new RegExp(`(?:^|\r\n)--${boundary}\r\n`))
    .slice(1)
    .map(part => {
      const end = part.indexOf('\r\n\r\n')
      const [, range] =
        /^Content-Type: application\/octet-stream\r\nContent-Range: (.+)$/.exec(part.slice(0, end)) ?? []
      return [range!, Buffer.from(part.slice(end + 4), 'latin1')]
    })
}

describe('a blob', () => {
  it('comes as it was pushed, named by digest and CID', async () => {
    const reply = await app.get(path)
    assert.ok(reply.body.equals(bytes))
    const { cid } = await app.stores.content.add(bytes)
    const {
      'content-type': type,
      'content-length': length,
      'docker-content-digest': named,
      etag,
      'accept-ranges': ranges,
      'x-ipfs-cid': root,
      'cache-control': cache,
    } = reply.headers
    assert.deepEqual(
      [reply.status, type, length, named, etag, ranges, root, cache],
      [
        200,
        'application/octet-stream',
        String(size),
        digest,
        quoted,
        'bytes',
        cid,
        'public, max-age=31536000, immutable',
      ],
    )
  })

  it('may be empty', async () => {
    const empty = Buffer.alloc(0)
    const pushed = await app.pushBlob('a/b', empty)
    assert.equal(pushed.status, 201)
    const reply = await app.get(`/v2/a/b/blobs/${sha256(empty)}`)
    assert.deepEqual([reply.status, reply.headers['content-length'], reply.body.byteLength], [200, '0', 0])
    assertError(await app.get(`/v2/a/b/blobs/${sha256(empty)}`, { Range: 'bytes=0-0' }), 'RANGE_INVALID')
  })

  it('may have another algorithm', async () => {
    await app.pushBlob('a/b', bytes, sha512(bytes))
    const reply = await app.get(`/v2/a/b/blobs/${sha512(bytes)}`)
    assert.deepEqual([reply.headers['docker-content-digest'], reply.body.equals(bytes)], [sha512(bytes), true])
  })

  it('is unknown where it is not, also in another repository', async () => {
    for (const path of [absent, `/v2/a/blobs/${digest}`, `/v2/a/b/c/blobs/${digest}`]) {
      for (const method of ['GET', 'DELETE']) {
        assert.deepEqual(assertError(await app.request(method, path), 'BLOB_UNKNOWN'), { digest: path.slice(-71) })
      }
    }
  })

  it('is deleted once', async () => {
    const other = Buffer.from('deleted')
    await app.pushBlob('a/b', other)
    const reply = await app.request('DELETE', `/v2/a/b/blobs/${sha256(other)}`)
    assert.deepEqual([reply.status, reply.body.byteLength], [202, 0])
    assertError(await app.get(`/v2/a/b/blobs/${sha256(other)}`), 'BLOB_UNKNOWN')
    assertError(await app.request('DELETE', `/v2/a/b/blobs/${sha256(other)}`), 'BLOB_UNKNOWN')
  })
})

describe('a range of a blob', () => {
  for (const [range, start, end] of [
    ['bytes=0-0', 0, 0],
    ['bytes=0-', 0, size - 1],
    ['bytes=100-199', 100, 199],
    [`bytes=${mebibyte - 1}-${mebibyte}`, mebibyte - 1, mebibyte],
    [`bytes=${size - 1}-`, size - 1, size - 1],
    ['bytes=5-99999999999', 5, size - 1],
    ['bytes=-1', size - 1, size - 1],
    ['bytes=-99999999', 0, size - 1],
    ['bytes=0-1,99999999-', 0, 1],
  ] as const) {
    it(`${range} is sent alone`, async () => {
      const reply = await app.get(path, { Range: range })
      assert.deepEqual(
        [
          reply.status,
          reply.headers['content-range'],
          reply.headers['content-length'],
          reply.headers['content-type'],
          reply.headers['docker-content-digest'],
        ],
        [206, `bytes ${start}-${end}/${size}`, String(end - start + 1), 'application/octet-stream', digest],
      )
      assert.ok(reply.body.equals(bytes.subarray(start, end + 1)))
    })
  }

  for (const [range, ...expected] of [
    ['bytes=0-0,-1', [0, 0], [size - 1, size - 1]],
    [`bytes=${mebibyte - 5}-${mebibyte + 5}, 3-4 ,10-`, [mebibyte - 5, mebibyte + 5], [3, 4], [10, size - 1]],
    ['bytes=5-9,0-9,99999999-', [5, 9], [0, 9]],
  ] as const) {
    it(`${range} are several, sent in parts`, async () => {
      const reply = await app.get(path, { Range: range })
      assert.deepEqual(
        [reply.status, reply.headers['content-range'], reply.headers['content-length']],
        [206, undefined, String(reply.body.byteLength)],
      )
      const found = parts(reply)
      assert.deepEqual(
        found.map(([range]) => range),
        (expected as ReadonlyArray<readonly [number, number]>).map(([start, end]) => `bytes ${start}-${end}/${size}`),
      )
      expected.forEach(([start, end], i) => assert.ok(found[i]![1].equals(bytes.subarray(start, end + 1))))
    })
  }

  for (const range of [`bytes=${size}-`, 'bytes=99999999-', 'bytes=500-0', 'bytes=-0']) {
    it(`${range.slice(0, 30)} can't be sent`, async () => {
      const reply = await app.get(path, { Range: range })
      assertError(reply, 'RANGE_INVALID')
      assert.equal(reply.headers['content-range'], `bytes */${size}`)
      assert.deepEqual(
        [reply.headers['etag'], reply.headers['accept-ranges'], reply.headers['docker-content-digest']],
        [undefined, undefined, undefined],
      )
    })
  }

  for (const [what, ranges] of [
    ['too many', Array(1025).fill('0-0')],
    ['too many backwards', Array.from({ length: 100 }, (_, i) => `${200 - i}-${300 - i}`)],
  ] as const) {
    it(`is refused so that clients ask for fewer: ${what}`, async () => {
      const reply = await app.get(path, { Range: `bytes=${ranges.join()}` })
      assertError(reply, 'REQUEST_INVALID')
      assert.deepEqual([reply.headers['etag'], reply.headers['docker-content-digest']], [undefined, undefined])
    })
  }

  it('is one of a thousand: each comes, and no block is read for each', async () => {
    const starts = Array.from({ length: 1000 }, (_, i) => Math.floor((i * size) / 1000))
    const reply = await app.get(path, { Range: `bytes=${starts.map(start => `${start}-${start + 9}`).join()}` })
    assert.equal(reply.status, 206)
    const found = parts(reply)
    assert.equal(found.length, 1000)
    starts.forEach((start, i) => assert.ok(found[i]![1].equals(bytes.subarray(start, start + 10))))
  })

  for (const range of ['bytes=', 'bytes=a-b', 'items=0-1', 'bytes=0-1;2-3', '0-1', 'bytes=1-2-3']) {
    it(`${range} is ignored`, async () => {
      const reply = await app.get(path, { Range: range })
      assert.deepEqual([reply.status, reply.body.byteLength], [200, size])
    })
  }

  it('is not what HEAD asks for', async () => {
    const reply = await app.request('HEAD', path, { headers: { Range: 'bytes=0-0' } })
    assert.deepEqual(
      [reply.status, reply.headers['content-length'], reply.headers['content-range']],
      [200, String(size), undefined],
    )
  })

  for (const [condition, status] of [
    [quoted, 206],
    [`W/${quoted}`, 200],
    ['"other"', 200],
    [digest, 200],
    ['Tue, 24 Nov 2026 12:00:00 GMT', 200],
    ['', 200],
  ] as const) {
    it(`with If-Range ${condition.slice(0, 20)} is answered by ${status}`, async () => {
      const reply = await app.get(path, { Range: 'bytes=1-2', 'If-Range': condition })
      assert.deepEqual([reply.status, reply.body.byteLength], [status, status === 206 ? 2 : size])
    })
  }

  it("that can't be sent is the whole where the client has another blob", async () => {
    assert.equal((await app.get(path, { Range: 'bytes=99999999-', 'If-Range': '"other"' })).status, 200)
  })
})

describe('If-None-Match', () => {
  for (const [known, status] of [
    [quoted, 304],
    [`W/${quoted}`, 304],
    [`"a", ${quoted} , "b"`, 304],
    ['*', 304],
    ['"a"', 200],
    [digest, 200],
    ['', 200],
  ] as const) {
    it(`${known.slice(0, 20)} gets ${status}`, async () => {
      for (const method of ['GET', 'HEAD']) {
        const reply = await app.request(method, path, { headers: { 'If-None-Match': known } })
        assert.deepEqual(
          [reply.status, reply.headers.etag, reply.body.byteLength],
          [status, quoted, status === 200 && method === 'GET' ? size : 0],
        )
      }
    })
  }

  it('goes before a range, and before nothing that is not there', async () => {
    assert.equal((await app.get(path, { 'If-None-Match': quoted, Range: 'bytes=0-0' })).status, 304)
    assertError(await app.get(absent, { 'If-None-Match': '*' }), 'BLOB_UNKNOWN')
  })
})

describe('a blob that is damaged', () => {
  /** A blob without its leaf of this number */
  async function damaged(seed: string, leaf: number): Promise<string> {
    const bytes = randomBytes(3 * mebibyte, seed)
    await app.pushBlob('a/b', bytes)
    const { cid } = (await app.stores.index.blob(sha256(bytes)))!
    const { Links } = dagPb.decode(await app.stores.blockstore.read(CID.parse(cid)))
    await app.stores.blockstore.delete(Links[leaf]!.Hash)
    return `/v2/a/b/blobs/${sha256(bytes)}`
  }

  it('at its beginning is a clean error', async () => {
    const path = await damaged('first', 0)
    const reply = await app.get(path)
    assertError(reply, 'UNAVAILABLE')
    assert.deepEqual(
      [reply.headers.etag, reply.headers['x-ipfs-cid'], reply.headers['cache-control']],
      [undefined, undefined, undefined],
    )
    assertError(await app.get(path, { Range: 'bytes=0-0' }), 'UNAVAILABLE')
    assert.equal((await app.get(path, { Range: `bytes=-${mebibyte}` })).body.byteLength, mebibyte)
  })

  for (const [what, range] of [
    ['in its middle', undefined],
    ['in a range', 'bytes=10-'],
    ['in the second of two ranges', `bytes=0-0,${2 * mebibyte}-`],
  ] as const) {
    it(`${what} breaks the connection, rather than end what looks like a response`, async () => {
      const path = await damaged(what, 2)
      const before = (await app.metrics.text()).match(/ipdr_http_broken_responses_total (\d+)/)?.[1]
      await assert.rejects(app.get(path, range === undefined ? {} : { Range: range }), { code: 'ECONNRESET' })
      assert.equal(
        (await app.metrics.text()).match(/ipdr_http_broken_responses_total (\d+)/)?.[1],
        String(Number(before) + 1),
      )
      const line = await until('the log line', () => app.requests.findLast(({ url }) => url === path))
      assert.equal(line['status'], 'aborted')
    })
  }

  it('in its only block too: a short body is never a whole one', async () => {
    const small = Buffer.from('x'.repeat(1000))
    await app.pushBlob('a/b', small)
    const { cid } = (await app.stores.index.blob(sha256(small)))!
    await app.stores.blockstore.delete(CID.parse(cid))
    assertError(await app.get(`/v2/a/b/blobs/${sha256(small)}`), 'UNAVAILABLE')
    // the store names a block by what it should be: it does not see that this is something else
    await app.stores.blockstore.put(CID.parse(cid), small.subarray(0, 10))
    await assert.rejects(app.get(`/v2/a/b/blobs/${sha256(small)}`), { code: 'ECONNRESET' })
  })
})

describe('a client', () => {
  it('that goes away in mid-blob is let go, and no error', async () => {
    const large = randomBytes(24 * mebibyte, 'large')
    await app.pushBlob('a/b', large)
    const reads = app.stores.blockstore.read
    let read = 0
    app.stores.blockstore.read = async (...args) => {
      read++
      return await reads.apply(app.stores.blockstore, args)
    }
    const socket = app.connect()
    socket.write(`GET /v2/a/b/blobs/${sha256(large)} HTTP/1.1\r\nHost: a\r\nX-Request-Id: gone\r\n\r\n`)
    await once(socket, 'data')
    socket.destroy()
    const line = await app.logLine('gone')
    assert.equal(line['status'], 'aborted')
    assert.equal(line['remote'], '127.0.0.1')
    assert.ok(read < 24, `${read} blocks were read for nobody`)
    Reflect.deleteProperty(app.stores.blockstore, 'read')
    assert.deepEqual(
      app.stores.logged.filter(({ level, id }) => level === 'error' && id === 'gone'),
      [],
    )
  })

  it('that goes away before its blob is found gets nothing read', async () => {
    const { promise, resolve } = Promise.withResolvers<void>()
    const { index, blockstore } = app.stores
    const [find, read] = [index.blob, blockstore.read]
    let [reads, finding] = [0, false]
    index.blob = async digest => {
      finding = true
      await promise
      return await find.call(index, digest)
    }
    blockstore.read = async (...args) => {
      reads += args[1]?.signal?.aborted === true ? 0 : 1
      return await read.apply(blockstore, args)
    }
    const socket = app.connect()
    socket.write(`GET ${path} HTTP/1.1\r\nHost: a\r\nX-Request-Id: early\r\n\r\n`)
    await until('the request', () => finding)
    socket.destroy()
    await app.logLine('early')
    resolve()
    await until('the end of the handler', () =>
      app.stores.logged.some(({ message, id }) => message === 'client gone' && id === 'early'),
    )
    assert.equal(reads, 0)
    Reflect.deleteProperty(index, 'blob')
    Reflect.deleteProperty(blockstore, 'read')
  })

  it('that reads slowly holds up the reading, and gets everything', async () => {
    const large = randomBytes(24 * mebibyte, 'large')
    await app.pushBlob('a/b', large)
    const reads = app.stores.blockstore.read
    let read = 0
    app.stores.blockstore.read = async (...args) => {
      read++
      return await reads.apply(app.stores.blockstore, args)
    }
    const socket = app.connect().pause()
    socket.write(`GET /v2/a/b/blobs/${sha256(large)} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`)
    await until('the reading stands still', async () => {
      const before = read
      await new Promise(resolve => setTimeout(resolve, 50))
      return read > 0 && read === before
    })
    assert.ok(read < 22, `${read} blocks were read ahead`)
    const chunks: Buffer[] = []
    for await (const chunk of socket) {
      chunks.push(chunk)
    }
    const response = Buffer.concat(chunks)
    assert.ok(response.subarray(response.indexOf('\r\n\r\n') + 4).equals(large))
    Reflect.deleteProperty(app.stores.blockstore, 'read')
  })

  it('may ask for many blobs on one connection', async () => {
    const request = (path: string, close: boolean): string =>
      `GET ${path} HTTP/1.1\r\nHost: a\r\n${close ? 'Connection: close\r\n' : ''}\r\n`
    const text = await app.exchange(
      request(absent, false) + request('/v2/', false) + request(absent, false) + request('/v2/', true),
    )
    assert.deepEqual(
      [...text.matchAll(/HTTP\/1\.1 (\d+)/g)].map(match => match[1]),
      ['404', '200', '404', '200'],
    )
  })
})
