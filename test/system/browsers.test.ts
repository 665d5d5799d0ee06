import assert from 'node:assert/strict'
import { once } from 'node:events'
import { copyFile, readFile } from 'node:fs/promises'
import { connect, type IncomingHttpHeaders } from 'node:http2'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { CertificateAuthority } from '../fixtures/certificates.ts'
import { Chromium } from '../fixtures/chromium.ts'
import { HostileSite } from '../fixtures/hostile-site.ts'
import { sha256 } from '../fixtures/images.ts'
import { emptyJson, imageManifest, ociManifest } from '../fixtures/manifests.ts'
import { ServerProcess } from '../fixtures/server.ts'
import { temporaryDirectory } from '../fixtures/temporary.ts'
import { until } from '../fixtures/until.ts'

const manifest = imageManifest()
const digest = sha256(manifest)
const stolen = 'stolen'
const upload = `/v2/stolen/blobs/uploads/?digest=${sha256(Buffer.from(stolen))}`

async function push(url: string): Promise<void> {
  const blob = await fetch(`${url}/v2/victim/blobs/uploads/?digest=${sha256(emptyJson)}`, {
    method: 'POST',
    body: emptyJson,
  })
  const image = await fetch(`${url}/v2/victim/manifests/v1`, {
    method: 'PUT',
    body: manifest,
    headers: { 'Content-Type': ociManifest },
  })
  assert.deepEqual([blob.status, image.status], [201, 201])
}

async function assertUntouched(url: string): Promise<void> {
  assert.deepEqual(await (await fetch(`${url}/v2/_catalog`)).json(), { repositories: ['victim'] })
  assert.deepEqual(await (await fetch(`${url}/v2/victim/tags/list`)).json(), { name: 'victim', tags: ['v1'] })
  assert.equal((await fetch(`${url}/v2/victim/blobs/${sha256(emptyJson)}`)).status, 200)
  assert.equal((await fetch(`${url}/v2/victim/manifests/${digest}`)).status, 200)
}

describe('a real browser', { timeout: 600_000 }, () => {
  let server: ServerProcess
  before(async () => {
    server = await ServerProcess.start({ args: ['--hosts', 'registry.example', '--log-format', 'json'] })
    await push(server.url)
  })
  after(async () => {
    await server[Symbol.asyncDispose]()
  })

  /** `<method> <path> <status>` of what a browser sent since the log had this length */
  function requests(since: number): string[] {
    const lines = server.log
      .slice(since)
      .split('\n')
      .filter(line => line.includes('Mozilla/'))
      .map(line => JSON.parse(line) as Record<string, string>)
    return lines.map(({ method, url, status }) => `${method} ${url} ${status}`)
  }

  for (const [from, to] of [
    ['evil.example', '127.0.0.1'],
    ['evil.example', 'localhost'],
    ['evil.example', 'registry.example'],
    ['evil.registry.example', 'registry.example'],
    ['127.0.0.1', '127.0.0.1'],
  ] as const) {
    it(`can't be used by a page of ${from} against ${to}`, async () => {
      const url = `http://${to}:${server.port}`
      const since = server.log.length
      await using site = await HostileSite.start(`
        await take('catalog', '${url}/v2/_catalog')
        await take('blob', '${url}${upload}', { method: 'POST', mode: 'no-cors', body: '${stolen}' })
        await take('tag', '${url}/v2/victim/manifests/stolen', { method: 'PUT', body: await (new Blob([${JSON.stringify(manifest.toString())}])).text(), headers: { 'Content-Type': '${ociManifest}' } })
        await take('deletion', '${url}/v2/victim/manifests/${digest}', { method: 'DELETE' })
        await take('peers', '${url}/ipdr/v1/peers', { mode: 'no-cors' })
        await submit('${url}/v2/form/blobs/uploads/')`)
      const loot = await site.visit(from)
      assert.deepEqual(loot, {})
      const got = await until('the form is there', () =>
        requests(since).some(line => line.startsWith('POST /v2/form/')) ? requests(since) : undefined,
      )
      // it is the server that refuses them: they did arrive
      assert.deepEqual(got.filter(line => /^(POST|OPTIONS|PUT|DELETE)/.test(line)).sort(), [
        `OPTIONS /v2/victim/manifests/${digest} 403`,
        'OPTIONS /v2/victim/manifests/stolen 403',
        'POST /v2/form/blobs/uploads/ 403',
        `POST ${upload} 403`,
      ])
      await assertUntouched(server.url)
    })
  }

  it("can't be used by a page whose own name leads to the registry", async () => {
    const since = server.log.length
    await using site = await HostileSite.start(
      `
      await rebind()
      await take('catalog', '/v2/_catalog')
      await take('blob', '${upload}', { method: 'POST', body: '${stolen}' })
      await take('tag', '/v2/victim/manifests/stolen', { method: 'PUT', body: ${JSON.stringify(manifest.toString())}, headers: { 'Content-Type': '${ociManifest}' } })
      await take('deletion', '/v2/victim/manifests/${digest}', { method: 'DELETE' })
      await take('peers', '/ipdr/v1/peers')`,
      server.port,
    )
    const loot = await site.visit('rebound.example')
    assert.deepEqual(
      Object.entries(loot).map(([what, { status }]) => [what, status]),
      [
        ['catalog', 421],
        ['blob', 421],
        ['tag', 421],
        ['deletion', 421],
        ['peers', 421],
      ],
    )
    assert.match(loot['catalog']!.text, /hosts: \[rebound\.example\]/)
    assert.ok(requests(since).length >= 5)
    await assertUntouched(server.url)
  })

  it('shows what is here under a name that is listed, and the line to add under another', async () => {
    assert.match(
      await Chromium.show(`http://registry.example:${server.port}/v2/_catalog`),
      /"repositories":\["victim"\]/,
    )
    assert.match(await Chromium.show(`http://other.example:${server.port}/v2/_catalog`), /hosts: \[other\.example\]/)
  })

  it('runs no script of what was pushed', async () => {
    const since = server.log.length
    const html = Buffer.from('<script>fetch("/v2/script/blobs/uploads/", { method: "POST" })</script>')
    await fetch(`${server.url}/v2/victim/blobs/uploads/?digest=${sha256(html)}`, { method: 'POST', body: html })
    await using site = await HostileSite.start(`
      const frame = document.createElement('iframe')
      frame.src = '${server.url}/v2/victim/blobs/${sha256(html)}'
      document.body.append(frame)
      await take('script', '${server.url}/v2/victim/blobs/${sha256(html)}', { mode: 'no-cors' })
      await new Promise(resolve => setTimeout(resolve, 500))`)
    assert.deepEqual(await site.visit('evil.example'), {})
    assert.deepEqual(
      requests(since).filter(line => line.startsWith('POST')),
      [],
    )
  })
})

