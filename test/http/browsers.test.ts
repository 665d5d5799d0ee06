import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, describe, it } from 'node:test'
import { Administration } from '../../src/upkeep/administration.ts'
import { authorized, TestApp, assertError, json, type Reply, type RequestInit } from '../fixtures/app.ts'
import { sha256 } from '../fixtures/images.ts'
import { emptyJson, imageManifest, ociManifest } from '../fixtures/manifests.ts'

const manifest = imageManifest()
const digest = sha256(manifest)
const stolen = Buffer.from('stolen')
const unusable = (): never => {
  throw new Error('nothing may be asked of it')
}
const administration = new Administration({
  accessFiles: { reload: async () => undefined },
  registry: { repository: unusable },
  readOnly: { state: undefined, begin: unusable, turnOff: unusable, turnOn: unusable },
  node: { peers: () => [], connect: unusable },
  names: { resolve: unusable },
  publisher: { publish: unusable },
  backups: { begin: unusable },
  restorer: { restore: unusable },
  rebuilder: { rebuild: unusable, waive: unusable },
  collector: { collect: unusable },
  retention: { run: unusable },
  fsck: { run: unusable },
  undo: { forget: unusable, undo: unusable },
  historyLog: { diff: unusable, list: unusable, stateAt: unusable },
  pastTags: { list: unusable },
})

/** As Chromium sends them; `Sec-Fetch-...` only to https and to this machine */
const agent = {
  'User-Agent':
    'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/156.0.0.0 Safari/537.36',
}
const page = { ...agent, 'Accept-Language': 'en-US,en;q=0.9', 'Sec-Fetch-Mode': 'cors', 'Sec-Fetch-Dest': 'empty' }

let app: TestApp
before(async () => {
  app = await TestApp.start({ administration, hosts: ['registry.example', '*.pages.example', 'Upper.Example.'] })
  await app.pushEmptyConfig('victim')
  await app.pushManifest('victim', 'v1', manifest)
})
after(async () => {
  await app[Symbol.asyncDispose]()
})

const writes: Array<[what: string, method: string, path: string, init?: RequestInit]> = [
  [
    'a blob by one POST',
    'POST',
    `/v2/stolen/blobs/uploads/?digest=${sha256(stolen)}`,
    { body: stolen, headers: { 'Content-Type': 'text/plain' } },
  ],
  ['an upload', 'POST', '/v2/stolen/blobs/uploads/'],
  ['a mount', 'POST', `/v2/stolen/blobs/uploads/?mount=${sha256(emptyJson)}&from=victim`],
  ['a tag', 'PUT', '/v2/victim/manifests/stolen', { body: manifest, headers: { 'Content-Type': ociManifest } }],
  ['the deletion of a manifest', 'DELETE', `/v2/victim/manifests/${digest}`],
  ['the deletion of a blob', 'DELETE', `/v2/victim/blobs/${sha256(emptyJson)}`],
  [
    'a question before a request',
    'OPTIONS',
    '/v2/victim/manifests/v1',
    { headers: { 'Access-Control-Request-Method': 'DELETE' } },
  ],
  ['garbage collection', 'POST', '/ipdr/v1/gc', { body: '{}', headers: { 'Content-Type': 'application/json' } }],
  ['a method that nobody knows', 'PATCH', '/nothing'],
]

async function send(
  [, method, path, { headers, ...init } = {}]: (typeof writes)[number],
  more: Record<string, string>,
): Promise<Reply> {
  return await app.request(method, path, { ...init, headers: { ...headers, ...more } })
}

async function assertUntouched(): Promise<void> {
  assert.deepEqual(json(await app.get('/v2/_catalog')), { repositories: ['victim'] })
  assert.deepEqual(json(await app.get('/v2/victim/tags/list')), { name: 'victim', tags: ['v1'] })
  assert.equal((await app.get(`/v2/victim/blobs/${sha256(emptyJson)}`)).status, 200)
}

function assertNoGrant({ headers }: Reply): void {
  assert.deepEqual(
    Object.keys(headers).filter(name => name.startsWith('access-control-')),
    [],
  )
}

