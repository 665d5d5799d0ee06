import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { ServerResponse } from 'node:http'
import { RegistryClient } from '../../../../src/remote/registry/registry-client.ts'
import type { Credentials } from '../../../../src/remote/registry/docker-credentials.ts'
import { TestApp } from '../../../fixtures/app.ts'
import { fakeServer, type SeenRequest } from '../../../fixtures/fake-server.ts'
import { sha256 } from '../../../fixtures/images.ts'
import { imageManifest, ociManifest, emptyJson } from '../../../fixtures/manifests.ts'
import { readAll, stream } from '../../../fixtures/registry.ts'

const manifest = imageManifest()
const blob = Buffer.alloc(300_000, 'blob')

async function open(host: string, credentials?: Credentials): Promise<RegistryClient> {
  return await RegistryClient.open({ host, credentials: async () => credentials })
}

describe('a client of a registry', () => {
  it('pushes and pulls blobs and manifests, and learns their CIDs', async () => {
    await using app = await TestApp.start()
    const client = await open(`localhost:${app.port}`)
    assert.ok(await client.ping())
    for (const bytes of [blob, emptyJson, Buffer.alloc(0)]) {
      assert.equal(await client.hasBlob('a/b', sha256(bytes)), false)
      await client.pushBlob('a/b', { digest: sha256(bytes), size: bytes.length }, () => stream(bytes))
      assert.equal(await client.hasBlob('a/b', sha256(bytes)), true)
      assert.deepEqual(await readAll(client.blob('a/b', sha256(bytes))), bytes)
    }
    const { root } = await client.pushManifest('a/b', 'v1', manifest, ociManifest)
    const pulled = await client.manifest('a/b', 'v1')
    assert.deepEqual(
      { ...pulled, bytes: Buffer.from(pulled.bytes) },
      { bytes: manifest, mediaType: ociManifest, digest: sha256(manifest), root, fetching: undefined },
    )
    assert.match(root!, /^bafy/)
    assert.match((await client.blobCid('a/b', sha256(blob)))!, /^baf/)
    assert.equal(await client.blobCid('a/b', sha256(Buffer.from('nope'))), undefined)
    assert.deepEqual(await Array.fromAsync(client.repositories()), ['a/b'])
    assert.deepEqual(await Array.fromAsync(client.tags('a/b'), ({ tag }) => tag), ['v1'])
  })

  it('does not send what another repository has', async () => {
    await using app = await TestApp.start()
    const client = await open(`localhost:${app.port}`)
    await client.pushBlob('a', { digest: sha256(blob), size: blob.length }, () => stream(blob))
    await client.pushBlob('b', { digest: sha256(blob), size: blob.length }, () => assert.fail('sent'), { from: 'a' })
    assert.ok(await client.hasBlob('b', sha256(blob)))
  })

  it('hands on what makes a body fail, and leaves no blob', async () => {
    await using app = await TestApp.start()
    const client = await open(`localhost:${app.port}`)
    const failing = async function* (): AsyncGenerator<Uint8Array> {
      yield blob.subarray(0, 1000)
      throw new Error('damaged')
    }
    await assert.rejects(client.pushBlob('a', { digest: sha256(blob), size: blob.length }, failing), /damaged/)
    assert.equal(await client.hasBlob('a', sha256(blob)), false)
  })

  it('says what the registry says', async () => {
    await using app = await TestApp.start()
    const client = await open(`localhost:${app.port}`)
    await assert.rejects(client.manifest('a', 'v1'), {
      name: 'ClientError',
      status: 404,
      code: 'MANIFEST_UNKNOWN',
      message: /^manifest v1 of a: localhost:\d+ answered 404 MANIFEST_UNKNOWN manifest unknown/,
    })
    await assert.rejects(client.pushManifest('a', 'v1', Buffer.from('{}'), 'application/json'), {
      status: 400,
      code: 'MANIFEST_INVALID',
    })
    await assert.rejects(readAll(client.blob('a', sha256(blob))), { status: 404, code: 'BLOB_UNKNOWN' })
  })

  it('follows pages within the registry only', async () => {
    await using elsewhere = await fakeServer((_, res) => {
      res.end('{"tags":["stolen"]}')
    })
    await using server = await fakeServer(({ url }, res) => {
      res.setHeader(
        'Link',
        url.includes('last=b')
          ? `<${elsewhere.url}/v2/a/tags/list>; rel="next"`
          : '</v2/a/tags/list?last=b>; rel="next"',
      )
      res.end(JSON.stringify({ tags: url.includes('last') ? ['c'] : ['a', 'b'] }))
    })
    assert.deepEqual(await Array.fromAsync((await open(server.host)).tags('a'), ({ tag }) => tag), ['a', 'b', 'c'])
    assert.deepEqual(elsewhere.requests, [])
  })

  it('ends with its signal', async () => {
    await using server = await fakeServer(() => {})
    const client = await open(server.host)
    await assert.rejects(client.manifest('a', 'v1', { signal: AbortSignal.timeout(50) }), { name: 'TimeoutError' })
    await assert.rejects(client.ping({ signal: AbortSignal.abort(new Error('stop')) }), /stop/)
  })

  it('says that nobody is there', async () => {
    const server = await fakeServer(() => {})
    await server[Symbol.asyncDispose]()
    const client = await open(server.host)
    assert.equal(await client.ping(), false)
    await assert.rejects(client.manifest('a', 'v1'), {
      name: 'ClientError',
      message: `${server.host} can't be reached: connect ECONNREFUSED ${server.host}`,
    })
  })

  for (const host of ['', 'a b', 'a/b', 'user@host', 'host?x', 'ftp://host']) {
    it(`does not take "${host}" for a host`, async () => {
      await assert.rejects(open(host), { name: 'ClientError' })
    })
  }
})

