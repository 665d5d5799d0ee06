import assert from 'node:assert/strict'
import dns from 'node:dns'
import { syncBuiltinESMExports } from 'node:module'
import { describe, it, type TestContext } from 'node:test'
import fc from 'fast-check'
import type { Credentials } from '../../../../src/remote/registry/docker-credentials.ts'
import { linesOf } from '../../../../src/remote/http/answer.ts'
import { send } from '../../../../src/remote/http/request.ts'
import { isLoopback } from '../../../../src/remote/http/plain-http.ts'
import { RegistryClient } from '../../../../src/remote/registry/registry-client.ts'
import { fakeServer, type FakeServer } from '../../../fixtures/fake-server.ts'
import { sha256 } from '../../../fixtures/images.ts'
import { readAll, stream } from '../../../fixtures/registry.ts'

const alice = { username: 'alice', password: 'secret' }
const identity = { username: '', password: '', identityToken: 'secret' }
const blob = Buffer.from('blob')

async function open(host: string, credentials: Credentials = alice, plainHttp = false): Promise<RegistryClient> {
  return await RegistryClient.open({ host, plainHttp, credentials: async () => credentials })
}

/** Answers instead of the network; what was asked comes back as text, with the log-in */
function fakeFetch(t: TestContext, answer: (url: URL, init: RequestInit) => Response | undefined): string[] {
  const asked: string[] = []
  t.mock.method(globalThis, 'fetch', async (url: URL, init: RequestInit) => {
    const { Authorization: login } = init.headers as Record<string, string>
    asked.push([init.method, url.href, login?.replace(/ .*/, '')].filter(Boolean).join(' '))
    return answer(url, init) ?? new Response('{}')
  })
  return asked
}

function redirect(location: string, status = 307): Response {
  return new Response(null, { status, headers: { Location: location } })
}

function challenge(value: string): Response {
  return new Response('{}', { status: 401, headers: { 'WWW-Authenticate': value } })
}

describe('this machine', () => {
  for (const host of [
    'localhost',
    '127.0.0.1',
    '127.255.0.3',
    '[::1]',
    '::1',
    '[::ffff:127.0.0.1]',
    new URL('http://[::ffff:127.1.2.3]').hostname,
    new URL('http://0x7f.1').hostname,
  ]) {
    it(`is ${host}`, () => {
      assert.ok(isLoopback(host))
    })
  }

  for (const host of [
    'localhost.',
    'localhost.example',
    'a.localhost',
    '128.0.0.1',
    '0.0.0.0',
    '[::]',
    '[::2]',
    '[::ffff:10.0.0.1]',
    '127.0.0.1.example',
    '127.0.0.1.nip.io',
    '',
  ]) {
    it(`is not ${host}`, () => {
      assert.ok(!isLoopback(host))
    })
  }

  it('has no other name', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.domain(),
          fc.ipV4(),
          fc.ipV6().map(ip => `[${ip}]`),
        ),
        host => {
          const { hostname } = new URL(`http://${host}`)
          assert.equal(
            isLoopback(hostname),
            /^(127\.[\d.]+|\[::1\]|\[::ffff:7f[0-9a-f]{2}:[0-9a-f]+\])$/.test(hostname),
          )
        },
      ),
      { numRuns: 2000 },
    )
  })

  it('is not what a look-up says', async t => {
    t.mock.method(dns.promises, 'lookup', async () => [{ address: '127.0.0.1', family: 4 }])
    syncBuiltinESMExports()
    const asked = fakeFetch(t, () => undefined)
    try {
      await (await open('rebound.example:5000')).ping()
      assert.deepEqual(asked, ['GET https://rebound.example:5000/v2/'])
    } finally {
      t.mock.restoreAll()
      syncBuiltinESMExports()
    }
  })

  it('is reached as localhost without a look-up', async t => {
    await using server = await fakeServer((_, res) => {
      res.end('{}')
    })
    const host = server.host.replace('127.0.0.1', 'localhost')
    const lookup = t.mock.method(dns, 'lookup', () => assert.fail('looked up'))
    syncBuiltinESMExports()
    try {
      assert.ok(await (await open(host)).ping())
      assert.ok(await (await open(`http://${host}`)).ping())
    } finally {
      t.mock.restoreAll()
      syncBuiltinESMExports()
    }
    assert.equal(lookup.mock.callCount(), 0)
    assert.equal(server.requests.length, 2)
  })

  it('is still asked by its own who asks where it answers by its address', async () => {
    await using server = await fakeServer(({ headers, method, url }, res) => {
      if (headers.authorization === undefined) {
        res.writeHead(401, { 'WWW-Authenticate': 'Basic realm="x"' }).end()
      } else if (method === 'PUT') {
        res.writeHead(201).end()
      } else {
        res.writeHead(url.endsWith('/uploads/') ? 202 : 404, { Location: `http://${headers.host}/upload` }).end()
      }
    })
    await (await open(server.host.replace('127.0.0.1', 'localhost'))).pushBlob(
      'a',
      { digest: sha256(blob), size: blob.length },
      () => stream(blob),
    )
    assert.equal(server.requests.length, 3)
  })

  it('is tried at both its addresses', async t => {
    const asked = fakeFetch(t, ({ hostname }) => {
      if (hostname === '127.0.0.1') {
        throw new TypeError('fetch failed', { cause: Object.assign(new Error('refused'), { code: 'ECONNREFUSED' }) })
      }
      return undefined
    })
    assert.ok(await (await open('localhost:5000')).ping())
    assert.deepEqual(asked, ['GET http://127.0.0.1:5000/v2/', 'GET http://[::1]:5000/v2/'])
  })
})

