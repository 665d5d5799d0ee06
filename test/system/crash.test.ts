import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { request } from 'node:http'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Digest } from '../../src/oci/digest.ts'
import { ociConfig, ociLayer, ociManifest, randomBytes, sha256 } from '../fixtures/images.ts'
import { KillRun } from '../fixtures/load/kill-run.ts'
import { sha512 } from '../fixtures/manifests.ts'
import { location, RegistryClient } from '../fixtures/registry-client.ts'
import { ServerProcess } from '../fixtures/server.ts'
import { until } from '../fixtures/until.ts'

const minute = 60_000
const mebibyte = 1024 * 1024
const pushes = 10
const rounds = 6

/** What the server said 201 to: from then on a GET of the path must have this digest, whatever happens */
type Acknowledged = Map<string, Digest>

test('kill -9 in the middle of ten pushes loses nothing that was acknowledged', { timeout: 10 * minute }, async t => {
  const seed = process.env.CRASH_SEED ?? String(Date.now())
  t.diagnostic(`CRASH_SEED=${seed}`)
  await using server = await ServerProcess.start()
  const client = new RegistryClient(server)
  const everything: Acknowledged = new Map()
  let [survived, lost] = [0, 0]

  // how long it takes undisturbed says when to strike
  const began = performance.now()
  await pushAll(client, `${seed}/undisturbed`, everything)
  const duration = performance.now() - began
  assert.equal(everything.size, pushes * 5)
  await verify(client, everything)

  for (let round = 1; round <= rounds; round++) {
    const acknowledged: Acknowledged = new Map()
    // spread over the whole of it: early, in the middle, late
    const moment = ((round - 1 + fraction(`${seed}/${round}`)) / rounds) * 0.8 * duration
    const pushing = pushAll(client, `${seed}/${round}`, acknowledged)
    await sleep(moment)
    await server.kill('SIGKILL')
    const broken = await pushing
    t.diagnostic(
      `round ${round}: killed after ${Math.round(moment)} ms, ${acknowledged.size} of ${pushes * 5} acknowledged, ${broken} of ${pushes} pushes broken`,
    )

    survived += acknowledged.size
    lost += broken

    await server.start()
    await verify(client, acknowledged)
    assert.equal(await pushAll(client, `${seed}/${round}`, acknowledged), 0, 'pushes that fail when they are repeated')
    await verify(client, acknowledged)
    acknowledged.forEach((digest, path) => {
      everything.set(path, digest)
    })
  }
  await verify(client, everything)
  assert.ok(survived > 0 && lost > 0, 'the server was never killed in the middle')
})

test('an upload that a crash cuts off goes on from the offset that the server tells', {
  timeout: 5 * minute,
}, async t => {
  const blob = randomBytes(90 * mebibyte, 'interrupted upload')
  const sent = 70 * mebibyte + 123
  await using server = await ServerProcess.start()
  const client = new RegistryClient(server)
  const upload = location(await client.startUpload('crash/upload'))
  const offset = async (): Promise<number> => {
    const response = await client.request('GET', upload)
    assert.equal(response.status, 204)
    return Number(/^(?:bytes=)?0-(\d+)$/.exec(response.headers.get('Range') ?? '')?.[1]) + 1
  }

  const patch = request(new URL(upload, server.url), {
    method: 'PATCH',
    headers: { 'Content-Type': 'application/octet-stream' },
  })
  patch.on('error', () => {})
  patch.write(blob.subarray(0, sent))
  await until('what was sent has arrived', async () => (await offset()) === sent, minute)
  await server.kill('SIGKILL')
  await server.start()

  const kept = await offset()
  t.diagnostic(`${kept} of ${sent} bytes kept`)
  assert.ok(kept > 32 * mebibyte && kept <= sent, `${kept} bytes kept`)
  assert.equal((await client.appendToUpload(upload, kept + 1, blob.subarray(kept + 1))).status, 416)
  assert.equal((await client.appendToUpload(upload, kept, blob.subarray(kept))).status, 202)
  assert.equal((await client.finishUpload(upload, sha256(blob))).status, 201)
  assert.equal(await client.digestOf(`/v2/crash/upload/blobs/${sha256(blob)}`), sha256(blob))
})

test('an upload goes on after a regular restart without a byte lost', { timeout: 10 * minute }, async () => {
  const blob = randomBytes(3 * mebibyte + 17, 'restarted upload')
  await using server = await ServerProcess.start()
  const client = new RegistryClient(server)
  const upload = location(await client.startUpload('crash/restart'))
  const half = mebibyte + 99
  assert.equal((await client.appendToUpload(upload, 0, blob.subarray(0, half))).status, 202)
  await server.restart()
  assert.equal((await client.request('GET', upload)).headers.get('Range'), `0-${half - 1}`)
  assert.equal((await client.appendToUpload(upload, half, blob.subarray(half))).status, 202)
  assert.equal((await client.finishUpload(upload, sha256(blob))).status, 201)
  assert.equal(await client.digestOf(`/v2/crash/restart/blobs/${sha256(blob)}`), sha256(blob))
})

