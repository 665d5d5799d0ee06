import assert from 'node:assert/strict'
import { once } from 'node:events'
import { afterEach, describe, it } from 'node:test'
import * as dagPb from '@ipld/dag-pb'
import { UnixFS } from 'ipfs-unixfs'
import { CID } from 'multiformats/cid'
import { create } from 'multiformats/hashes/digest'
import { hashBlock } from '../../src/ipfs/dag/encode-node.ts'
import { assertError, TestApp, type TestAppInit } from '../fixtures/app.ts'
import { sha256 } from '../fixtures/images.ts'

const apps: TestApp[] = []

afterEach(async () => {
  await Promise.all(
    apps.splice(0).map(async app => {
      await app[Symbol.asyncDispose]()
    }),
  )
})

async function start(init: TestAppInit = {}): Promise<TestApp> {
  const app = await TestApp.start(init)
  apps.push(app)
  return app
}

/** The status that a connection gets for bytes that no client would send, while it stays open for more of them */
async function statusOf(app: TestApp, bytes: string): Promise<number> {
  const socket = app.connect()
  try {
    socket.write(bytes)
    const [data] = (await once(socket, 'data', { signal: AbortSignal.timeout(5000) })) as [Buffer]
    return Number(/^HTTP\/1\.1 (\d+) /.exec(String(data))?.[1])
  } finally {
    socket.destroy()
  }
}

describe('a Content-Length that no body has', () => {
  for (const [length, status] of [
    ['1.8e+21', 400],
    ['1800000000000000000000', 400],
    ['99999999999999999999999999999999', 400],
    ['-1', 400],
    ['0x10', 400],
    ['1, 1', 400],
    ['NaN', 400],
    ['Infinity', 400],
    ['18446744073709551615', 413],
    ['9007199254740993', 413],
    ['999999999999999', 413],
  ] as const) {
    it(`${length} of an upload or a manifest gets ${status} at once`, async () => {
      const app = await start()
      const digest = sha256(Buffer.from('x'))
      for (const target of [
        `PATCH ${await app.startUpload('r')}`,
        `PUT ${await app.startUpload('r')}?digest=${digest}`,
        `POST /v2/r/blobs/uploads/?digest=${digest}`,
        'PUT /v2/r/manifests/a',
      ]) {
        assert.equal(
          await statusOf(app, `${target} HTTP/1.1\r\nHost: a\r\nContent-Length: ${length}\r\n\r\nx`),
          status,
          target,
        )
      }
    })
  }
})

describe('a name that is a CID', () => {
  for (const [what, multihash] of [
    ['with its content in the place of a hash', create(0, new Uint8Array(150).fill(7))],
    ['with a hash that is too long', create(0x12, new Uint8Array(140).fill(7))],
  ] as const) {
    for (const codec of [0x70, 0x55]) {
      it(`${what}, of codec ${codec}, leads to nothing`, async () => {
        const app = await start()
        const name = CID.createV1(codec, multihash).toString()
        assert.ok(name.length <= 255)
        for (const [method, path, status] of [
          ['GET', `${name}/manifests/latest`, 404],
          ['HEAD', `${name}/manifests/latest`, 404],
          ['GET', `ipfs/${name.slice(0, 250)}/manifests/latest`, 404],
          ['GET', `${name}/blobs/${sha256(Buffer.from('x'))}`, 404],
          ['GET', `${name}/tags/list`, 404],
          ['GET', `r/manifests/${name}`, name.length > 128 ? 400 : 404],
        ] as const) {
          assert.equal((await app.request(method, `/v2/${path}`)).status, status, `${method} ${path}`)
        }
      })
    }
  }
})

describe('a file that declares more bytes than any has', () => {
  it('is unknown', async () => {
    const app = await start()
    const { blockstore } = app.stores
    const bytes = Buffer.from('little')
    const node = async (unixfs: UnixFS, links: Array<[string, CID]> = []): Promise<CID> => {
      const block = dagPb.encode(
        dagPb.prepare({ Data: unixfs.marshal(), Links: links.map(([Name, Hash]) => ({ Name, Hash, Tsize: 100 })) }),
      )
      const cid = await hashBlock(dagPb.code, block)
      await blockstore.put(cid, block)
      return cid
    }
    const leaf = await node(new UnixFS({ type: 'file', data: bytes }))
    const file = await node(
      new UnixFS({ type: 'file', blockSizes: Array<bigint>(200).fill(2n ** 63n) }),
      Array.from({ length: 200 }, () => ['', leaf]),
    )
    const directory = new UnixFS({ type: 'directory' })
    const root = await node(directory, [['blobs', await node(directory, [[sha256(bytes), file]])]])
    for (const headers of [{}, { Range: 'bytes=0-0' }] as Array<Record<string, string>>) {
      assertError(await app.get(`/v2/${root.toString()}/blobs/${sha256(bytes)}`, headers), 'BLOB_UNKNOWN')
    }
  })
})

describe('while a backup is being restored', () => {
  it('nothing is served, uploads that were open neither', async () => {
    const app = await start()
    const upload = await app.startUpload('r')
    const requests = [
      ['GET', upload],
      ['PATCH', upload],
      ['PUT', `${upload}?digest=${sha256(Buffer.from('x'))}`],
      ['DELETE', upload],
      ['POST', '/v2/r/blobs/uploads/'],
      ['GET', '/v2/r/manifests/a'],
      ['PUT', '/v2/r/manifests/a'],
      ['GET', '/v2/_catalog'],
      ['GET', '/v2/r/tags/list'],
      ['GET', '/dig?q=r:a'],
    ] as const
    {
      using _restoring = app.stores.condition.beginRestore()
      for (const [method, path] of requests) {
        const reply = await app.request(method, path, method === 'GET' || method === 'DELETE' ? {} : { body: 'x' })
        assert.equal(reply.status, 503, `${method} ${path}`)
      }
    }
    assert.equal((await app.request('GET', upload)).headers.range, '0-0')
    assert.equal((await app.request('PUT', `${upload}?digest=${sha256(Buffer.from('x'))}`, { body: 'x' })).status, 201)
  })
})