describe('without TLS', () => {
  const http = 'http://elsewhere.example/x'

  it('nobody is asked that was not meant to be', async t => {
    const asked = fakeFetch(t, () => undefined)
    await assert.rejects(send(new URL(http)), {
      name: 'ClientError',
      message: /^elsewhere\.example would be reached without TLS$/,
    })
    await (await send(new URL(http), { plainHttp: true })).discard()
    assert.deepEqual(asked, [`GET ${http}`])
  })

  for (const [host, plainHttp, location, followed] of [
    ['registry.example', false, http, false],
    ['https://registry.example', true, http, false],
    ['registry.example', false, 'http://127.0.0.1/x', false],
    ['localhost:5000', false, http, false],
    ['localhost:5000', false, 'http://127.0.0.1:1/x', true],
    ['localhost:5000', true, http, true],
    ['http://registry.example', false, http, true],
    ['registry.example', true, http, true],
    ['registry.example', false, 'https://elsewhere.example/x', true],
    ['localhost:5000', false, 'file:///etc/passwd', false],
    ['localhost:5000', false, 'data:,x', false],
    ['localhost:5000', false, 'http://:x', false],
  ] as const) {
    it(`${host}${plainHttp ? ' with --plain-http' : ''} ${followed ? 'leads' : 'does not lead'} to ${location}, and no log-in goes there`, async t => {
      const digest = sha256(blob)
      const asked = fakeFetch(t, (url, { headers, method }) => {
        const own = /registry|:5000/.test(url.host)
        return !own
          ? new Response(blob, { status: method === 'PUT' ? 201 : 200 })
          : (headers as Record<string, string>)['Authorization'] === undefined
            ? challenge('Basic realm="x"')
            : method === 'POST'
              ? redirect(location, 202)
              : redirect(location)
      })
      const client = await open(host, alice, plainHttp)
      const [read] = await Promise.allSettled([readAll(client.blob('a', digest))])
      const [write] = await Promise.allSettled([
        client.pushBlob('a', { digest, size: blob.length }, () => stream(blob)),
      ])
      for (const result of [read, write]) {
        assert.equal(
          result.status === 'fulfilled' ? 'followed' : (result.reason as Error).name,
          followed ? 'followed' : 'ClientError',
        )
      }
      const others = asked.filter(line => !/registry|:5000/.test(line))
      assert.equal(others.length, followed ? 2 : 0)
      assert.ok(others.every(line => !line.includes('Basic')))
    })
  }

  for (const [host, realm, told] of [
    ['localhost:5000', 'http://elsewhere.example/token', false],
    ['127.0.0.1:5000', 'http://elsewhere.example/token', false],
    ['registry.example', 'http://registry.example/token', false],
    ['registry.example', 'http://127.0.0.1/token', false],
    ['http://registry.example', 'http://elsewhere.example/token', false],
    ['registry.example', 'ftp://registry.example/token', false],
    ['registry.example', 'http://:x', false],
    ['localhost:5000', 'http://127.0.0.1:1/token', true],
    ['http://registry.example', 'http://registry.example:81/token', true],
    ['registry.example', 'https://auth.example/token', true],
    ['localhost:5000', 'https://auth.example/token', true],
    ['registry.example', '/token', true],
  ] as const) {
    it(`${host} ${told ? 'has' : 'does not have'} log-ins told to ${realm}`, async t => {
      for (const credentials of [alice, identity]) {
        const asked = fakeFetch(t, (url, { headers }) => {
          return url.pathname.startsWith('/token')
            ? new Response('{"token":"t"}')
            : (headers as Record<string, string>)['Authorization'] === undefined
              ? challenge(`Bearer realm="${realm}"`)
              : new Response('{"tags":[]}')
        })
        const [result] = await Promise.allSettled([Array.fromAsync((await open(host, credentials)).tags('a'))])
        assert.equal(
          result.status === 'fulfilled' ? 'told' : (result.reason as Error).name,
          told ? 'told' : 'ClientError',
        )
        assert.equal(asked.length, told ? 3 : 1)
        t.mock.restoreAll()
      }
    })
  }

  for (const [who, credentials] of [
    ['a password', alice],
    ['an identity token', identity],
  ] as const) {
    it(`${who} does not go on with a redirect`, async t => {
      for (const location of [
        'https://elsewhere.example/steal',
        'http://auth.example/steal',
        'http://127.0.0.1/steal',
      ]) {
        const bodies: string[] = []
        const asked = fakeFetch(t, (url, { body }) => {
          bodies.push(`${url.hostname}${url.pathname} ${String(Buffer.from((body as Uint8Array) ?? []))}`)
          return url.pathname.startsWith('/token')
            ? redirect(location)
            : url.pathname.startsWith('/steal')
              ? new Response('{"token":"t"}')
              : challenge('Bearer realm="https://auth.example/token"')
        })
        await assert.rejects(Array.fromAsync((await open('registry.example', credentials)).tags('a')), {
          name: 'ClientError',
        })
        assert.ok(asked.filter(line => line.includes('steal')).every(line => !line.includes('Basic')))
        assert.ok(!bodies.some(line => line.includes('steal') && line.includes('secret')))
        t.mock.restoreAll()
      }
    })
  }

  it('nobody but the registry may ask for a log-in', async t => {
    const asked = fakeFetch(t, ({ host }) =>
      host === 'storage.example'
        ? challenge('Bearer realm="https://storage.example/token"')
        : redirect('https://storage.example/x'),
    )
    await assert.rejects(readAll((await open('registry.example')).blob('a', sha256(blob))), {
      name: 'ClientError',
      status: 401,
    })
    assert.deepEqual(asked, [
      `GET https://registry.example/v2/a/blobs/${sha256(blob)}`,
      'GET https://storage.example/x',
    ])
  })
})