describe('whether TLS is used', () => {
  for (const [host, plainHttp, expected] of [
    ['registry.invalid:5000', false, 'https:'],
    ['registry.invalid:5000', true, 'http:'],
    ['http://registry.invalid', false, 'http:'],
    ['https://localhost:1', false, 'https:'],
    ['localhost:5000', false, 'http:'],
    ['127.0.0.2', false, 'http:'],
    ['[::1]:5000', false, 'http:'],
    ['192.0.2.1:5000', false, 'https:'],
  ] as const) {
    it(`for ${host}${plainHttp ? ' with --plain-http' : ''}: ${expected}`, async t => {
      const urls: string[] = []
      t.mock.method(globalThis, 'fetch', async (url: URL) => {
        urls.push(url.protocol)
        return new Response('{}')
      })
      await (await RegistryClient.open({ host, plainHttp })).ping()
      assert.deepEqual(urls, [expected])
    })
  }
})

describe('a registry that wants to know who asks', () => {
  const user = { username: 'alice', password: 'a:b' }
  const basic = `Basic ${Buffer.from('alice:a:b').toString('base64')}`

  function challenge(res: ServerResponse, value: string): void {
    res
      .writeHead(401, { 'WWW-Authenticate': value })
      .end('{"errors":[{"code":"UNAUTHORIZED","message":"who are you"}]}')
  }

  /** Gives tokens at /token, and wants `Bearer t` for anything else */
  function tokens(host: () => string): (request: SeenRequest, res: ServerResponse) => void {
    return ({ headers, url }, res) => {
      if (url.startsWith('/token')) {
        res.end('{"access_token":"t"}')
      } else if (headers.authorization === 'Bearer t') {
        res.end('{"tags":["v1"]}')
      } else {
        challenge(res, `Bearer realm="http://${host()}/token",service="s",scope="repository:a:pull"`)
      }
    }
  }

  it('is told by user and password', async () => {
    await using server = await fakeServer(({ headers }, res) =>
      headers.authorization === basic ? res.end('{"tags":["v1"]}') : challenge(res, 'Basic realm="x"'),
    )
    const client = await open(server.host, user)
    assert.deepEqual(await Array.fromAsync(client.tags('a'), ({ tag }) => tag), ['v1'])
    await Array.fromAsync(client.tags('a'))
    assert.deepEqual(
      server.requests.map(({ headers }) => headers.authorization),
      [undefined, basic, basic],
    )
  })

  it('may offer a password beside tokens', async () => {
    await using server = await fakeServer(({ headers, url }, res) => {
      if (url.startsWith('/token')) {
        res.end('{"token":"t"}')
      } else if (headers.authorization === 'Bearer t') {
        res.end('{"tags":["v1"]}')
      } else {
        const token = `Bearer realm="http://${server.host}/token",service="s",scope="repository:a:pull,push"`
        challenge(res, `${token}, Basic realm="s"`)
      }
    })
    assert.deepEqual(await Array.fromAsync((await open(server.host, user)).tags('a'), ({ tag }) => tag), ['v1'])
    const { searchParams } = new URL(server.requests[1]!.url, server.url)
    assert.deepEqual(
      [...searchParams],
      [
        ['scope', 'repository:a:pull'],
        ['scope', 'repository:a:pull,push'],
        ['service', 's'],
      ],
    )
  })

  it('is not told a token by the scheme for passwords', async () => {
    await using server = await fakeServer((_, res) => {
      challenge(res, 'Basic realm="x"')
    })
    const client = await open(server.host, { username: 'alice', password: '', identityToken: 'id' })
    await assert.rejects(Array.fromAsync(client.tags('a')), { status: 401 })
    assert.equal(server.requests.length, 1)
  })

  it('gives one token for both repositories of a mount', async () => {
    await using app = await TestApp.start({
      access: {
        users: { alice: 'a:b' },
        rules: `{ rules: [{ who: [authenticated], repositories: ['**'], actions: [pull, push, tag] }] }`,
      },
    })
    const client = await open(`localhost:${app.port}`, user)
    await client.pushBlob('a', { digest: sha256(blob), size: blob.length }, () => stream(blob))
    await client.pushBlob('b', { digest: sha256(blob), size: blob.length }, () => assert.fail('sent'), { from: 'a' })
    assert.ok(await client.hasBlob('b', sha256(blob)))
  })

  it('lists for whoever has logged in more than for others', async () => {
    await using server = await fakeServer(({ headers, url }, res) => {
      if (url === '/v2/' && headers.authorization !== basic) {
        challenge(res, 'Basic realm="x"')
      } else {
        res.end(JSON.stringify({ repositories: headers.authorization === basic ? ['open', 'secret'] : ['open'] }))
      }
    })
    assert.deepEqual(await Array.fromAsync((await open(server.host, user)).repositories()), ['open', 'secret'])
    assert.deepEqual(await Array.fromAsync((await open(server.host)).repositories()), ['open'])
  })

  it('gets no answer from whoever has not logged in', async () => {
    await using server = await fakeServer((_, res) => {
      challenge(res, 'Basic realm="x"')
    })
    await assert.rejects(Array.fromAsync((await open(server.host)).tags('a')), { status: 401, code: 'UNAUTHORIZED' })
    assert.equal(server.requests.length, 1)
  })

  for (const [who, credentials, authorization] of [
    ['somebody', user, basic],
    ['anybody', undefined, undefined],
  ] as const) {
    it(`gives a token to ${who}`, async () => {
      await using server = await fakeServer(tokens(() => server.host))
      const client = await open(server.host, credentials)
      assert.deepEqual(await Array.fromAsync(client.tags('a'), ({ tag }) => tag), ['v1'])
      const [, token] = server.requests
      const { pathname, searchParams } = new URL(token!.url, server.url)
      assert.deepEqual([pathname, ...searchParams], ['/token', ['scope', 'repository:a:pull'], ['service', 's']])
      assert.equal(token!.headers.authorization, authorization)
      await Array.fromAsync(client.tags('a'))
      assert.equal(server.requests.length, 4)
    })
  }

  it('gives a token for an identity token', async () => {
    await using server = await fakeServer(tokens(() => server.host))
    await Array.fromAsync((await open(server.host, { username: '', password: '', identityToken: 'id' })).tags('a'))
    assert.equal(server.requests[1]!.method, 'POST')
    assert.deepEqual(Object.fromEntries(new URLSearchParams(server.requests[1]!.body)), {
      scope: 'repository:a:pull',
      service: 's',
      grant_type: 'refresh_token',
      client_id: 'ipdr',
      refresh_token: 'id',
    })
  })

  it('has its connection closed where the token can not be had', async () => {
    const closed = Promise.withResolvers<void>()
    await using server = await fakeServer((_, res) => {
      res.once('close', closed.resolve)
      res.writeHead(401, { 'WWW-Authenticate': 'Bearer realm="http://elsewhere.example/token"' }).write('more to come')
    })
    await assert.rejects((await open(server.host, user)).manifest('a', 'v1'), { message: /without TLS$/ })
    await closed.promise
  })

  it("sends nobody's log-in elsewhere", async () => {
    await using storage = await fakeServer((_, res) => {
      res.end('bytes')
    })
    await using server = await fakeServer(({ headers, method }, res) => {
      if (headers.authorization === undefined) {
        challenge(res, 'Basic realm="x"')
      } else if (method === 'GET') {
        res.writeHead(307, { Location: `http://localhost:${storage.host.split(':')[1]}/blob` }).end()
      } else {
        res.writeHead(method === 'POST' ? 202 : 201, { Location: `${storage.url}/upload?state=1` }).end()
      }
    })
    const client = await open(server.host, user)
    assert.equal(String(await readAll(client.blob('a', sha256(blob)))), 'bytes')
    await assert.rejects(client.pushBlob('a', { digest: sha256(blob), size: blob.length }, () => stream(blob)))
    assert.deepEqual(
      storage.requests.map(({ headers, method }) => [method, headers.authorization]),
      [
        ['GET', undefined],
        ['PUT', undefined],
      ],
    )
    assert.equal(
      new URL(storage.requests[1]!.url, storage.url).search,
      `?state=1&digest=${encodeURIComponent(sha256(blob))}`,
    )
  })
})
