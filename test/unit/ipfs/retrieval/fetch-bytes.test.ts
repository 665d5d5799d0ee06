import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { gatewayReader } from '../../../../src/ipfs/retrieval/gateway-blocks.ts'
import { parseHttpAddress } from '../../../../src/ipfs/retrieval/http-address.ts'
import { CID } from 'multiformats/cid'
import { KuboContentStore } from '../../../../src/ipfs/kubo/kubo-content-store.ts'
import { fakeServer } from '../../../fixtures/fake-server.ts'
import { randomBytes } from '../../../fixtures/images.ts'
import { TestRegistry, readAll } from '../../../fixtures/registry.ts'

const bytes = randomBytes(2_500_000, 'file')

describe('the address of an IPFS node', () => {
  for (const [text, url] of [
    ['127.0.0.1:5001', 'http://127.0.0.1:5001/'],
    ['localhost:5001', 'http://localhost:5001/'],
    ['https://host/base', 'https://host/base/'],
    ['/ip4/127.0.0.1/tcp/5001', 'http://127.0.0.1:5001/'],
    ['/ip6/::1/tcp/5001', 'http://[::1]:5001/'],
    ['/dns4/host.example/tcp/443/https', 'https://host.example/'],
    ['/dns/host.example/tcp/80/http', 'http://host.example/'],
  ] as const) {
    it(`may be ${text}`, () => assert.equal(parseHttpAddress(text).href, url))
  }

  for (const text of ['', '/ip4/127.0.0.1/udp/4001/quic', '/x', 'a b', '/ip4/1.2.3.4/tcp/99999']) {
    it(`is not "${text}"`, () => assert.throws(() => parseHttpAddress(text), RangeError))
  }
})

describe('a gateway', () => {
  it('is read from block by block, whatever its path', async () => {
    await using stores = await TestRegistry.open()
    const { cid } = await stores.content.add(bytes)
    const directory = await stores.content.addDirectory([{ name: 'a', content: await stores.content.add(bytes) }])
    await using server = await fakeServer(async ({ url }, res) => {
      const [, block] = /^\/base\/ipfs\/([a-z0-9]+)\?format=raw$/.exec(url) ?? []
      res.end(await stores.blockstore.read(CID.parse(block!)))
    })
    const reader = gatewayReader(parseHttpAddress(`${server.url}/base`))
    assert.deepEqual(await readAll(reader.read(cid)), bytes)
    assert.equal((await reader.find(directory.cid, ['a']))?.cid, cid)
    assert.equal(await reader.find(directory.cid, ['b']), undefined)
    assert.ok(server.requests.every(({ headers }) => headers.accept === 'application/vnd.ipld.raw'))
  })

  const cid = 'bafkreifzjut3te7nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e'
  for (const [what, status, body, name] of [
    ['lies', 200, 'other bytes', 'DamagedBlockError'],
    ['sends too much', 200, Buffer.alloc(3 * 1024 * 1024), 'DamagedBlockError'],
    ['has it not', 404, 'no', 'UnavailableError'],
  ] as const) {
    it(`that ${what} is not believed`, async () => {
      await using server = await fakeServer((_, res) => {
        res.writeHead(status).end(body)
      })
      await assert.rejects(readAll(gatewayReader(parseHttpAddress(server.host)).read(cid)), { name })
    })
  }

  it('may not be there', async () => {
    const server = await fakeServer(() => {})
    await server[Symbol.asyncDispose]()
    await assert.rejects(readAll(gatewayReader(parseHttpAddress(server.host)).read(cid)), {
      name: 'UnavailableError',
      message: /can't be reached: connect ECONNREFUSED/,
    })
  })

  it('is waited for until the signal', async () => {
    await using server = await fakeServer(() => {})
    await assert.rejects(
      readAll(gatewayReader(parseHttpAddress(server.host)).read(cid, { signal: AbortSignal.timeout(50) })),
      { name: 'TimeoutError' },
    )
  })
})

describe('a kubo', () => {
  it('that stores a block under another CID is not believed', async () => {
    await using server = await fakeServer((_, res) => {
      res.end('{"Key":"bafkreifzjut3te7nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e"}')
    })
    await assert.rejects(new KuboContentStore(parseHttpAddress(server.host)).add(bytes), { name: 'DamagedBlockError' })
  })

  it('is none where something else answers', async () => {
    await using server = await fakeServer((_, res) => {
      res.end('<html>')
    })
    await assert.rejects(new KuboContentStore(parseHttpAddress(server.host)).ping(), {
      name: 'UnavailableError',
      message: `${server.host} answered, but is not a kubo`,
    })
  })

  it('says what is the matter', async () => {
    await using server = await fakeServer((_, res) => {
      res.writeHead(500).end('{"Message":"merkledag: not found","Code":0}')
    })
    await assert.rejects(new KuboContentStore(parseHttpAddress(server.host)).pin('x'), {
      name: 'UnavailableError',
      message: `${server.host} answered 500: merkledag: not found`,
    })
  })
})