describe('the names of the certificate', { timeout: 600_000 }, () => {
  it('are those of the one that is used now, over HTTP/2 as well', async () => {
    await using directory = await temporaryDirectory('browsers')
    const authority = await CertificateAuthority.create(directory.path)
    const ca = await readFile(authority.cert)
    const first = await authority.issue('first', ['one.example', '*.wild.example'])
    const second = await authority.issue('second', ['two.example'])
    const tls = { cert: join(directory.path, 'used.crt'), key: join(directory.path, 'used.key') }
    const use = async (pair: typeof tls): Promise<void> => {
      await copyFile(pair.cert, tls.cert)
      await copyFile(pair.key, tls.key)
    }
    await use(first)
    await using server = await ServerProcess.start({ tls })
    const ask = async (headers: Record<string, string>): Promise<number> => {
      const session = connect(server.url, { ca }).on('error', () => {})
      try {
        const stream = session.request({ ':path': '/v2/_catalog', 'user-agent': 'Mozilla/5.0', ...headers })
        stream.end()
        const [reply] = (await once(stream, 'response')) as [IncomingHttpHeaders & { ':status': number }]
        return reply[':status']
      } finally {
        session.destroy()
      }
    }
    const statuses = async (...names: string[]): Promise<number[]> =>
      await Promise.all(names.map(async name => await ask({ ':authority': name })))

    assert.deepEqual(
      await statuses('one.example', 'ONE.example:5000', 'a.wild.example', 'localhost', 'registry.test'),
      [200, 200, 200, 200, 200],
    )
    assert.deepEqual(
      await statuses('two.example', 'wild.example', 'a.b.wild.example', 'evil.example'),
      Array(4).fill(421),
    )
    assert.deepEqual(
      [
        await ask({ ':authority': 'evil.example', host: 'one.example' }),
        await ask({ ':authority': 'one.example', host: 'evil.example' }),
      ],
      [421, 421],
    )
    const write = { ':method': 'POST', ':path': upload }
    assert.equal(await ask({ ...write, ':authority': 'one.example', origin: 'http://one.example' }), 403)
    assert.equal(
      await ask({ ...write, ':authority': 'one.example', origin: 'https://one.example', 'content-length': '0' }),
      400,
    )

    await use(second)
    server.signal('SIGHUP')
    await until('the new certificate is used', async () => (await ask({ ':authority': 'two.example' })) === 200)
    assert.deepEqual(await statuses('two.example', 'one.example', 'a.wild.example'), [200, 421, 421])
  })
})