test('kill -9 in mixed load, with deletes, mounts, moved tags and garbage collection, loses nothing', {
  timeout: 5 * minute,
}, async t => {
  const seed = process.env.CRASH_SEED ?? String(Date.now())
  t.diagnostic(`CRASH_SEED=${seed}`)
  // `npm run soak -- kill` does it three hundred times
  await using run = await KillRun.start(seed)
  for (let round = 1; round <= 2; round++) {
    await run.round(round)
  }
  await run.end()
  t.diagnostic(run.figures())
  assert.deepEqual(run.problems, [])
})

test('an upload in chunks goes on after each kill -9, with every chunk that was acknowledged, whatever the algorithm', {
  timeout: 2 * minute,
}, async () => {
  const blob = randomBytes(9 * mebibyte + 321, 'upload in chunks')
  const chunk = 2 * mebibyte + 1000
  await using server = await ServerProcess.start()
  const client = new RegistryClient(server)
  const started = await client.request('POST', '/v2/crash/chunks/blobs/uploads/?digest-algorithm=sha512')
  const upload = location(started)
  let sent = 0
  for (let round = 0; sent < blob.length; round++) {
    assert.equal((await client.appendToUpload(upload, sent, blob.subarray(sent, sent + chunk))).status, 202)
    sent = Math.min(sent + chunk, blob.length)
    if (round % 2 === 0) {
      await server.kill('SIGKILL')
      await server.start()
    }
    const { headers } = await client.request('GET', upload)
    assert.equal(headers.get('Range'), `0-${sent - 1}`)
  }
  const path = `/v2/crash/chunks/blobs/${sha512(blob)}`
  assert.equal((await client.finishUpload(upload, sha512(blob))).status, 201)
  await server.kill('SIGKILL')
  await server.start()
  assert.equal(await client.digestOf(path), sha256(blob))
})

/** @returns how many pushes broke off */
async function pushAll(client: RegistryClient, seed: string, acknowledged: Acknowledged): Promise<number> {
  const results = await Promise.allSettled(
    Array.from({ length: pushes }, async (_, number) => {
      await push(client, `crash/image${number}`, `${seed}/${number}`, acknowledged)
    }),
  )
  for (const result of results) {
    // a broken connection is what a crash looks like; an answer that says no is a bug
    if (result.status === 'rejected' && result.reason instanceof assert.AssertionError) {
      throw result.reason
    }
  }
  return results.filter(({ status }) => status === 'rejected').length
}

/**
 * A config and two layers, one in a single request and one in chunks, and a manifest under a tag of its own: five
 * acknowledgements
 */
async function push(
  client: RegistryClient,
  repository: string,
  seed: string,
  acknowledged: Acknowledged,
): Promise<void> {
  const expect = (response: Response, kind: string, name: string, digest: Digest): void => {
    assert.equal(response.status, 201, `${kind} ${name}`)
    acknowledged.set(`/v2/${repository}/${kind}/${name}`, digest)
  }
  const config = Buffer.from(
    JSON.stringify({ architecture: 'amd64', os: 'linux', seed, rootfs: { type: 'layers', diff_ids: [] } }),
  )
  const layers = [randomBytes(size(`${seed}/0`), `${seed}/0`), randomBytes(size(`${seed}/1`), `${seed}/1`)]
  const descriptor = (mediaType: string, bytes: Buffer) => ({ mediaType, digest: sha256(bytes), size: bytes.length })
  const manifest = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: ociManifest,
      config: descriptor(ociConfig, config),
      layers: layers.map(layer => descriptor(ociLayer, layer)),
    }),
  )
  const tag = `t${seed.replaceAll(/[^0-9a-z]/g, '-')}`

  expect(await client.pushBlob(repository, layers[0]!), 'blobs', sha256(layers[0]!), sha256(layers[0]!))
  expect(
    await client.pushBlobInChunks(repository, layers[1]!, mebibyte + 1),
    'blobs',
    sha256(layers[1]!),
    sha256(layers[1]!),
  )
  expect(await client.pushBlob(repository, config), 'blobs', sha256(config), sha256(config))
  expect(
    await client.pushManifest(repository, sha256(manifest), manifest),
    'manifests',
    sha256(manifest),
    sha256(manifest),
  )
  expect(await client.pushManifest(repository, tag, manifest), 'manifests', tag, sha256(manifest))
}

async function verify(client: RegistryClient, acknowledged: Acknowledged): Promise<void> {
  for (const [path, digest] of acknowledged) {
    assert.equal(await client.digestOf(path), digest, path)
  }
}

/** From 100 KiB to about 6 MiB */
function size(seed: string): number {
  return 100 * 1024 + Math.floor(fraction(seed) * 6 * mebibyte)
}

/** From 0 to 1 */
function fraction(seed: string): number {
  return createHash('sha256').update(seed).digest().readUInt32BE() / 2 ** 32
}