describe('a page of another site', () => {
  for (const [what, headers] of [
    ['that an old browser shows', { Origin: 'https://evil.example' }],
    ['that has the same name on another port', { Origin: 'http://127.0.0.1:1' }],
    ['whose name begins as ours does', { Origin: 'http://127.0.0.1.evil.example' }],
    ['in a sandbox', { Origin: 'null' }],
    ['with an origin of no host', { Origin: 'file://' }],
    ["with an extension's origin", { Origin: 'chrome-extension://abcdef' }],
    ['with an empty origin', { Origin: '' }],
    ['with two origins', { Origin: 'http://127.0.0.1, https://evil.example' }],
    ['as a browser says', { ...page, 'Sec-Fetch-Site': 'cross-site' }],
    ['of a subdomain or another port', { ...page, 'Sec-Fetch-Site': 'same-site' }],
    ['by a word that we do not know', { 'Sec-Fetch-Site': 'same-planet' }],
    ['by two words', { 'Sec-Fetch-Site': 'same-origin, cross-site' }],
    ['that says so in one of two ways', { Origin: 'https://evil.example', 'Sec-Fetch-Site': 'same-origin' }],
  ] as const) {
    it(`${what} changes nothing`, async () => {
      for (const write of writes) {
        const reply = await send(write, headers)
        assert.equal(reply.status, 403, write[0])
        assertNoGrant(reply)
      }
      assert.deepEqual(assertError(await send(writes[0]!, headers), 'DENIED'), {
        reason: 'not for pages of other sites',
      })
      await assertUntouched()
    })

    it(`${what} gets no answer of the administration, and no grant to read one of the registry`, async () => {
      assert.equal((await app.get('/ipdr/v1/peers', headers)).status, 403)
      const reply = await app.get('/v2/victim/manifests/v1', headers)
      assert.equal(reply.status, 200)
      assertNoGrant(reply)
    })
  }
})

describe('a page of our own', () => {
  for (const [what, host, headers] of [
    ['at an address', '', { Origin: 'http://127.0.0.1:<port>' }],
    ['as a browser says', '', { ...page, Origin: 'http://127.0.0.1:<port>', 'Sec-Fetch-Site': 'same-origin' }],
    ['that somebody typed in', '', { ...page, 'Sec-Fetch-Site': 'none' }],
    ['at a name that is listed', 'registry.example', { Origin: 'http://registry.example' }],
    [
      'behind a proxy that ends TLS',
      'registry.example',
      { ...page, Origin: 'https://registry.example', 'Sec-Fetch-Site': 'same-origin' },
    ],
    ['behind such a proxy on another port', 'registry.example:8443', { Origin: 'https://registry.example:8443' }],
    ['with a port that goes without saying', 'registry.example:443', { Origin: 'https://registry.example' }],
    ['in upper case', 'Registry.Example', { Origin: 'http://registry.example' }],
    ['at an address of IPv6', '[::1]:5000', { Origin: 'http://[::1]:5000' }],
  ] as const) {
    it(`${what} may write`, async () => {
      const more = Object.fromEntries(
        Object.entries(headers).map(([name, value]) => [name, value.replace('<port>', String(app.port))]),
      )
      const reply = await send(
        ['', 'PUT', '/v2/victim/manifests/v1', { body: manifest, headers: { 'Content-Type': ociManifest } }],
        { ...(host === '' ? {} : { Host: host }), ...more },
      )
      assert.equal(reply.status, 201)
    })
  }

  it('is not one of another port or scheme, whatever the host is', async () => {
    for (const [host, origin] of [
      ['registry.example', 'https://registry.example:8443'],
      ['registry.example:5000', 'http://registry.example'],
      ['registry.example:80', 'https://registry.example'],
      ['user@registry.example', 'http://registry.example'],
      ['registry.example', 'ftp://registry.example'],
    ] as const) {
      assert.ok(
        [403, 421].includes((await send(writes[3]!, { Host: host, Origin: origin })).status),
        `${host} ${origin}`,
      )
    }
    await assertUntouched()
  })
})

