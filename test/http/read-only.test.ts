import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { json, received, TestApp, type Reply } from '../fixtures/app.ts'
import { TestAppliance } from '../fixtures/appliance.ts'
import { sha256 } from '../fixtures/images.ts'
import { emptyJson, imageManifest, ociManifest } from '../fixtures/manifests.ts'
import { temporaryDirectory } from '../fixtures/temporary.ts'

const manifest = imageManifest()
const other = imageManifest({ annotations: { other: 'yes' } })
const MiB = 2 ** 20

function assertReadOnly(reply: Reply): void {
  const { errors } = json(reply) as { errors: { code: string; message: string }[] }
  assert.deepEqual(
    [reply.status, reply.headers.allow, errors.map(({ code, message }) => [code, message])],
    [405, 'GET, HEAD', [['UNSUPPORTED', 'the registry is read-only: moving to a new disk']]],
  )
}

describe('a registry that is read-only', () => {
  let app: TestApp
  let upload: string
  before(async () => {
    app = await TestApp.start()
    await app.pushEmptyConfig('team/app')
    assert.equal((await app.pushManifest('team/app', 'v1', manifest)).status, 201)
    upload = await app.startUpload('team/app')
    assert.equal(await app.stores.readOnly.turnOn('moving to a new disk'), 0)
  })
  after(async () => {
    await app[Symbol.asyncDispose]()
  })

  const writes: [what: string, send: () => Promise<Reply>][] = [
    ['an upload', async () => await app.request('POST', '/v2/team/app/blobs/uploads/')],
    [
      'a blob in one request',
      async () => await app.request('POST', `/v2/team/app/blobs/uploads/?digest=${sha256(other)}`, { body: other }),
    ],
    [
      'a mount',
      async () => await app.request('POST', `/v2/team/b/blobs/uploads/?mount=${sha256(emptyJson)}&from=team/app`),
    ],
    ['more of an upload', async () => await app.request('PATCH', upload, { body: other })],
    [
      'the end of an upload',
      async () => await app.request('PUT', `${upload}?digest=${sha256(other)}`, { body: other }),
    ],
    ['no upload any more', async () => await app.request('DELETE', upload)],
    ['a manifest', async () => await app.pushManifest('team/app', 'v2', other)],
    ['a tag', async () => await app.pushManifest('team/app', 'v2', manifest)],
    ['no tag any more', async () => await app.request('DELETE', '/v2/team/app/manifests/v1')],
    ['no manifest any more', async () => await app.request('DELETE', `/v2/team/app/manifests/${sha256(manifest)}`)],
    ['no blob any more', async () => await app.request('DELETE', `/v2/team/app/blobs/${sha256(emptyJson)}`)],
  ]
  for (const [what, send] of writes) {
    it(`refuses ${what}, and says why`, async () => {
      assertReadOnly(await send())
    })
  }

  it('serves what it has, and knows open uploads', async () => {
    for (const path of [
      '/v2/',
      '/v2/team/app/manifests/v1',
      `/v2/team/app/blobs/${sha256(emptyJson)}`,
      '/v2/team/app/tags/list',
      '/v2/_catalog',
      '/dig?q=team/app:v1',
    ]) {
      assert.equal((await app.get(path)).status, 200, path)
    }
    assert.deepEqual(json(await app.get('/v2/team/app/tags/list')), { name: 'team/app', tags: ['v1'] })
    assert.equal((await app.get(upload)).status, 204)
    assert.equal(String((await app.get('/readyz')).body), 'OK, read-only: moving to a new disk\n')
  })
})

/** What a connection gets up to the end of a JSON */
async function beginningOf(socket: Socket): Promise<string> {
  let text = ''
  for await (const chunk of socket) {
    text += String(chunk)
    if (text.endsWith('}]}')) {
      break
    }
  }
  return text
}

