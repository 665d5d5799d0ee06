import assert from 'node:assert/strict'
import { METHODS } from 'node:http'
import { after, before, describe, it } from 'node:test'
import { sha256 } from '../fixtures/images.ts'
import { imageManifest } from '../fixtures/manifests.ts'
import { TestApp, assertError, json } from '../fixtures/app.ts'

const digest = sha256(Buffer.from('{}'))
const manifest = imageManifest()
let app: TestApp

before(async () => {
  app = await TestApp.start()
  await app.pushEmptyConfig('a/b')
  await app.pushManifest('a/b', 'latest', manifest)
})
after(async () => {
  await app[Symbol.asyncDispose]()
})

describe('/v2/', () => {
  for (const path of ['/v2/', '/v2', '/v2/?a=b']) {
    it(`${path} says that this is a registry`, async () => {
      const reply = await app.get(path, { Accept: 'text/html', Authorization: 'Basic eDp5' })
      assert.deepEqual(
        [reply.status, json(reply), reply.headers['docker-distribution-api-version']],
        [200, {}, 'registry/2.0'],
      )
      assert.match(String(reply.headers['content-type']), /^application\/json/)
    })
  }

  it('takes an absolute form of the URL', async () => {
    assert.match(
      await app.exchange(
        'GET http://registry.example/v2/ HTTP/1.1\r\nHost: registry.example\r\nConnection: close\r\n\r\n',
      ),
      /^HTTP\/1.1 200 /,
    )
  })

  it('answers 400 to a URL that is none', async () => {
    const text = await app.exchange('GET http://[::1/v2/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
    assert.match(text, /^HTTP\/1.1 400 [\s\S]*"REQUEST_INVALID"/)
  })
})

describe('methods', () => {
  const paths: Array<[path: string, ...methods: string[]]> = [
    ['/v2/', 'GET', 'HEAD'],
    ['/v2/_catalog', 'GET', 'HEAD'],
    ['/v2/a/b/tags/list', 'GET', 'HEAD'],
    [`/v2/a/b/referrers/${digest}`, 'GET', 'HEAD'],
    [`/v2/a/b/blobs/${digest}`, 'GET', 'HEAD', 'DELETE'],
    ['/v2/a/b/manifests/latest', 'GET', 'HEAD', 'PUT', 'DELETE'],
    [`/v2/a/b/manifests/${digest}`, 'GET', 'HEAD', 'PUT', 'DELETE'],
    ['/v2/a/b/blobs/uploads/', 'POST'],
    ['/v2/a/b/blobs/uploads', 'POST'],
    ['/v2/a/b/blobs/uploads/id', 'GET', 'HEAD', 'PATCH', 'PUT', 'DELETE'],
    ['/livez', 'GET', 'HEAD'],
    ['/readyz', 'GET', 'HEAD'],
    ['/health', 'GET', 'HEAD'],
    ['/metrics', 'GET', 'HEAD'],
  ]
  for (const [path, ...allowed] of paths) {
    it(`${path.replace(digest, '<digest>')} takes ${allowed.join(', ')} and no other`, async () => {
      for (const method of METHODS.filter(method => method !== 'CONNECT' && !allowed.includes(method))) {
        const reply = await app.request(method, path)
        assert.deepEqual([reply.status, reply.headers.allow], [405, allowed.join(', ')], method)
        if (method === 'HEAD') {
          assert.equal(reply.body.byteLength, 0)
        } else {
          assert.deepEqual(assertError(reply, 'UNSUPPORTED'), { method })
        }
      }
    })
  }

  it('CONNECT gets no tunnel', async () => {
    assert.doesNotMatch(
      await app.exchange('CONNECT example.org:80 HTTP/1.1\r\nHost: example.org\r\n\r\n'),
      /^HTTP\/1.1 2/,
    )
  })
})

describe('HEAD', () => {
  for (const path of [
    '/v2/',
    '/v2/_catalog',
    '/v2/a/b/tags/list',
    `/v2/a/b/referrers/${digest}`,
    `/v2/a/b/blobs/${digest}`,
    '/v2/a/b/manifests/latest',
    '/livez',
    '/readyz',
  ]) {
    it(`${path.replace(digest, '<digest>')} has the headers of GET and no body`, async () => {
      const [get, head] = [await app.get(path), await app.request('HEAD', path)]
      assert.equal(head.body.byteLength, 0)
      assert.equal(head.status, 200)
      assert.equal(head.headers['content-length'], String(get.body.byteLength))
      const fixed = ({ headers: { date, 'x-request-id': id, ...rest } }: typeof get): Record<string, unknown> => rest
      assert.deepEqual(fixed(head), fixed(get))
    })
  }

  for (const path of [
    '/v2/none/tags/list',
    '/v2/a/b/manifests/none',
    `/v2/a/b/blobs/${sha256(Buffer.from('none'))}`,
    '/v2/a/b/manifests/.',
    '/v2/A/tags/list',
    '/nowhere',
    '/v2/a/b/blobs/uploads/none',
  ]) {
    it(`${path.slice(0, 30)} has no body for an error either`, async () => {
      const [get, head] = [await app.get(path), await app.request('HEAD', path)]
      assert.deepEqual(
        [head.status, head.headers['content-type'], head.headers['content-length'], head.body.byteLength],
        [get.status, 'application/json', String(get.body.byteLength), 0],
      )
      assert.ok(get.status >= 400 && get.status < 500)
    })
  }
})

describe('paths that lead nowhere', () => {
  for (const path of [
    '/',
    '/v1/',
    '/v2x',
    '/V2/',
    '/v2//',
    '//v2/',
    '/v2/..',
    '/v2/a',
    '/v2/a/b',
    '/v2/a/blobs',
    '/v2/a/blobs/',
    '/v2/a/manifests',
    '/v2/a/manifests/',
    '/v2/a/tags',
    '/v2/a/tags/',
    '/v2/a/tags/list/',
    '/v2/_catalog/',
    '/v2/_CATALOG',
    '/v2/manifests/latest',
    '/v2/blobs/uploads/',
    `/v2/a/referrers/${digest}/`,
    '/v2/a/Tags/list',
    '/v2/tags/list',
    '/favicon.ico',
    '/.env',
    '/%2e%2e/etc/passwd',
    '/LIVEZ',
    '/livez/',
    '/Readyz',
    '/readyz/',
    '/Health',
    '/METRICS',
    '/metrics/',
    '/DIG?q=a/b',
    '/dig/?q=a/b',
    '/../../etc/passwd',
    '/v2%2f',
    '/?/v2/',
    `/${'x'.repeat(8000)}`,
  ]) {
    it(path.slice(0, 40), async () => {
      for (const method of ['GET', 'POST', 'PUT', 'DELETE', 'OPTIONS']) {
        assert.equal(assertError(await app.request(method, path), 'NOT_FOUND'), undefined)
      }
    })
  }
})

describe('names, references and digests that are none', () => {
  const names = [
    'A',
    'a/B',
    '..',
    'a/..',
    '../a',
    '%2e%2e',
    '%2e%2e%2fa',
    '..%2f..%2fetc',
    'a%00',
    '%00',
    'a%0a',
    'a%20b',
    'a%5cb',
    '%c3%a9',
    '_a',
    'a_',
    'a//b',
    '/a',
    'a/',
    '-',
    'a%3ab',
    '*',
    'a%23',
    'a%3f',
    '%252e',
    `a/${'b'.repeat(254)}`,
    'x'.repeat(4000),
    `${'a/'.repeat(200)}a`,
    '_catalog',
    '__proto__',
    '%f0%9f%98%80',
    'a%e2%80%ae',
  ]
  for (const name of names) {
    it(`name ${name.slice(0, 30)}`, async () => {
      for (const [method, rest] of [
        ['GET', 'tags/list'],
        ['GET', 'manifests/latest'],
        ['PUT', 'manifests/latest'],
        ['DELETE', 'manifests/latest'],
        ['GET', `blobs/${digest}`],
        ['DELETE', `blobs/${digest}`],
        ['POST', 'blobs/uploads/'],
        ['PATCH', 'blobs/uploads/id'],
        ['PUT', `blobs/uploads/id?digest=${digest}`],
        ['GET', 'blobs/uploads/id'],
        ['GET', `referrers/${digest}`],
      ] as const) {
        const detail = assertError(await app.request(method, `/v2/${name}/${rest}`), 'NAME_INVALID')
        assert.ok(String(detail?.['name']).length <= 255)
      }
    })
  }

  it('a name may be written with an encoded slash: it is decoded once', async () => {
    assert.deepEqual(json(await app.get('/v2/a%2fb/tags/list')), { name: 'a/b', tags: ['latest'] })
    assertError(await app.get('/v2/a%252fb/tags/list'), 'NAME_INVALID')
  })

  for (const bad of ['%ff', '%', '%zz', 'a%e0%a4', '%c0%ae%c0%ae', '%ed%a0%80']) {
    it(`${bad} can't be decoded`, async () => {
      for (const path of [
        `/v2/${bad}/tags/list`,
        `/v2/a/manifests/${bad}`,
        `/v2/a/blobs/${bad}`,
        `/v2/a/blobs/uploads/${bad}`,
        `/v2/a/referrers/${bad}`,
      ]) {
        assertError(await app.get(path), 'REQUEST_INVALID')
      }
    })
  }

  for (const tag of [
    '.',
    '..',
    '.a',
    '-a',
    'a%00',
    'a%2fb',
    '..%2f..',
    'a%20',
    '%c3%a9',
    'x'.repeat(129),
    'x'.repeat(8000),
    'a%0d%0ax',
    '*',
    '@',
  ]) {
    it(`tag ${tag.slice(0, 30)}`, async () => {
      for (const method of ['GET', 'PUT', 'DELETE']) {
        const detail = assertError(await app.request(method, `/v2/a/b/manifests/${tag}`), 'TAG_INVALID')
        assert.ok(String(detail?.['tag']).length <= 128)
      }
    })
  }

  for (const text of [
    'sha256:',
    'sha256:abc',
    `sha256:${'A'.repeat(64)}`,
    `md5:${'a'.repeat(32)}`,
    `sha256:${'a'.repeat(65)}`,
    `sha256:${'a'.repeat(62)}%2f`,
    `sha256:${'%00'.repeat(64)}`,
    `:${'a'.repeat(8000)}`,
    'sha256%3aabc',
    '..:..',
  ]) {
    it(`digest ${text.slice(0, 30)}`, async () => {
      for (const [method, path] of [
        ['GET', `manifests/${text}`],
        ['PUT', `manifests/${text}`],
        ['GET', `blobs/${text}`],
        ['DELETE', `blobs/${text}`],
        ['GET', `referrers/${text}`],
        ['PUT', `blobs/uploads/id?digest=${text}`],
        ['POST', `blobs/uploads/?digest=${text}`],
        ['POST', `blobs/uploads/?mount=${text}&from=a/b`],
      ] as const) {
        const detail = assertError(await app.request(method, `/v2/a/b/${path}`), 'DIGEST_INVALID')
        assert.ok(String(detail?.['digest']).length <= 200)
      }
    })
  }

  for (const id of [
    'none',
    '..',
    '..%2f..%2fblob%2f',
    '%00',
    'x'.repeat(8000),
    '00000000-0000-0000-0000-000000000000',
    '__proto__',
    '%f0%9f%98%80',
    '%ef%bf%bf',
    '*',
  ]) {
    it(`upload ${id.slice(0, 30)}`, async () => {
      for (const [method, query] of [
        ['GET', ''],
        ['PATCH', ''],
        ['PUT', `?digest=${digest}`],
        ['DELETE', ''],
      ] as const) {
        const detail = assertError(
          await app.request(method, `/v2/a/b/blobs/uploads/${id}${query}`),
          'BLOB_UPLOAD_UNKNOWN',
        )
        assert.ok(String(detail?.['upload']).length <= 100)
      }
    })
  }

  it('a digest is as good with its colon encoded', async () => {
    assert.equal((await app.get(`/v2/a/b/blobs/${digest.replace(':', '%3a')}`)).status, 200)
    assert.equal((await app.get(`/v2/a/b/manifests/${sha256(manifest).replace(':', '%3A')}`)).status, 200)
  })

  it('names may have parts that look like routes', async () => {
    const name = 'x/blobs/uploads/manifests/tags/list'
    await app.pushEmptyConfig(name)
    assert.equal((await app.pushManifest(name, 'list', manifest)).status, 201)
    assert.deepEqual(json(await app.get(`/v2/${name}/tags/list`)), { name, tags: ['list'] })
    assert.equal((await app.get(`/v2/${name}/manifests/list`)).status, 200)
    assert.equal((await app.get(`/v2/${name}/blobs/${digest}`)).status, 200)
  })
})

describe('what is no request', () => {
  for (const [what, text] of [
    ['garbage', 'garbage\r\n\r\n'],
    ['a NUL in the path', 'GET /v2/\0 HTTP/1.1\r\nHost: a\r\n\r\n'],
    ['a space in the path', 'GET /v2/ x HTTP/1.1\r\nHost: a\r\n\r\n'],
    ['no host', 'GET /v2/ HTTP/1.1\r\n\r\n'],
    ['two lengths', 'PUT /v2/a/manifests/b HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab'],
    [
      'a length and chunks',
      'PUT /v2/a/manifests/b HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    ],
    ['a negative length', 'PUT /v2/a/manifests/b HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n'],
    ['headers without end', `GET /v2/ HTTP/1.1\r\nHost: a\r\n${'X: y\r\n'.repeat(20_000)}\r\n`],
  ] as const) {
    it(`${what} is answered by 4xx, and the next request is served`, async () => {
      assert.match(await app.exchange(text), /^(HTTP\/1.1 4\d\d |$)/)
      assert.equal((await app.get('/v2/')).status, 200)
    })
  }
})

describe('errors', () => {
  it('of ours tell neither text nor place of what went wrong', async () => {
    const secret = new Error('secret at /var/lib/ipdr')
    await using broken = await TestApp.start()
    broken.stores.index.hasRepository = async () => {
      throw secret
    }
    const reply = await broken.get('/v2/a/tags/list', { 'X-Request-Id': 'broken' })
    assert.equal(assertError(reply, 'UNKNOWN'), undefined)
    assert.deepEqual(json(reply), { errors: [{ code: 'UNKNOWN', message: 'unknown error' }] })
    const { level, id, err } = broken.stores.logged.find(({ message }) => message === 'request failed')! as {
      level: string
      id: string
      err: Error
    }
    assert.deepEqual([level, id, err.message], ['error', 'broken', secret.message])
    assert.match(String(err.stack), /Error: secret/)
  })

  it('of the client are no errors of ours', async () => {
    assert.deepEqual(
      app.stores.logged.filter(({ level }) => level === 'error'),
      [],
    )
  })
})