describe('the name that a browser asks for', () => {
  const known = [
    '127.0.0.1',
    '127.0.0.1:5000',
    '192.0.2.7',
    '[::1]',
    '[2001:DB8::1]:5000',
    'localhost',
    'LOCALHOST:5000',
    'localhost.',
    'a.localhost',
    'registry',
    'my_registry:5000',
    'registry.example',
    'Registry.Example:5000',
    'registry.example.',
    'one.pages.example',
    'upper.example',
  ]
  const unknown = [
    'evil.example',
    'evil.example:5000',
    'EVIL.example.',
    'registry.example.evil.example',
    'sub.registry.example',
    'pages.example',
    'a.b.pages.example',
    'notlocalhost.example',
    '127.0.0.1.evil.example',
    '1.2.3.4.5',
  ]
  const malformed = [
    'evil.example@registry.example',
    'registry.example@evil.example',
    'registry.example/',
    'registry.example:x',
    'registry.example:',
    '[::1',
    '::1',
    '[localhost]',
    '[1.2.3.4]',
    'a..b',
    '..',
    '.',
    'registry.example evil.example',
    'registry.example,evil.example',
    '',
    'é.example',
    `${'a'.repeat(256)}`,
  ]

  for (const host of known) {
    it(`${host} is answered`, async () =>
      assert.equal((await app.get('/v2/_catalog', { ...agent, Host: host })).status, 200))
  }

  for (const host of unknown) {
    it(`${host} is not`, async () => {
      const reply = await app.get('/v2/_catalog', { ...agent, Host: host })
      const name = host.toLowerCase().replace(/\.?(:\d+)?$/, '')
      assert.deepEqual(assertError(reply, 'HOST_UNKNOWN'), {
        host: name,
        reason: `if this name is right, add it to the registry's configuration: hosts: [${name}]`,
      })
    })
  }

  for (const host of malformed) {
    it(`${JSON.stringify(host).slice(0, 40)} is no name`, async () => {
      const reply = await app.exchange(
        `GET /v2/_catalog HTTP/1.1\r\nHost: ${host}\r\nUser-Agent: Mozilla/5.0\r\nConnection: close\r\n\r\n`,
      )
      assert.match(reply, /^HTTP\/1\.1 421 .*"reason":"the request names no host"/s)
    })
  }

  it('may not be left out', async () => {
    assert.match(await app.exchange('GET /v2/_catalog HTTP/1.0\r\nUser-Agent: Mozilla/5.0\r\n\r\n'), /^HTTP\/1\.1 421 /)
    assert.match(await app.exchange('GET /v2/_catalog HTTP/1.1\r\nUser-Agent: Mozilla/5.0\r\n\r\n'), /^HTTP\/1\.1 400 /)
  })

  it('may not be given twice, by nobody', async () => {
    for (const [one, other] of [
      ['localhost', 'evil.example'],
      ['evil.example', 'localhost'],
      ['localhost', 'localhost'],
    ]) {
      assert.match(
        await app.exchange(`GET /v2/_catalog HTTP/1.1\r\nHost: ${one}\r\nhost: ${other}\r\nConnection: close\r\n\r\n`),
        /^HTTP\/1\.1 400 /,
      )
    }
  })

  for (const [url, host, status] of [
    ['http://evil.example/v2/_catalog', 'localhost', 421],
    ['http://localhost/v2/_catalog', 'evil.example', 421],
    ['http://localhost/v2/_catalog', 'localhost', 200],
    ['http://localhost@evil.example/v2/_catalog', 'localhost', 421],
    ['ftp://evil.example/v2/_catalog', 'localhost', 421],
    ['http:/v2/_catalog', 'localhost', 421],
    ['http://evil.example/ipdr/v1/peers', '127.0.0.1', 421],
  ] as const) {
    it(`counts in a whole URL, too: ${url} with ${host}`, async () => {
      const reply = await app.exchange(
        `GET ${url} HTTP/1.1\r\nHost: ${host}\r\nUser-Agent: Mozilla/5.0\r\nConnection: close\r\n\r\n`,
      )
      assert.match(reply, new RegExp(`^HTTP/1\\.1 (?:${status}|4(?:00|04)) `))
      assert.ok(status !== 200 || reply.startsWith('HTTP/1.1 200'))
    })
  }
})