describe('uploads that are under way when a registry becomes read-only', () => {
  for (const [what, head, stalls] of [
    ['in chunks, while the client waits', 'Transfer-Encoding: chunked', true],
    ['in chunks, while the client sends', 'Transfer-Encoding: chunked', false],
    ['past the parser, while the client waits', `Content-Length: ${64 * MiB}`, true],
    ['past the parser, while the client sends', `Content-Length: ${64 * MiB}`, false],
  ] as const) {
    it(`are told so and can go on later: ${what}`, async () => {
      await using app = await TestApp.start()
      const path = await app.startUpload('team/app')
      const socket = connect(app.port, '127.0.0.1').on('error', () => {})
      const answer = beginningOf(socket)
      await once(socket, 'connect')
      const isChunked = head.startsWith('Transfer')
      socket.write(`PATCH ${path} HTTP/1.1\r\nHost: localhost\r\n${head}\r\n\r\n`)
      const piece = Buffer.alloc(64 * 1024, 'x')
      const bytes = isChunked ? Buffer.concat([Buffer.from('10000\r\n'), piece, Buffer.from('\r\n')]) : piece
      socket.write(bytes)
      const sending = stalls ? undefined : setInterval(() => socket.write(bytes), 2)
      try {
        await sleep(100)
        const began = performance.now()
        assert.equal(await app.stores.readOnly.turnOn('moving to a new disk'), 0)
        assert.ok(performance.now() - began < 5000)
        assert.match(
          await answer,
          /^HTTP\/1\.1 405 [\s\S]*\r\n\r\n\{"errors":.*the registry is read-only: moving to a new disk/,
        )
      } finally {
        clearInterval(sending)
        socket.destroy()
      }
      const sizeOf = async (): Promise<number> => Number(String((await app.get(path)).headers.range).split('-')[1]) + 1
      const size = await sizeOf()
      assert.ok(size >= piece.byteLength, 'what had come is kept')
      await app.stores.readOnly.turnOff()
      assert.equal((await app.request('PATCH', path, { body: 'more' })).status, 202)
      assert.equal(await sizeOf(), size + 4)
    })
  }

  it('end with the last byte of a manifest, too', async () => {
    await using app = await TestApp.start()
    await app.pushEmptyConfig('team/app')
    const socket = app.connect()
    const answer = received(socket)
    socket.write(
      `PUT /v2/team/app/manifests/v1 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: ${ociManifest}\r\n` +
        `Content-Length: ${manifest.byteLength}\r\n\r\n`,
    )
    socket.write(manifest.subarray(0, 10))
    await sleep(50)
    const turnedOn = app.stores.readOnly.turnOn('moving to a new disk')
    await sleep(50)
    socket.write(manifest.subarray(10))
    assert.match(await answer, /^HTTP\/1\.1 405 /)
    assert.equal(await turnedOn, 0)
    assert.equal((await app.get('/v2/team/app/manifests/v1')).status, 404)
  })
})

describe('the administration of a registry that is read-only', () => {
  it('switches it, also over a restart, and deletes and repairs nothing', async () => {
    await using directory = await temporaryDirectory('read-only')
    const dataDir = join(directory.path, 'data')
    const ask = async (server: TestAppliance, method: string, path: string, body?: unknown): Promise<string> => {
      const response = await server.client.request(method, `/ipdr/v1/${path}`, {
        ...(body === undefined ? {} : { body: JSON.stringify(body), headers: { 'Content-Type': 'application/json' } }),
      })
      return `${response.status} ${(await response.text()).trim()}`
    }
    {
      await using server = await TestAppliance.start(dataDir)
      assert.equal(await ask(server, 'GET', 'read-only'), '200 {"readOnly":false,"pending":0}')
      const on = { on: true, reason: 'moving to a new disk' }
      assert.match(
        await ask(server, 'POST', 'read-only', on),
        /^200 \{"readOnly":true,"since":"[^"]+","reason":"moving to a new disk","pending":0\}$/,
      )
      for (const bad of [{}, { on: 'yes' }, { on: true, reason: 1 }, { on: false, reason: 'x' }]) {
        assert.match(await ask(server, 'POST', 'read-only', bad), /^400 /)
      }
      assert.match(server.log, /the registry is read-only.*reason="moving to a new disk"/)
    }
    await using server = await TestAppliance.start(dataDir)
    assert.equal((await server.client.startUpload('team/app')).status, 405)
    const refusal = /"error":"the registry is read-only: moving to a new disk"/
    assert.match(await ask(server, 'POST', 'gc', {}), refusal)
    assert.match(await ask(server, 'POST', 'gc', { dryRun: true }), /"result"/)
    assert.match(await ask(server, 'POST', 'fsck', {}), refusal)
    assert.match(await ask(server, 'POST', 'fsck', { repair: false }), /"result"/)
    assert.match(await ask(server, 'POST', 'rebuild', {}), refusal)
    assert.match(await ask(server, 'POST', 'rebuild', { waive: true }), refusal)
    assert.equal(await ask(server, 'POST', 'read-only', { on: false }), '200 {"readOnly":false,"pending":0}')
    assert.equal((await server.client.startUpload('team/app')).status, 202)
    assert.match(await ask(server, 'POST', 'gc', {}), /"result"/)
  })

  it('begins read-only where the configuration says so', async () => {
    await using directory = await temporaryDirectory('read-only')
    await using server = await TestAppliance.start(join(directory.path, 'data'), { readOnly: true })
    const refused = await server.client.startUpload('team/app')
    assert.equal(refused.status, 405)
    assert.match(await refused.text(), /"message":"the registry is read-only"/)
  })
})
