/** Tokens of an upstream: asked for once, kept, renewed, and never told to anybody */
import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { fakeServer, type FakeServer } from '../../fixtures/fake-server.ts'
import { sha256 } from '../../fixtures/images.ts'
import { imageManifest } from '../../fixtures/manifests.ts'
import { temporaryDirectory, type TemporaryDirectory } from '../../fixtures/temporary.ts'
import { openUpstream, type TestUpstream } from '../../fixtures/upstreams.ts'

const manifest = imageManifest()
const password = 'pass-of-ann'

interface Tokens extends AsyncDisposable {
  registry: FakeServer
  opened: TestUpstream
  /** Requests for tokens */
  asked: () => number
  /** Tokens are taken no more */
  revoke: () => void
  expiresIn: number | undefined
  refuse: number | undefined
}

/** A registry that wants a token, and its server for tokens */
async function withTokens(): Promise<Tokens> {
  const directory: TemporaryDirectory = await temporaryDirectory()
  const file = join(directory.path, 'log-in')
  await writeFile(file, `ann:${password}`)
  let valid = new Set<string>()
  const server = await fakeServer(async ({ headers, url }, res) => {
    if (url.startsWith('/token')) {
      await sleep(50)
      const isRight = headers.authorization === `Basic ${Buffer.from(`ann:${password}`).toString('base64')}`
      const token = `secret-${valid.size}-${Date.now()}`
      valid.add(token)
      res.writeHead(tokens.refuse ?? (isRight ? 200 : 401), { 'Retry-After': '9' })
      res.end(JSON.stringify({ token, expires_in: tokens.expiresIn, errors: [{ code: 'DENIED', message: password }] }))
    } else if (valid.has(headers.authorization?.replace('Bearer ', '') ?? '')) {
      res.end(manifest)
    } else {
      // whoever asks for this tag learns late that the token is no use
      await sleep(url.endsWith('/late') ? 200 : 0)
      const challenge = `Bearer realm="${server.url}/token",service="up",scope="repository:a:pull"`
      res.writeHead(401, { 'WWW-Authenticate': challenge }).end()
    }
  })
  const opened = openUpstream(server.url, { credentials: { file } })
  const tokens: Tokens = {
    registry: server,
    opened,
    asked: () => server.requests.filter(({ url }) => url.startsWith('/token')).length,
    revoke: () => {
      valid = new Set()
    },
    expiresIn: 300,
    refuse: undefined,
    [Symbol.asyncDispose]: async () => {
      await opened[Symbol.asyncDispose]()
      await server[Symbol.asyncDispose]()
      await directory[Symbol.asyncDispose]()
    },
  }
  return tokens
}

describe('a token of an upstream', () => {
  it('is asked for once by many, and kept', async () => {
    await using tokens = await withTokens()
    const { upstream } = tokens.opened
    const ask = async (): Promise<unknown> => await upstream.manifest('a', sha256(manifest), {})
    await Promise.all(Array.from({ length: 10 }, ask))
    await ask()
    assert.equal(tokens.asked(), 1)
    assert.match(
      tokens.registry.requests.find(({ url }) => url.startsWith('/token'))!.url,
      /scope=repository%3Aa%3Apull/,
    )
    const challenged = tokens.registry.requests.filter(({ headers }) => headers.authorization === undefined)
    assert.ok(challenged.length <= 10)
  })

  it('is renewed before it expires, without a request that would be refused', async () => {
    await using tokens = await withTokens()
    const { upstream } = tokens.opened
    tokens.expiresIn = 0.1
    await upstream.manifest('a', 'v1', {})
    tokens.expiresIn = 300
    await sleep(120)
    await Promise.all([upstream.manifest('a', 'v1', {}), upstream.manifest('a', 'v1', {})])
    assert.equal(tokens.asked(), 2)
    assert.equal(await tokens.opened.metric('ipdr_upstream_requests_total{upstream="up.test",status="401"}'), 1)
  })

  it('is renewed once where the registry takes it no more', async () => {
    await using tokens = await withTokens()
    const { upstream } = tokens.opened
    await upstream.manifest('a', 'v1', {})
    tokens.revoke()
    await Promise.all(['v1', 'v1', 'late'].map(async tag => await upstream.manifest('a', tag, {})))
    assert.equal(tokens.asked(), 2)
  })

  it('that is refused ends the request, and no secret is told', async () => {
    await using tokens = await withTokens()
    for (const [status, expected] of [
      [401, { reason: 'denied', message: 'up.test denies access: it answered 401 DENIED' }],
      [403, { reason: 'denied', message: 'up.test denies access: it answered 403 DENIED' }],
      [500, { reason: 'unreachable', message: 'up.test does not work: it answered 500 DENIED' }],
      [429, { reason: 'throttled', retryAfter: 9 }],
    ] as const) {
      tokens.refuse = status
      await assert.rejects(tokens.opened.upstream.manifest('a', 'v1', {}), (err: Error) => {
        const { cause, message } = err as Error & { cause?: Error }
        assert.doesNotMatch(`${message} ${cause?.message ?? ''}`, /secret|pass-of-ann/)
        for (const [name, value] of Object.entries(expected)) {
          assert.equal((err as unknown as Record<string, unknown>)[name], value)
        }
        return true
      })
    }
    assert.doesNotMatch(JSON.stringify(tokens.opened.lines), /secret|pass-of-ann/)
  })

  it('is not asked for any more once everybody who waits has gone', async () => {
    await using tokens = await withTokens()
    const controller = new AbortController()
    const waiting = tokens.opened.upstream.manifest('a', 'v1', { signal: controller.signal })
    const other = tokens.opened.upstream.manifest('a', 'v1', {})
    await sleep(20)
    controller.abort(new Error('client gone'))
    await assert.rejects(waiting, /client gone/)
    await other
    assert.equal(tokens.asked(), 1)
  })
})