describe('a page whose own name leads here', () => {
  const host = 'evil.example:5000'
  const origin = { Host: host, Origin: `http://${host}` }

  for (const [what, headers] of [
    ['with an origin', origin],
    ['as a browser says', { ...origin, ...page, 'Sec-Fetch-Site': 'same-origin' }],
    ['behind TLS', { Host: host, Origin: `https://${host}` }],
  ] as const) {
    it(`${what} reads and changes nothing`, async () => {
      for (const write of [
        ...writes,
        ['catalog', 'GET', '/v2/_catalog'],
        ['tags', 'HEAD', '/v2/victim/tags/list'],
        ['peers', 'GET', '/ipdr/v1/peers'],
        ['metrics', 'GET', '/metrics'],
        ['dig', 'GET', '/dig?q=victim'],
      ] as typeof writes) {
        assert.equal((await send(write, headers)).status, 421, write[0])
      }
      await assertUntouched()
    })
  }

  for (const [what, headers] of [
    ['the agent', agent],
    ['an agent that a program took over', { 'User-Agent': 'mozilla/4.0 (compatible)' }],
    ['a destination', { 'Sec-Fetch-Dest': 'image' }],
    ['a navigation', { 'Sec-Fetch-Mode': 'navigate' }],
    ['somebody who clicked', { 'Sec-Fetch-User': '?1' }],
    ['a site', { 'Sec-Fetch-Site': 'none' }],
    // Firefox and Safari let a page choose the agent
    ['a language, whatever the agent says', { 'User-Agent': 'docker/29.0.0', 'Accept-Language': '*' }],
    ['a language that is empty', { 'Accept-Language': '' }],
    ['a language beside the mode', { 'Sec-Fetch-Mode': 'cors', 'Accept-Language': 'de' }],
  ] as const) {
    it(`is told by ${what}`, async () =>
      assert.equal((await app.get('/v2/_catalog', { Host: host, ...headers })).status, 421))
  }
})

describe('a client that is no browser', () => {
  for (const [what, headers] of [
    [
      'docker',
      {
        'User-Agent':
          'docker/29.0.0 go/go1.25 git-commit/x kernel/6.1 os/linux arch/amd64 UpstreamClient(Docker-Client/29.0.0 (linux))',
      },
    ],
    ['containerd', { 'User-Agent': 'containerd/v2.1.0' }],
    ['podman, skopeo', { 'User-Agent': 'containers/5.36 (github.com/containers/image)' }],
    ['crane', { 'User-Agent': 'crane/v0.20 go-containerregistry/v0.20' }],
    ['curl', { 'User-Agent': 'curl/8.5.0', Accept: '*/*' }],
    ['one without a name', {}],
    ["Node's fetch", { 'User-Agent': 'node', 'Accept-Language': '*', 'Sec-Fetch-Mode': 'cors' }],
  ] as const) {
    it(`comes in under any name: ${what}`, async () => {
      const write = [
        '',
        'PUT',
        '/v2/victim/manifests/v1',
        { body: manifest, headers: { 'Content-Type': ociManifest } },
      ] as (typeof writes)[number]
      for (const host of ['evil.example', 'other.example:5000', 'a.b.c.d.example.']) {
        assert.equal((await app.get('/v2/_catalog', { ...headers, Host: host })).status, 200)
        assert.equal((await send(write, { ...headers, Host: host })).status, 201)
      }
    })
  }

  it('may be this very Node, by which the CLI asks', async () => {
    await using echo = createServer((req, res) => {
      res.end(JSON.stringify(req.headers))
    }).listen(0, '127.0.0.1')
    await once(echo, 'listening')
    const response = await fetch(`http://127.0.0.1:${(echo.address() as AddressInfo).port}`, {
      headers: { Connection: 'close' },
    })
    const headers = (await response.json()) as Record<string, string>
    assert.ok('sec-fetch-mode' in headers)
    assert.equal((await app.get('/v2/_catalog', { ...headers, host: 'evil.example' })).status, 200)
  })
})

describe('the admin port', () => {
  it('has the same names, and is for no other site', async () => {
    await using app = await TestApp.start({ administration, adminPort: true, hosts: ['registry.example'] })
    const status = async (method: string, path: string, headers: Record<string, string>): Promise<number> =>
      (await app.request(method, path, { headers, port: app.adminPort })).status
    for (const path of ['/livez', '/metrics', '/ipdr/v1/peers']) {
      assert.equal(await status('GET', path, { ...agent, Host: 'evil.example' }), 421)
    }
    assert.equal(await status('GET', '/metrics', { ...authorized, ...agent, Host: 'registry.example' }), 200)
    assert.equal(await status('GET', '/ipdr/v1/peers', { ...authorized, Origin: 'https://evil.example' }), 403)
    assert.equal(await status('POST', '/ipdr/v1/gc', { ...authorized, Origin: 'https://evil.example' }), 403)
  })
})

