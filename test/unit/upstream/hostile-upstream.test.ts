/** Upstreams that lie, never end, or lead elsewhere: nothing of it is believed, and the connection ends */
import assert from 'node:assert/strict'
import type { ServerResponse } from 'node:http'
import { describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { BlobPart, Upstream, UpstreamFailure } from '../../../src/registry/upstream.ts'
import { fakeServer, type SeenRequest } from '../../fixtures/fake-server.ts'
import { randomBytes, sha256 } from '../../fixtures/images.ts'
import { imageManifest } from '../../fixtures/manifests.ts'
import { readAll } from '../../fixtures/registry.ts'
import { until } from '../../fixtures/until.ts'
import { openUpstream, type TestUpstreamInit } from '../../fixtures/upstreams.ts'

const manifest = imageManifest()
const blob = randomBytes(10_000, 'blob')
const [digest, blobDigest] = [sha256(manifest), sha256(blob)]
const maxManifestBytes = 64 * 1024

type Ask = (upstream: Upstream) => Promise<unknown>

/** Ends what would go on for ever */
function soon(): { signal: AbortSignal } {
  return { signal: AbortSignal.timeout(5000) }
}

const byDigest: Ask = async upstream => await upstream.manifest('a', digest, soon())
const byTag: Ask = async upstream => await upstream.manifest('a', 'v1', soon())
const head: Ask = async upstream => await upstream.headManifest('a', digest, {})
function part(asked: BlobPart): Ask {
  return async upstream => await readAll((await upstream.blob('a', blobDigest, { ...asked, ...soon() }))!.bytes)
}

interface Lie {
  what: string
  ask: Ask
  answer: (res: ServerResponse, request: SeenRequest) => unknown
  reason?: UpstreamFailure
  message: RegExp
  init?: TestUpstreamInit
}

/** Writes for as long as somebody takes it */
function writeForEver(res: ServerResponse): void {
  const more = (): void => {
    while (!res.destroyed && res.write(Buffer.alloc(16 * 1024))) {
      // until it is full
    }
  }
  res.on('drain', more)
  more()
}

function range(start: number, end: number, size: number | string): Record<string, string> {
  return { 'Content-Range': `bytes ${start}-${end}/${size}` }
}

/** Sends a byte after the other */
function drip(res: ServerResponse, ms: number): void {
  const timer = setInterval(() => res.write('x'), ms)
  res.on('close', () => {
    clearInterval(timer)
  })
}

const lies: Lie[] = [
  {
    what: 'another manifest than that of the digest',
    ask: byDigest,
    answer: res => res.end('{}'),
    message: /^up.test sent another manifest than sha256:/,
  },
  {
    what: 'another manifest than the header says',
    ask: byTag,
    answer: res => res.setHeader('Docker-Content-Digest', digest).end('{}'),
    message: /^up.test sent another manifest than sha256:/,
  },
  {
    what: 'another digest than that it was asked for by',
    ask: head,
    answer: res => res.setHeader('Docker-Content-Digest', blobDigest).end(),
    message: /^up.test says that manifest sha256:\w+ is sha256:/,
  },
  {
    what: 'a manifest that is too long, as it says',
    ask: byTag,
    answer: res => {
      res.setHeader('Content-Length', maxManifestBytes + 1)
      writeForEver(res)
    },
    message: /^up.test sends a manifest of 65537 bytes, more than 65536$/,
  },
  {
    what: 'a manifest without end',
    ask: byTag,
    answer: res => writeForEver(res),
    message: /^up.test sends a manifest of more than 65536 bytes$/,
  },
  {
    what: 'a blob without end',
    ask: part({ size: blob.length }),
    answer: res => writeForEver(res),
    message: /^up.test sends more than the 10000 bytes that there are$/,
  },
  {
    what: 'a part without end',
    ask: part({ start: 10, end: 19 }),
    answer: res => {
      res.writeHead(206, range(10, 19, 10_000))
      writeForEver(res)
    },
    message: /^up.test sends more than the 10 bytes that there are$/,
  },
  {
    what: 'a blob of another length',
    ask: part({ size: blob.length }),
    answer: res => res.end('short'),
    message: /^up.test says that a blob of 10000 bytes has 5$/,
  },
  ...[range(0, 9, 10_000), range(10, 20, 10_000), range(10, 18, 10_000), range(10, 19, 15), {}].map(headers => ({
    what: `another part, ${JSON.stringify(headers)}`,
    ask: part({ start: 10, end: 19 }),
    answer: (res: ServerResponse) => res.writeHead(206, headers).end('0123456789'),
    message: /^up.test answered with another part of a blob than it was asked for$/,
  })),
  {
    what: 'a part of a blob of another length',
    ask: part({ start: 10, end: 19, size: blob.length }),
    answer: res => res.writeHead(206, range(10, 19, 9999)).end('0123456789'),
    message: /^up.test says that a blob of 10000 bytes has 9999$/,
  },
  {
    what: 'a part of another length than its range',
    ask: part({ start: 10, end: 19 }),
    answer: res => res.writeHead(206, { ...range(10, 19, '*'), 'Content-Length': 5 }).end('01234'),
    message: /^up.test says that 10 bytes of a blob are 5$/,
  },
  {
    what: 'a part that nobody asked for',
    ask: part({}),
    answer: res => res.writeHead(206, range(0, 9999, 10_000)).end(blob),
    message: /^up.test answered with another part of a blob/,
  },
  {
    what: 'bytes that are compressed',
    ask: byTag,
    answer: res => res.setHeader('Content-Encoding', 'gzip').end(manifest),
    message: /^up.test answered with a Content-Encoding that nobody asked for$/,
  },
  {
    what: 'redirects without end',
    ask: part({}),
    answer: (res, { url }) => res.writeHead(307, { Location: `${url}x` }).end(),
    message: /^up.test does not answer as it should: .* redirects more than 10 times$/,
  },
  ...['ftp://a.example/', 'http://['].map(Location => ({
    what: `a redirect to ${Location}`,
    ask: part({}),
    answer: (res: ServerResponse) => res.writeHead(307, { Location }).end(),
    message: /^up.test does not answer as it should: .* refers to /,
  })),
  ...['169.254.169.254', '[fe80::1]', '[::ffff:169.254.169.254]', '224.0.0.1'].map(host => ({
    what: `a redirect to ${host}`,
    ask: part({}),
    answer: (res: ServerResponse) => res.writeHead(307, { Location: `http://${host}/` }).end(),
    message: /^up.test does not answer as it should: the registry refers to .*, which is at a private address$/,
  })),
  {
    what: 'a realm at an address where it may not lead',
    ask: byTag,
    answer: res => res.writeHead(401, { 'WWW-Authenticate': 'Bearer realm="https://169.254.1.1/"' }).end(),
    message: /^up.test does not answer as it should: the registry refers to 169.254.1.1/,
  },
  {
    what: 'a realm without TLS at another host',
    ask: byTag,
    answer: res => res.writeHead(401, { 'WWW-Authenticate': 'Bearer realm="http://a.example/"' }).end(),
    message: /^up.test does not answer as it should: .* which would be reached without TLS$/,
  },
  {
    what: 'a status that is no answer',
    ask: byTag,
    answer: res => res.writeHead(204).end(),
    message: /^up.test answered 204, which is no answer to this request$/,
  },
  {
    what: 'something else than HTTP',
    ask: part({}),
    answer: res => res.socket!.end('HTTP/1.1 200 OK\r\nContent-Length: five\r\n\r\n'),
    message: /^up.test does not answer as it should/,
  },
  {
    what: 'less than it says',
    ask: part({}),
    reason: 'unreachable',
    answer: res => {
      res.writeHead(200, { 'Content-Length': 10_000 }).write(blob.subarray(0, 10))
      setTimeout(() => res.destroy(), 50)
    },
    message: /^up.test does not answer: .* closed the connection before its answer was complete$/,
  },
  {
    what: 'less of a part than it says',
    ask: part({ start: 10, end: 19 }),
    reason: 'unreachable',
    answer: res => res.writeHead(206, { ...range(10, 19, 10_000), 'Transfer-Encoding': 'chunked' }).end('01234'),
    message: /^up.test ended its answer after 5 of 10 bytes$/,
  },
  {
    what: 'nothing',
    ask: part({}),
    reason: 'unreachable',
    answer: () => {},
    init: { timeout: 200 },
    message: /^up.test does not answer: .* has been silent for 0.2 s$/,
  },
  {
    what: 'headers, and then nothing',
    ask: part({}),
    reason: 'unreachable',
    answer: res => res.writeHead(200).flushHeaders(),
    init: { timeout: 200 },
    message: /^up.test does not answer: .* has been silent for 0.2 s$/,
  },
  {
    what: 'a byte now and then',
    ask: part({}),
    answer: res => drip(res, 20),
    init: { timeout: 200, rate: { bytes: 100, period: 300 } },
    message: /^up.test sent less than 100 bytes within 0.3 s$/,
  },
  {
    what: 'a list without end',
    ask: async upstream => await upstream.tags('a', {}),
    answer: (res, { url }) => res.setHeader('Link', `<${url.split('?')[0]}?n=1>; rel="next"`).end('{"tags":["v1"]}'),
    message: /^up.test has a list whose pages lead elsewhere or never end$/,
  },
  {
    what: 'a list that goes on elsewhere',
    ask: async upstream => await upstream.tags('a', {}),
    answer: res => res.setHeader('Link', '<http://a.example/>; rel="next"').end('{"tags":["v1"]}'),
    message: /^up.test has a list whose pages lead elsewhere or never end$/,
  },
  {
    what: 'referrers that are none',
    ask: async upstream => await upstream.referrers('a', digest, {}),
    answer: res => res.end('{"manifests":[{"digest":"x"}]}'),
    message: /^up.test lists referrers that are no descriptors$/,
  },
  {
    what: 'a list that is no JSON',
    ask: async upstream => await upstream.tags('a', {}),
    answer: res => res.end('<html>'),
    message: /^up.test does not answer as it should: .* did not answer with JSON$/,
  },
]

describe('an upstream that sends', () => {
  for (const { answer, ask, init, message, reason = 'invalid', what } of lies) {
    it(`${what} is ${reason}`, async () => {
      let open = 0
      await using server = await fakeServer((request, res) => {
        open++
        res.on('close', () => {
          open--
        })
        answer(res, request)
      })
      await using opened = openUpstream(server.url, { maxManifestBytes, ...init })
      await assert.rejects(ask(opened.upstream), { name: 'UpstreamError', upstream: 'up.test', reason, message })
      await until('every answer has ended', async () => open === 0)
    })
  }
})

describe('a redirect', () => {
  it('leads to another server without the log-in', async () => {
    await using store = await fakeServer((_, res) => res.end(blob))
    await using tokens = await fakeServer((_, res) => res.end('{"token":"secret"}'))
    await using front = await fakeServer(({ headers }, res) => {
      const header = `Bearer realm="${tokens.url}"`
      headers.authorization === undefined
        ? res.writeHead(401, { 'WWW-Authenticate': header }).end()
        : res.writeHead(307, { Location: `${store.url}/blob` }).end()
    })
    await using opened = openUpstream(front.url)
    assert.deepEqual(await part({})(opened.upstream), blob)
    assert.equal(front.requests.at(-1)!.headers.authorization, 'Bearer secret')
    assert.equal(store.requests[0]!.headers.authorization, undefined)
  })

  it('leads to the address that was checked, of those that a name has', async () => {
    await using store = await fakeServer((_, res) => res.end(blob))
    const port = new URL(store.url).port
    await using server = await fakeServer((_, res) => {
      res.writeHead(307, { Location: `http://cdn.test:${port}/` }).end()
    })
    const looked: string[] = []
    const answers = [['169.254.169.254', '127.0.0.1'], ['169.254.169.254']]
    await using opened = openUpstream(`http://registry.test:${new URL(server.url).port}`, {
      lookup: (hostname, _, callback) => {
        looked.push(hostname)
        const found = hostname === 'cdn.test' ? answers.shift()! : ['127.0.0.1']
        callback(
          null,
          found.map(address => ({ address, family: 4 })),
        )
      },
    })
    assert.deepEqual(await part({})(opened.upstream), blob)
    assert.deepEqual(looked, ['registry.test', 'cdn.test'])
    // the connection that there is goes on to be used; a new one is looked up anew
    await store[Symbol.asyncDispose]()
    await assert.rejects(part({})(opened.upstream), { reason: 'invalid', message: /refers to cdn.test, which is at/ })
  })
})

describe('an upstream that wants no more requests', () => {
  const later = new Date(Date.now() + 100_000).toUTCString()
  for (const [status, retryAfter, least, most] of [
    [429, '7', 7, 7],
    [429, later, 90, 101],
    [429, undefined, 30, 30],
    [429, '9999999', 3600, 3600],
    [503, '3', 3, 3],
  ] as const) {
    it(`by ${status} and Retry-After ${retryAfter} is left alone`, async () => {
      await using server = await fakeServer((_, res) => {
        res.writeHead(status, retryAfter === undefined ? {} : { 'Retry-After': retryAfter }).end()
      })
      await using opened = openUpstream(server.url)
      for (const ask of [byTag, head, part({})]) {
        await assert.rejects(ask(opened.upstream), (err: Error & { reason: string; retryAfter: number }) => {
          assert.deepEqual([err.name, err.reason], ['UpstreamError', 'throttled'])
          assert.ok(err.retryAfter >= least && err.retryAfter <= most, String(err.retryAfter))
          assert.match(err.message, /^up.test wants no more requests for \d+ s$/)
          return true
        })
      }
      assert.equal(server.requests.length, 1)
    })
  }

  it('is asked again after that', async () => {
    await using server = await fakeServer((_, res) => {
      server.requests.length === 1 ? res.writeHead(429, { 'Retry-After': '1' }).end() : res.end(manifest)
    })
    await using opened = openUpstream(server.url)
    await assert.rejects(byTag(opened.upstream), { reason: 'throttled' })
    await sleep(1050)
    await byTag(opened.upstream)
  })
})

describe('an upstream that fails', () => {
  it('is asked for a manifest again, a few times', async () => {
    await using server = await fakeServer((_, res) => {
      server.requests.length < 3 ? res.writeHead(502).end() : res.end(manifest)
    })
    await using opened = openUpstream(server.url)
    await byTag(opened.upstream)
    assert.equal(server.requests.length, 3)
  })

  it('is told from one that refuses', async () => {
    await using server = await fakeServer(({ url }, res) => {
      const [, status] = /blobs.*|manifests\/s(\d+)/.exec(url) ?? []
      res.writeHead(Number(status ?? 500)).end('{"errors":[{"code":"DENIED","message":"secret of the upstream"}]}')
    })
    await using opened = openUpstream(server.url)
    for (const [status, reason, message] of [
      [401, 'denied', 'up.test denies access: it answered 401 DENIED'],
      [403, 'denied', 'up.test denies access: it answered 403 DENIED'],
      [400, 'invalid', 'up.test answered 400 DENIED, which is no answer to this request'],
      [504, 'unreachable', 'up.test does not work: it answered 504 DENIED'],
      [508, 'invalid', 'up.test leads back to a registry that has passed on the same request: it answered 508 DENIED'],
    ] as const) {
      await assert.rejects(opened.upstream.manifest('a', `s${status}`, {}), { reason, message })
    }
  })

  it('can not be reached', async () => {
    const server = await fakeServer(() => {})
    await server[Symbol.asyncDispose]()
    await using opened = openUpstream(server.url)
    await assert.rejects(byTag(opened.upstream), {
      reason: 'unreachable',
      message: /^up.test does not answer: .*REFUSED/,
    })
  })
})
