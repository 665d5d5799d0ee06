/** The pages for browsers and what they ask for */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { gunzipSync } from 'node:zlib'
import { after, before, describe, it } from 'node:test'
import { basic } from '../fixtures/access.ts'
import { assertError, json, TestApp, type Reply } from '../fixtures/app.ts'
import { sha256 } from '../fixtures/images.ts'
import type { Digest } from '../../src/oci/digest.ts'
import { descriptorOf, imageIndex, imageManifest, ociIndex, ociManifest } from '../fixtures/manifests.ts'

const html = { Accept: 'text/html,application/xhtml+xml,*/*;q=0.8', 'User-Agent': 'Mozilla/5.0' }
/** Bytes of what is loaded before the first page shows something */
const maxFirstView = 60_000

interface List<T = Record<string, unknown>> {
  items: T[]
  total: number
}

async function list(app: TestApp, path: string, headers: Record<string, string> = {}): Promise<List> {
  const reply = await app.get(path, headers)
  assert.equal(reply.status, 200, String(reply.body))
  return json(reply) as List
}

function names({ items }: List, key = 'name'): unknown[] {
  return items.map(item => item[key])
}

describe('the pages', () => {
  let app: TestApp
  before(async () => {
    app = await TestApp.start()
  })
  after(async () => {
    await app[Symbol.asyncDispose]()
  })

  async function firstPage(): Promise<{ reply: Reply; links: string[] }> {
    const reply = await app.get('/', html)
    return {
      reply,
      links: [...String(reply.body).matchAll(/(?:href|src)="(ui\/[^"]+)"/g)].map(([, path]) => `/${path}`),
    }
  }

  it('are for who asks for HTML, and others get what they get without them', async () => {
    const { reply } = await firstPage()
    assert.deepEqual([reply.status, reply.headers['content-type']], [200, 'text/html; charset=utf-8'])
    assert.match(String(reply.headers['vary']), /Accept/)
    for (const headers of [undefined, { Accept: '*/*' }, { Accept: 'application/json' }]) {
      assertError(await app.get('/', headers), 'NOT_FOUND')
    }
    for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS']) {
      assertError(await app.request(method, '/', { headers: { Accept: 'text/html' } }), 'NOT_FOUND')
    }
    const head = await app.request('HEAD', '/', { headers: html })
    assert.deepEqual([head.status, head.body.byteLength], [200, 0])
  })

  it('may run and load nothing but what comes from here', async () => {
    const { reply } = await firstPage()
    const policy = String(reply.headers['content-security-policy'])
    assert.deepEqual(
      policy.split('; ').filter(part => /-src /.test(part)),
      ["default-src 'none'", "script-src 'self'", "style-src 'self'", "img-src 'self'", "connect-src 'self'"],
    )
    assert.doesNotMatch(policy, /unsafe|\*|data:|blob:/)
    assert.match(policy, /frame-ancestors 'none'/)
    const text = String(reply.body)
    assert.doesNotMatch(text, /<script(?![^>]* src=)|<style|\son\w+=|style="/i)
    assert.doesNotMatch(text, /https?:|\/\//)
  })

  it('are there before a log-in, and say nothing of what is stored', async () => {
    await using closed = await TestApp.start({ access: { rules: 'rules: []' } })
    assert.equal((await closed.get('/', html)).status, 200)
    assert.equal((await closed.get('/ui/api/tags?repository=a', html)).status, 401)
  })

  it('load at most 60 kB before the first view', async () => {
    const { reply, links } = await firstPage()
    assert.ok(links.length > 5)
    let bytes = reply.body.byteLength
    for (const link of new Set(links)) {
      const file = await app.get(link, { 'Accept-Encoding': 'gzip' })
      assert.deepEqual([file.status, file.headers['content-encoding']], [200, 'gzip'], link)
      bytes += file.body.byteLength
    }
    assert.ok(bytes < maxFirstView, `${bytes} bytes`)
  })

  it('name all modules that the first view needs, without types and packages by their paths', async () => {
    const { links } = await firstPage()
    const left = new Set(links.filter(link => /\.(ts|js)$/.test(link)))
    for (const link of left) {
      const file = await app.get(link)
      assert.equal(file.headers['content-type'], 'text/javascript; charset=utf-8')
      const specifiers = [
        ...String(file.body).matchAll(/(?:^|[;}])\s*(?:import|export)\b[^'"();]*?from\s*["']([^"']+)["']/gm),
      ]
      for (const [, specifier = ''] of specifiers) {
        assert.match(specifier, /^\.\.?\//)
        assert.ok(left.has(new URL(specifier, `http://localhost${link}`).pathname), `${link} imports ${specifier}`)
      }
    }
  })

  it('are kept by browsers until there are others', async () => {
    const { reply, links } = await firstPage()
    assert.equal(reply.headers['cache-control'], 'no-cache')
    const style = links.find(link => link.endsWith('.css'))!
    const [packed, plain] = [await app.get(style, { 'Accept-Encoding': 'gzip' }), await app.get(style)]
    assert.equal(plain.headers['cache-control'], 'public, max-age=31536000, immutable')
    assert.equal(plain.headers['content-encoding'], undefined)
    assert.deepEqual(gunzipSync(packed.body), plain.body)
    assertError(await app.get(style.replace(/\/ui\/\w+/, '/ui/0123456789ab')), 'NOT_FOUND')
    for (const path of [
      '/ui/',
      '/ui/x',
      style.replace('style.css', '../package.json'),
      style.replace('style.css', '__proto__'),
    ]) {
      assertError(await app.get(path), 'NOT_FOUND')
    }
    assertError(await app.request('POST', style), 'UNSUPPORTED')
  })

  it('are not there with ui: false', async () => {
    await using without = await TestApp.start({ ui: false })
    for (const path of ['/', '/ui/api/session', '/ui/api/repositories', '/ui/log-in']) {
      assertError(await without.get(path, html), 'NOT_FOUND')
    }
  })
})

describe('what the pages show', () => {
  let app: TestApp
  const config = Buffer.from(
    JSON.stringify({
      os: 'linux',
      architecture: 'amd64',
      config: { Env: ['A=b'], Cmd: ['/app'], Labels: { x: 'y' } },
      history: [{ created_by: 'COPY app /' }, { created_by: 'CMD /app', empty_layer: true }],
    }),
  )
  const layer = Buffer.from('a layer')
  const imageConfig = 'application/vnd.oci.image.config.v1+json'
  const image = imageManifest({
    config: descriptorOf(config, imageConfig),
    layers: [descriptorOf(layer, 'application/vnd.oci.image.layer.v1.tar')],
    annotations: { a: '<b>b</b>' },
  })
  const child = { ...descriptorOf(image, ociManifest), platform: { os: 'linux', architecture: 'amd64' } }
  const index = imageIndex([child])
  const signature = imageManifest({ subject: descriptorOf(index, ociIndex), artifactType: 'application/spdx+json' })

  before(async () => {
    app = await TestApp.start()
    for (const repository of ['team/app', 'team/api', 'other']) {
      await app.pushEmptyConfig(repository)
      await app.pushBlob(repository, config)
      await app.pushBlob(repository, layer)
      await app.pushManifest(repository, 'v1', image)
    }
    await app.pushManifest('team/app', 'multi', index, ociIndex)
    await app.pushManifest('team/app', sha256(signature), signature)
  })
  after(async () => {
    await app[Symbol.asyncDispose]()
  })

  it('are repositories, newest first, with what was pushed last', async () => {
    const { items, total } = await list(app, '/ui/api/repositories')
    assert.equal(total, 3)
    assert.deepEqual(names({ items, total }), ['team/app', 'other', 'team/api'])
    const { newest, tags } = items[0] as { newest: Record<string, unknown>; tags: number }
    assert.equal(tags, 2)
    assert.deepEqual(
      { ...newest, updated: undefined, cid: undefined },
      {
        tag: 'multi',
        updated: undefined,
        cid: undefined,
        digest: sha256(index),
        kind: 'index',
        size: index.byteLength + image.byteLength + config.byteLength + layer.byteLength,
        platforms: ['linux/amd64'],
      },
    )
  })

  it('are found by parts of names and tags', async () => {
    for (const [search, expected] of [
      ['team', ['team/app', 'team/api']],
      ['TEAM/AP', ['team/app', 'team/api']],
      ['app:v', ['team/app']],
      [':v1', ['team/app', 'other', 'team/api']],
      ['mult', ['team/app']],
      ['none', []],
      ['%', []],
      ['.*', []],
    ] as const) {
      const { items, total } = await list(app, `/ui/api/repositories?q=${encodeURIComponent(search)}`)
      assert.deepEqual([names({ items, total }), total], [expected, expected.length], search)
    }
  })

  it('are found by platforms and annotations of images', async () => {
    for (const [search, expected, found] of [
      ['platform:linux/amd64', ['team/app', 'other', 'team/api'], ['multi', 'v1']],
      ['platform:linux/arm64', [], undefined],
      ['annotation:a=<b>b</b>', ['team/app', 'other', 'team/api'], ['v1']],
      ['annotation:a=b', [], undefined],
      ['team annotation:a=<b>b</b> platform:linux/amd64', ['team/app', 'team/api'], ['v1']],
      ['multi platform:linux/amd64', ['team/app'], ['multi']],
      ['app:mul annotation:a=<b>b</b>', [], undefined],
    ] as const) {
      const { items, total, ...rest } = await list(app, `/ui/api/repositories?q=${encodeURIComponent(search)}`)
      assert.deepEqual([names({ items, total }), total, rest], [expected, expected.length, { unsearched: 0 }], search)
      assert.deepEqual(items[0]?.['found'], found, search)
    }
    const query = `repository=team/app&q=${encodeURIComponent('annotation:a="<b>b</b>"')}`
    assert.partialDeepStrictEqual(await list(app, `/ui/api/tags?${query}`), { items: [{ tag: 'v1' }], total: 1 })
    assert.deepEqual((await list(app, `/ui/api/repositories?in=/&q=platform:linux/amd64`)).total, 2)
  })

  it('are folders of repositories, and what is in one', async () => {
    const lines = async (query: string): Promise<unknown[]> =>
      (await list(app, `/ui/api/repositories?${query}`)).items.map(({ folder, name, repositories }) => [
        folder ?? name,
        repositories,
      ])
    assert.deepEqual(await lines('in=/'), [
      ['team/', 2],
      ['other', undefined],
    ])
    assert.deepEqual(await lines('in=team/'), [
      ['team/app', undefined],
      ['team/api', undefined],
    ])
    assert.deepEqual(await lines('in=/&q=multi'), [['team/', 1]])
    assert.deepEqual(await lines('in=tea'), [['team/', 2]])
    assert.deepEqual(await lines('in=none/'), [])
  })

  it('come in parts', async () => {
    assert.deepEqual(
      await list(app, '/ui/api/repositories?n=1&from=1').then(({ items, total }) => [names({ items, total }), total]),
      [['other'], 3],
    )
    assert.deepEqual((await list(app, '/ui/api/repositories?from=3')).items, [])
    for (const query of ['n=x', 'from=-1', 'n=1&n=2', `q=${'x'.repeat(301)}`]) {
      assert.equal((await app.get(`/ui/api/repositories?${query}`)).status, 400, query)
    }
  })

  it('are tags by time or name', async () => {
    const tags = async (query: string): Promise<unknown[]> =>
      names(await list(app, `/ui/api/tags?repository=team/app&${query}`), 'tag')
    assert.deepEqual(await tags(''), ['multi', 'v1'])
    await app.pushManifest('team/app', 'v10', image)
    await app.pushManifest('team/app', 'v9', image)
    assert.deepEqual(await tags(''), ['v9', 'v10', 'multi', 'v1'])
    assert.deepEqual(await tags('order=name'), ['multi', 'v1', 'v9', 'v10'])
    assert.deepEqual(await tags('q=V1'), ['v10', 'v1'])
    for (const tag of ['v9', 'v10']) {
      await app.request('DELETE', `/v2/team/app/manifests/${tag}`)
    }
    assert.deepEqual(await tags(''), ['multi', 'v1'])
  })

  it('are all parts of an image', async () => {
    const details = json(await app.get('/ui/api/image?repository=team/app&reference=v1')) as Record<string, unknown>
    assert.partialDeepStrictEqual(details, {
      repository: 'team/app',
      digest: sha256(image),
      kind: 'image',
      size: image.byteLength + config.byteLength + layer.byteLength,
      tags: { items: ['v1'], total: 1 },
      annotations: { items: [{ name: 'a', value: '<b>b</b>' }], total: 1 },
      layers: { items: [{ digest: sha256(layer), size: layer.byteLength, isHere: true }], total: 1 },
      config: {
        os: 'linux',
        architecture: 'amd64',
        command: ['/app'],
        environment: { items: ['A=b'], total: 1 },
        labels: { items: [{ name: 'x', value: 'y' }], total: 1 },
        history: {
          items: [
            { command: 'COPY app /', isEmpty: false },
            { command: 'CMD /app', isEmpty: true },
          ],
          total: 2,
        },
      },
    })
    const several = json(await app.get('/ui/api/image?repository=team/app&reference=multi')) as Record<string, unknown>
    assert.partialDeepStrictEqual(several, {
      kind: 'index',
      variants: { items: [{ digest: sha256(image), platform: 'linux/amd64', isHere: true }], total: 1 },
      referrers: {
        items: [{ digest: sha256(signature), artifactType: 'application/spdx+json', referrers: [] }],
        total: 1,
      },
    })
    const { headers } = await app.get('/v2/team/app/manifests/v1')
    assert.equal(details['cid'], headers['x-ipfs-cid'])
  })

  it('are found by digest and CID', async () => {
    const cid = String((await app.get('/v2/other/manifests/v1')).headers['x-ipfs-cid'])
    const find = async (q: string): Promise<unknown> =>
      (json(await app.get(`/ui/api/find?q=${encodeURIComponent(q)}`)) as { places: unknown }).places
    const places = ['other', 'team/api', 'team/app'].map(repository => ({
      repository,
      digest: sha256(image),
      tags: ['v1'],
    }))
    for (const q of [sha256(image), `localhost:5000/other@${sha256(image)}`, cid, ` /ipfs/${cid} `, `ipfs://${cid}`]) {
      assert.deepEqual(await find(q), places, q)
    }
    assert.deepEqual(
      await find(sha256(layer)),
      places.map(({ repository }) => ({ repository, tags: [] })),
    )
    assert.deepEqual(await find(sha256(Buffer.from('none'))), [])
    assert.equal((await app.get('/ui/api/find?q=other')).status, 400)
  })

  it('are found by a digest of SHA-512', async () => {
    const bytes = imageManifest({ annotations: { by: 'sha512' } })
    const digest: Digest = `sha512:${createHash('sha512').update(bytes).digest('hex')}`
    assert.equal((await app.pushManifest('team/api', digest, bytes)).status, 201)
    assert.deepEqual(json(await app.get(`/ui/api/find?q=${digest}`)), {
      places: [{ repository: 'team/api', digest, tags: [] }],
    })
    assert.equal((await app.get(`/ui/api/image?repository=team/api&reference=${digest}`)).status, 200)
  })

  it('cost a few requests at most, and never one for each tag', async () => {
    const before = app.requests.length
    await list(app, '/ui/api/repositories')
    await list(app, '/ui/api/tags?repository=team/app')
    assert.equal(app.requests.length - before <= 2, true)
  })

  it('say what is wrong as a text, and nothing of how the server is built', async () => {
    for (const path of [
      'image?repository=team/app&reference=none',
      'tags?repository=none',
      'image?repository=..&reference=x',
    ]) {
      const reply = await app.get(`/ui/api/${path}`)
      const { error } = json(reply) as { error: string }
      assert.ok(reply.status === 404 || reply.status === 400)
      assert.doesNotMatch(error, /\.ts|node_modules|Error:| at /)
    }
  })
})

describe('a reader of pages', () => {
  const rules = `
rules:
  - { who: [anonymous], repositories: ['public/**'], actions: [pull] }
  - { who: ['user:alice'], repositories: ['team/**'], actions: [pull], tags: ['v*'] }
`
  let app: TestApp
  before(async () => {
    app = await TestApp.start({ access: {} })
    const image = imageManifest({ annotations: { a: 'b' } })
    for (const repository of ['public/app', 'team/app', 'secret/app']) {
      await app.pushEmptyConfig(repository)
      for (const tag of ['v1', 'edge']) {
        await app.pushManifest(repository, tag, image)
      }
    }
    app.access.change({ rules, users: { alice: 'of alice' } })
  })
  after(async () => {
    await app[Symbol.asyncDispose]()
  })
  const alice = basic('alice', 'of alice')

  it('sees what the rules let him pull, and no other name', async () => {
    assert.deepEqual(names(await list(app, '/ui/api/repositories')), ['public/app'])
    assert.deepEqual(names(await list(app, '/ui/api/repositories?q=app', alice)), ['team/app', 'public/app'])
    assert.deepEqual(names(await list(app, '/ui/api/repositories?q=secret', alice)), [])
    assert.deepEqual(names(await list(app, '/ui/api/tags?repository=team/app', alice), 'tag'), ['v1'])
    assert.deepEqual(names(await list(app, '/ui/api/repositories?q=edge', alice)), ['public/app'])
    const annotated = await list(app, '/ui/api/repositories?q=annotation:a=b', alice)
    assert.deepEqual(
      annotated.items.map(({ found, name }) => [name, found]),
      [
        ['team/app', ['v1']],
        ['public/app', ['edge', 'v1']],
      ],
    )
    const { items } = await list(app, '/ui/api/repositories?q=team', alice)
    assert.partialDeepStrictEqual(items, [{ tags: 1, newest: { tag: 'v1' } }])
    const digest = sha256(imageManifest({ annotations: { a: 'b' } }))
    const { places } = json(await app.get(`/ui/api/find?q=${digest}`, alice)) as { places: Record<string, unknown>[] }
    assert.deepEqual(
      places.map(({ repository, tags }) => [repository, tags]),
      [
        ['public/app', ['edge', 'v1']],
        ['team/app', ['v1']],
      ],
    )
    const details = json(await app.get('/ui/api/image?repository=team/app&reference=v1', alice)) as { tags: List }
    assert.deepEqual(details.tags, { items: ['v1'], total: 1 })
    assert.equal((await app.get('/ui/api/image?repository=team/app&reference=edge', alice)).status, 403)
  })

  it('sees what changed rules let him pull at once', async () => {
    app.access.change({ rules: rules.replace('team/**', 'secret/**'), users: { alice: 'of alice' } })
    assert.deepEqual(names(await list(app, '/ui/api/repositories', alice)), ['secret/app', 'public/app'])
    app.access.change({ rules, users: { alice: 'of alice' } })
  })

  it('is told how to log in, and his browser asks for a password at one place alone', async () => {
    assert.deepEqual(json(await app.get('/ui/api/session')), {
      mayLogOut: false,
      mayAdminister: false,
      takesToken: false,
      logIn: [{ path: '/ui/log-in' }],
    })
    assert.partialDeepStrictEqual(json(await app.get('/ui/api/session', alice)), { name: 'alice' })
    const refused = await app.get('/ui/api/tags?repository=team/app')
    assert.equal(refused.status, 401)
    assert.doesNotMatch(String(refused.headers['www-authenticate']), /Basic/i)
    const asked = await app.get('/ui/log-in?to=/team/app')
    assert.deepEqual([asked.status, asked.headers['www-authenticate']], [401, 'Basic realm="ipdr", charset="UTF-8"'])
    for (const [to, location] of [
      ['/team/app:v1', '../#/team/app:v1'],
      ['https://evil.example', '../#/'],
      ['//evil.example', '../#//evil.example'],
      ['/%0d%0aX: y', '../#/%0D%0AX:%20y'],
    ]) {
      const { headers, status } = await app.get(`/ui/log-in?to=${to!.replaceAll(' ', '%20')}`, alice)
      assert.deepEqual([status, headers['location'], headers['x']], [302, location, undefined])
    }
    await using open = await TestApp.start()
    assert.deepEqual(json(await open.get('/ui/api/session')), {
      mayLogOut: false,
      mayAdminister: false,
      takesToken: true,
      logIn: [],
    })
  })
})
