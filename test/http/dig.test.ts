import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { json, TestApp } from '../fixtures/app.ts'
import { imageManifest } from '../fixtures/manifests.ts'

describe('/dig', () => {
  let app: TestApp
  let cid: string
  const manifest = imageManifest({ annotations: { content: 'v1' } })

  before(async () => {
    app = await TestApp.start()
    for (const repository of ['team/app', 'my.org/app']) {
      await app.pushEmptyConfig(repository)
      for (const tag of ['v2', 'v1', 'latest']) {
        const { headers } = await app.pushManifest(repository, tag, manifest)
        cid = String(headers['x-ipfs-cid'])
      }
    }
  })
  after(async () => {
    await app[Symbol.asyncDispose]()
  })

  const text = 'text/plain; charset=utf-8'

  it('tells the CID of a tag, however its repository is written', async () => {
    for (const q of [
      'team/app:v1',
      'localhost/team/app:v1',
      'localhost:5000/team/app:v1',
      '192.0.2.1:5000/team/app:v1',
      '[::1]:5000/team/app:v1',
      'registry.example/team/app:v1',
      'my.org/app:v1',
      'localhost:5000/my.org/app:v1',
    ]) {
      const { status, headers, body } = await app.get(`/dig?q=${encodeURIComponent(q)}&short=true`)
      assert.deepEqual([status, headers['content-type'], String(body)], [200, text, `${cid}\n`], q)
    }
  })

  it('tells the manifest, which is what older programs get without short', async () => {
    for (const query of ['', '&short=false', '&short=maybe']) {
      const { status, headers, body } = await app.get(`/dig?q=team/app:v1${query}`)
      assert.deepEqual([status, String(body), headers['x-docker-content-id']], [200, `${manifest}\n`, cid])
    }
  })

  it('lists the tags, sorted, a line each', async () => {
    for (const q of ['team/app', 'localhost:5000/team/app', 'registry.example/team/app', 'my.org/app']) {
      const { status, headers, body } = await app.get(`/dig?q=${q}&short=true`)
      assert.deepEqual([status, headers['content-type'], String(body)], [200, text, 'latest\nv1\nv2\n'], q)
    }
  })

  it('answers in JSON on demand', async () => {
    assert.deepEqual(json(await app.get('/dig?q=team/app&json=true')), {
      name: 'team/app',
      tags: ['latest', 'v1', 'v2'],
    })
    const { digest, ...found } = json(await app.get('/dig?q=team/app:v1&json=true')) as Record<string, unknown>
    assert.deepEqual(found, { name: 'team/app', tag: 'v1', cid })
    assert.equal(
      (json(await app.get(`/dig?q=team/app@${String(digest)}&json=true`)) as Record<string, unknown>)['cid'],
      cid,
    )
  })

  for (const [query, status, message] of [
    ['', 400, /'q' missing/],
    ['?q=', 400, /'q' missing/],
    ['?q=a&q=b', 400, /'q' missing/],
    ['?q=team/nothing', 404, /not known/],
    ['?q=team/app:v9', 404, /unknown/],
    ['?q=team/app:v9&json=true', 404, /unknown/],
    ['?q=registry.example/nothing:v1', 404, /unknown/],
    ['?q=../../../../etc:passwd', 400, /name/],
    ['?q=../..', 400, /name/],
    ['?q=/etc/passwd', 400, /name/],
    ['?q=team/app:..%2f..%2fetc', 400, /tag/],
    ['?q=team/app:', 400, /tag/],
    ['?q=localhost:5000/../x', 400, /name/],
    ['?q=team/app%0Ax', 400, /name/],
  ] as const) {
    it(`answers ${query === '' ? 'without a question' : query} with ${status} and one line`, async () => {
      const { status: actual, headers, body } = await app.get(`/dig${query}`)
      assert.deepEqual([actual, headers['content-type']], [status, text])
      assert.match(String(body), message)
      assert.match(String(body), /^[^\n]+\n$/)
    })
  }

  it('takes no other method', async () => {
    const { status, headers } = await app.request('POST', '/dig?q=team/app')
    assert.deepEqual([status, headers.allow], [405, 'GET, HEAD'])
    assert.equal((await app.request('HEAD', '/dig?q=team/app:v1&short=true')).status, 200)
  })
})
