import assert from 'node:assert/strict'
import type { IncomingHttpHeaders } from 'node:http'
import { after, before, describe, it } from 'node:test'
import { CertificateAuthority, readPair } from '../fixtures/certificates.ts'
import { TestApp } from '../fixtures/app.ts'
import { temporaryDirectory } from '../fixtures/temporary.ts'

const browser = { 'User-Agent': 'Mozilla/5.0 (X11; Linux x86_64) Firefox/150.0', 'Accept-Language': 'en' }
const forBrowsers = {
  'cross-origin-opener-policy': 'same-origin',
  'origin-agent-cluster': '?1',
  'referrer-policy': 'no-referrer',
  'x-dns-prefetch-control': 'off',
  'x-download-options': 'noopen',
  'x-frame-options': 'DENY',
  'x-permitted-cross-domain-policies': 'none',
  'x-xss-protection': '0',
}
const forAll = {
  'content-security-policy': "sandbox; default-src 'none'; frame-ancestors 'none'",
  'cross-origin-resource-policy': 'same-origin',
  'x-content-type-options': 'nosniff',
}

function chosen(headers: IncomingHttpHeaders): Record<string, unknown> {
  const names = [...Object.keys(forBrowsers), ...Object.keys(forAll), 'strict-transport-security']
  return Object.fromEntries(names.flatMap(name => (name in headers ? [[name, headers[name]]] : [])))
}

describe('what a browser is told beside an answer', () => {
  const resources = new AsyncDisposableStack()
  let plain: TestApp
  let secure: TestApp
  let promising: TestApp
  before(async () => {
    const { path } = resources.use(await temporaryDirectory('browser-headers'))
    const tls = await readPair(await (await CertificateAuthority.create(path)).issue('server'))
    plain = resources.use(await TestApp.start({ hsts: 60 }))
    secure = resources.use(await TestApp.start({ server: { tls } }))
    promising = resources.use(await TestApp.start({ server: { tls }, hsts: 60 }))
  })
  after(async () => {
    await resources.disposeAsync()
  })

  const answers = [
    ['GET', '/livez'],
    ['GET', '/v2/'],
    ['GET', '/v2/_catalog'],
    ['GET', '/v2/none/manifests/v1'],
    ['GET', '/dig'],
    ['GET', '/ipdr/v1/peers'],
    ['GET', '/none'],
    ['DELETE', '/v2/'],
  ] as const
  for (const [method, path] of answers) {
    it(`${method} ${path}`, async () => {
      assert.deepEqual(chosen((await plain.request(method, path, { headers: browser })).headers), {
        ...forBrowsers,
        ...forAll,
      })
      assert.deepEqual(chosen((await plain.request(method, path)).headers), forAll, 'other clients need only these')
    })
  }

  it('under a name that is not ours', async () => {
    const { status, headers } = await plain.get('/v2/', { ...browser, Host: 'attacker.example' })
    assert.equal(status, 421)
    assert.deepEqual(chosen(headers), { ...forBrowsers, ...forAll })
  })

  it('has it use only TLS where TLS and configuration say so', async () => {
    const replies = await Promise.all([secure, promising].map(async app => await app.get('/none', browser)))
    const promises = replies.map(({ headers }) => headers['strict-transport-security'])
    assert.deepEqual(promises, [undefined, 'max-age=60'])
  })
})