describe('a server without end', () => {
  async function serve(
    answer: Parameters<typeof fakeServer>[0],
    use: (server: FakeServer) => Promise<void>,
  ): Promise<void> {
    await using server = await fakeServer(answer)
    await use(server)
  }

  it('redirects so often at most', async () => {
    await serve(
      (_, res) => {
        res.writeHead(302, { Location: '/again' }).end()
      },
      async server => {
        await assert.rejects(send(new URL(server.url)), {
          name: 'ClientError',
          message: /redirects more than 10 times$/,
        })
        assert.equal(server.requests.length, 11)
      },
    )
  })

  it('has so many pages at most', async t => {
    let page = 0
    const asked = fakeFetch(
      t,
      () =>
        new Response(page > 10_100 ? '{}' : '{"tags":["a"]}', {
          headers: page > 10_100 ? {} : { Link: `</v2/a/tags/list?last=${page++}>; rel="next"` },
        }),
    )
    await assert.rejects(Array.fromAsync((await open('registry.example')).tags('a')), {
      name: 'ClientError',
      message: 'registry.example lists more than 1000000 tags, or on more than 10000 pages',
    })
    assert.equal(asked.length, 10_001)
  })

  it('has so many names at most', async t => {
    fakeFetch(t, () => new Response(JSON.stringify({ tags: Array.from({ length: 1_000_001 }, () => 'a') })))
    await assert.rejects(Array.fromAsync((await open('registry.example')).tags('a')), {
      message: 'registry.example lists more than 1000000 tags, or on more than 10000 pages',
    })
  })

  it('sends tokens, errors and lines so long at most', async t => {
    const long = 'x'.repeat(300_000)
    fakeFetch(t, url =>
      url.pathname.startsWith('/token')
        ? new Response(JSON.stringify({ token: long }))
        : challenge('Bearer realm="/token"'),
    )
    await assert.rejects(Array.fromAsync((await open('registry.example')).tags('a')), {
      name: 'ClientError',
      message: 'registry.example sent more than 262144 bytes of text',
    })
    t.mock.restoreAll()
    for (const body of [
      long,
      JSON.stringify({ errors: [{ code: 'A', message: long }] }),
      JSON.stringify({ errors: [{ code: 'x'.repeat(30_000), message: 'x'.repeat(30_000) }] }),
    ]) {
      fakeFetch(t, () => new Response(body, { status: 500 }))
      await assert.rejects(
        (await open('registry.example')).manifest('a', 'b'),
        ({ message }: Error) => message.length < 3000,
      )
      t.mock.restoreAll()
    }
    fakeFetch(t, () => new Response('x'.repeat(17 * 1024 * 1024)))
    await assert.rejects(Array.fromAsync(linesOf(await send(new URL('https://registry.example')))), {
      name: 'ClientError',
      message: /sent a line of more than 16777216 characters$/,
    })
  })
})
