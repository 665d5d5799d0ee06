import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { describe, it } from 'node:test'
import type { Digest } from '../../src/oci/digest.ts'
import { connectAll } from '../fixtures/connect-all.ts'
import { RegistryClient } from '../fixtures/registry-client.ts'
import { ServerProcess } from '../fixtures/server.ts'
import { SlowRegistry } from '../fixtures/slow-registry.ts'
import { until } from '../fixtures/until.ts'

const second = 1000
const mebibyte = 1024 * 1024
/** Of the layer where the upstream goes away, e.g. 1024 for a trial of a real size; and who pulls it */
const leaves = Number(process.env['IPDR_TEST_BLOB_MIB'] ?? 32)
const count = Number(process.env['IPDR_TEST_MIRRORS'] ?? 3)
const name = 'up.test/model'

async function startMirrors(stack: AsyncDisposableStack, upstream: string, count: number): Promise<ServerProcess[]> {
  const mirrors: ServerProcess[] = []
  for (let i = 0; i < count; i++) {
    const args = ['--network', 'lan', '--p2p-host', '127.0.0.1', '--p2p-port', '0', '--log-format', 'json']
    mirrors.push(stack.use(await ServerProcess.start({ args: [...args, '--upstream', `up.test=${upstream}`] })))
  }
  await connectAll(mirrors)
  return mirrors
}

/** @returns the digest of what came, or why nothing did */
async function pull({ url }: ServerProcess, layer: Digest): Promise<string> {
  await (await fetch(`${url}/v2/${name}/manifests/v1`)).arrayBuffer()
  const response = await fetch(`${url}/v2/${name}/blobs/${layer}`)
  if (!response.ok) {
    return await response.text()
  }
  const hash = createHash('sha256')
  try {
    for await (const chunk of response.body!) {
      hash.update(chunk)
    }
  } catch (err) {
    return String(err)
  }
  return `sha256:${hash.digest('hex')}`
}

/** Bytes of manifests and blobs that have come from the upstream */
async function received(mirrors: ServerProcess[]): Promise<number> {
  let bytes = 0
  for (const mirror of mirrors) {
    bytes += (await new RegistryClient(mirror).metrics())('ipdr_upstream_bytes_total{upstream="up.test"}')
  }
  return bytes
}

describe('connected mirrors that all pull a layer at once', () => {
  it('get it with about one copy of it sent by the upstream', { timeout: 600_000 }, async t => {
    await using stack = new AsyncDisposableStack()
    const upstream = stack.use(new SlowRegistry(48 * mebibyte))
    upstream.rate = 12 * mebibyte
    const mirrors = await startMirrors(stack, await upstream.start(), 3)
    const pulled = await Promise.all(mirrors.map(async mirror => await pull(mirror, upstream.layer)))
    assert.deepEqual(pulled, [upstream.layer, upstream.layer, upstream.layer])
    const copies = upstream.sent / (48 * mebibyte)
    t.diagnostic(`the upstream sent ${copies.toFixed(2)} copies`)
    assert.ok(copies < 2, `${copies} copies`)
  })

  it('end with it where the upstream goes away once everything has got to one of them', {
    timeout: 600_000 + 2 * leaves * count * second,
  }, async () => {
    await using stack = new AsyncDisposableStack()
    const upstream = new SlowRegistry(leaves * mebibyte)
    upstream.rate = 12 * mebibyte
    const mirrors = await startMirrors(stack, await upstream.start(), count)
    const pulling = Promise.all(mirrors.map(async mirror => await pull(mirror, upstream.layer)))
    try {
      await until('everything is sent', () => upstream.sentLeaves.size === leaves, 60_000 + leaves * second)
      // what is sent has not come yet; whoever answers has read what had come to it before
      let [same, before] = [0, -1]
      await until('nothing more comes', async () => {
        const bytes = await received(mirrors)
        same = bytes === before ? same + 1 : 0
        before = bytes
        return same === 5
      })
    } finally {
      await upstream[Symbol.asyncDispose]()
    }
    assert.deepEqual(
      await pulling,
      mirrors.map(() => upstream.layer),
    )
  })

  it('fail where the upstream goes away before that, and go on once it is back', {
    timeout: 600_000 + 2 * leaves * count * second,
  }, async () => {
    await using stack = new AsyncDisposableStack()
    const upstream = stack.use(new SlowRegistry(leaves * mebibyte))
    upstream.rate = 8 * mebibyte
    const mirrors = await startMirrors(stack, await upstream.start(), count)
    const pulling = Promise.all(mirrors.map(async mirror => await pull(mirror, upstream.layer)))
    await until('half of it is sent', () => upstream.sentLeaves.size >= leaves / 2, 60_000 + leaves * second)
    upstream.isDown = true
    for (const end of await pulling) {
      assert.notEqual(end, upstream.layer)
    }
    assert.ok(mirrors.every(({ log }) => log.includes('a source of a blob fails')))
    upstream.isDown = false
    upstream.rate = 0
    for (const mirror of mirrors) {
      assert.equal(await pull(mirror, upstream.layer), upstream.layer)
    }
  })
})