describe('what is sent', () => {
  const expected = {
    'x-content-type-options': 'nosniff',
    'content-security-policy': "sandbox; default-src 'none'; frame-ancestors 'none'",
    'cross-origin-resource-policy': 'same-origin',
  }

  for (const [what, method, path, status, headers] of [
    ['a manifest', 'GET', '/v2/victim/manifests/v1', 200],
    ['its headers', 'HEAD', '/v2/victim/manifests/v1', 200],
    ['one that is known already', 'GET', '/v2/victim/manifests/v1', 304, { 'If-None-Match': `"${digest}"` }],
    ['a blob', 'GET', `/v2/victim/blobs/${sha256(emptyJson)}`, 200],
    ['a part of one', 'GET', `/v2/victim/blobs/${sha256(emptyJson)}`, 206, { Range: 'bytes=0-0' }],
    ['parts of one', 'GET', `/v2/victim/blobs/${sha256(emptyJson)}`, 206, { Range: 'bytes=0-0,1-1' }],
    ['a manifest by /dig', 'GET', '/dig?q=victim:v1', 200],
    ['the tags by /dig', 'GET', '/dig?q=victim', 200],
    ['the catalog', 'GET', '/v2/_catalog', 200],
    ['referrers', 'GET', `/v2/victim/referrers/${digest}`, 200],
    ['the base', 'GET', '/v2/', 200],
    ['health', 'GET', '/livez', 200],
    ['metrics', 'GET', '/metrics', 200, authorized],
    ['an error', 'GET', '/v2/victim/manifests/nothing', 404],
    ['an error of /dig', 'GET', '/dig?q=nothing', 404],
    ['an error of the administration', 'GET', '/ipdr/v1/resolve', 400, authorized],
    ['no endpoint', 'GET', '/<script>', 404],
    ['a path that is none', 'GET', '/v2/%zz/tags/list', 400],
    ['another method', 'POST', '/v2/', 405],
    ['too long a URL', 'GET', `/${'a'.repeat(9000)}`, 414],
    ['a refusal', 'POST', '/v2/a/blobs/uploads/', 403, { Origin: 'null' }],
    ['another name', 'GET', '/v2/', 421, { ...agent, Host: 'evil.example' }],
  ] as Array<[string, string, string, number, Record<string, string>?]>) {
    it(`is data for a browser: ${what}`, async () => {
      const reply = await app.request(method, path, { headers: headers ?? {} })
      assert.equal(reply.status, status)
      assert.deepEqual(Object.fromEntries(Object.keys(expected).map(name => [name, reply.headers[name]])), expected)
    })
  }

  it('is not guessed at where it was no request', async () => {
    assert.match(await app.exchange('<html>\r\n\r\n'), /^HTTP\/1\.1 400 .*\r\nX-Content-Type-Options: nosniff\r\n/s)
  })

  for (const [mediaType, expected] of [
    ['text/html', undefined],
    ['Text/HTML', undefined],
    ['image/svg+xml', undefined],
    ['application/xhtml+xml', undefined],
    ['application/pdf', undefined],
    ['multipart/related', undefined],
    ['a/b\r\nSet-Cookie: c=d', undefined],
    ['', undefined],
    [ociManifest, ociManifest],
    ['application/vnd.example+json', 'application/vnd.example+json'],
    ['application/json', 'application/json'],
  ] as const) {
    it(`has no type of a document: a manifest kept as ${JSON.stringify(mediaType)}`, async () => {
      const { index } = app.stores
      const record = await index.manifest('victim', digest)
      await index
        .change()
        .putRepository('kept')
        .putManifest('kept', digest, { ...record!, mediaType })
        .commit({ durable: false })
      for (const method of ['GET', 'HEAD']) {
        const { status, headers } = await app.request(method, `/v2/kept/manifests/${digest}`)
        assert.deepEqual(
          [status, headers['content-type'], headers['set-cookie']],
          [200, expected ?? 'application/octet-stream', undefined],
        )
      }
    })
  }

  for (const field of ['mediaType', 'artifactType']) {
    it(`has no type of a document: an image of another node with such a ${field}`, async () => {
      const { content } = app.stores
      const html = {
        schemaVersion: 2,
        [field]: 'text/html',
        config: { mediaType: 'text/html', digest: sha256(emptyJson), size: 2 },
        layers: [],
      }
      const file = await content.add(Buffer.from(JSON.stringify(html)))
      const directory = await content.addDirectory([{ name: 'latest', content: file }])
      const root = await content.addDirectory([{ name: 'manifests', content: directory }])
      const { status, headers } = await app.get(`/v2/${root.cid}/manifests/latest`)
      assert.deepEqual(
        [status, headers['content-type']],
        field === 'mediaType' ? [404, 'application/json'] : [200, ociManifest],
      )
    })
  }
})
