import assert from 'node:assert/strict'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Digest } from '../../src/oci/digest.ts'
import type { CollectionResult } from '../../src/upkeep/gc/garbage-collector.ts'
import { nodeAddress } from '../fixtures/connect-all.ts'
import { ociConfig, ociLayer, ociManifest, randomBytes, sha256 } from '../fixtures/images.ts'
import { ipdr } from '../fixtures/ipdr.ts'
import { location, RegistryClient } from '../fixtures/registry-client.ts'
import { ServerProcess } from '../fixtures/server.ts'
import { until } from '../fixtures/until.ts'

const second = 1000
const minute = 60 * second
const mebibyte = 1024 * 1024
const clients = 4
/** Of each client */
const images = 6
/** At least so long and so many cycles is there load */
const duration = 8 * second
const minCycles = 6
const successes = 'ipdr_gc_cycles_total{result="success"}'
/** Shared by all clients: they mount, delete and push them again and again */
const layers = Array.from({ length: 6 }, (_, i) => randomBytes(300_000 + i * 400_000, `shared layer ${i}`))

async function collect(server: ServerProcess, ...args: string[]): Promise<CollectionResult> {
  return JSON.parse(await ipdr(['gc', '--json', '--data-dir', server.dataDir, ...args])) as CollectionResult
}

async function blockCount(server: ServerProcess): Promise<number> {
  return (await readdir(join(server.dataDir, 'blocks'), { recursive: true })).filter(name => name.endsWith('.data'))
    .length
}

/** What the server said yes to, by path */
type Acknowledged = Map<string, Digest>

interface ImageInit {
  repository: string
  tag: string
  layers: readonly Buffer[]
  /** Whether blobs are looked for and mounted before they are sent, as clients do */
  thrifty: boolean
}

async function pushImage(
  client: RegistryClient,
  { repository, tag, layers, thrifty }: ImageInit,
): Promise<{ manifest: Buffer; paths: Acknowledged }> {
  const config = Buffer.from(
    JSON.stringify({ architecture: 'amd64', os: 'linux', tag, rootfs: { type: 'layers', diff_ids: [] } }),
  )
  const descriptor = (mediaType: string, bytes: Buffer) => ({ mediaType, digest: sha256(bytes), size: bytes.length })
  const manifest = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: ociManifest,
      config: descriptor(ociConfig, config),
      layers: layers.map(layer => descriptor(ociLayer, layer)),
    }),
  )
  for (const blob of [config, ...layers]) {
    if (!thrifty || !(await isHere(client, repository, sha256(blob)))) {
      assert.equal((await client.pushBlobInChunks(repository, blob, mebibyte)).status, 201)
    }
  }
  assert.equal((await client.pushManifest(repository, tag, manifest)).status, 201, `manifest of ${repository}:${tag}`)
  const paths = new Map(
    [config, ...layers].map((blob): [string, Digest] => [`/v2/${repository}/blobs/${sha256(blob)}`, sha256(blob)]),
  )
  return { manifest, paths: paths.set(`/v2/${repository}/manifests/${tag}`, sha256(manifest)) }
}

/** By HEAD, else by a mount */
async function isHere(client: RegistryClient, repository: string, digest: Digest): Promise<boolean> {
  if ((await client.request('HEAD', `/v2/${repository}/blobs/${digest}`)).status === 200) {
    return true
  }
  const mounted = await client.request('POST', `/v2/${repository}/blobs/uploads/?mount=${digest}`)
  if (mounted.status === 202) {
    await client.request('DELETE', location(mounted))
  }
  return mounted.status === 201
}

async function verify(client: RegistryClient, paths: Acknowledged): Promise<void> {
  for (const [path, digest] of paths) {
    assert.equal(await client.digestOf(path), digest, path)
  }
}

test('nothing is lost while clients push, mount, delete and pull and garbage is collected without pause', {
  timeout: 5 * minute,
}, async t => {
  await using server = await ServerProcess.start({
    args: ['--gc-interval', '1ms', '--gc-unreferenced', '2s', '--gc-grace', '2s', '--history-keep', 'off'],
  })
  const client = new RegistryClient(server)
  const kept: Acknowledged = new Map()
  let [pushed, again] = [0, 0]

  /** The images of a client: the same ones over and over, so that what is deleted comes back while its blocks go */
  function image(number: number, i: number): ImageInit {
    const some = layers.filter((_, layer) => (layer * 7 + (i % images) * 3 + number) % 3 === 0)
    return {
      repository: `load/${number}`,
      tag: `v${i % images}`,
      layers: [...some, randomBytes(1_200_000 + number, `${number} ${i % images}`)],
      thrifty: i % 2 === 0,
    }
  }

  async function push(init: ImageInit): ReturnType<typeof pushImage> {
    for (let tries = 0; ; tries++) {
      try {
        pushed++
        return await pushImage(client, init)
      } catch (err) {
        // a client that takes more than its two seconds is told that a blob has gone, and begins anew
        if (tries === 20 || !(err instanceof assert.AssertionError) || err.actual !== 404) {
          throw err
        }
        again++
      }
    }
  }

  let isOver = false
  async function work(number: number): Promise<void> {
    for (let i = 0; !isOver; i++) {
      const init = image(number, i)
      const path = `/v2/${init.repository}/manifests/${init.tag}`
      const digest = await client.digestOf(path)
      if (digest !== undefined) {
        assert.equal((await client.request('DELETE', `/v2/${init.repository}/manifests/${digest}`)).status, 202)
      }
      // some come back at once, others when they are looked at the next time
      if (digest === undefined || i % 3 === 0) {
        await verify(client, (await push(init)).paths)
      }
    }
  }

  for (let i = 0; i < images; i++) {
    await Promise.all(
      Array.from({ length: clients }, async (_, number) => {
        await push(image(number, i))
      }),
    )
  }
  const old = await push({
    repository: 'kept',
    tag: 'old',
    layers: [layers[0]!, randomBytes(2_000_000, 'kept')],
    thrifty: false,
  })
  old.paths.forEach((digest, path) => {
    kept.set(path, digest)
  })
  // what was there before a start is not protected by having been written lately
  await server.restart()
  const load = Promise.all(
    Array.from({ length: clients }, async (_, number) => {
      await work(number)
    }),
  )
  const enough = async (): Promise<void> => {
    await sleep(duration)
    await until(
      'garbage was collected often enough',
      async () => (await client.metrics())(successes) >= minCycles,
      2 * minute,
    )
  }
  try {
    // no wait for cycles where a client has failed
    await Promise.race([load, enough()])
  } finally {
    isOver = true
    await load
  }
  for (let number = 0; number < clients; number++) {
    for (let i = 0; i < images; i++) {
      ;(await push(image(number, i))).paths.forEach((digest, path) => {
        kept.set(path, digest)
      })
    }
  }
  await verify(client, kept)
  const metric = await client.metrics()
  const freed = metric('ipdr_gc_freed_blocks_total')
  t.diagnostic(
    `${pushed} pushes, ${again} begun anew, ${metric(successes)} cycles, ${freed} blocks freed, ${kept.size} paths verified`,
  )
  assert.ok(freed > 5, `${freed} blocks freed`)
  assert.equal(metric('ipdr_gc_cycles_total{result="failure"}'), 0)
  await server.restart()
  await verify(client, kept)
})

test('ipdr gc says what it would free, frees it, and disk use goes back to what it was', {
  timeout: 2 * minute,
}, async () => {
  // the directory of tags is published half a second after the start: its blocks would come between two counts
  await using server = await ServerProcess.start({
    args: ['--gc-interval', 'off', '--gc-unreferenced', '0', '--names-publish', 'false', '--history-keep', 'off'],
  })
  const client = new RegistryClient(server)
  const first = await pushImage(client, { repository: 'a', tag: 'v1', layers: layers.slice(0, 2), thrifty: false })
  const second = await pushImage(client, { repository: 'a', tag: 'v2', layers: layers.slice(1), thrifty: false })
  await client.request('DELETE', `/v2/a/manifests/${sha256(second.manifest)}`)
  // what was written in the last quarter of an hour stays: a start does not remember it
  assert.equal((await collect(server)).blocks, 0)
  await server.restart()
  const before = await blockCount(server)
  const dry = await collect(server, '--dry-run')
  assert.equal(await blockCount(server), before)
  const text = await ipdr(['gc', '--data-dir', server.dataDir])
  assert.match(
    text,
    new RegExp(
      `^Freed .+ MiB in ${dry.blocks} blocks; deleted 0 untagged manifests, \\d+ unused blobs and 0 cached images`,
    ),
  )
  assert.equal(await blockCount(server), before - dry.blocks)
  assert.ok(dry.bytes > 4 * mebibyte)
  assert.equal((await collect(server)).blocks, 0)
  await verify(client, first.paths)
  assert.equal((await client.request('HEAD', `/v2/a/blobs/${sha256(layers[5]!)}`)).status, 404)
})

test('kill -9 in the middle of a sweep leaves everything that is needed', { timeout: 10 * minute }, async t => {
  // what was published before is garbage half a second after each start, which may be between the last two cycles
  await using server = await ServerProcess.start({
    args: ['--gc-interval', 'off', '--gc-unreferenced', '0', '--names-publish', 'false', '--history-keep', 'off'],
    env: { IPDR_STORAGE_FSYNC: 'false' },
  })
  const client = new RegistryClient(server)
  const kept = await pushImage(client, { repository: 'kept', tag: 'v1', layers, thrifty: false })
  const manifests: Buffer[] = []
  for (let i = 0; i < 25; i++) {
    const many = Array.from({ length: 16 }, (_, layer) => randomBytes(1000, `${i} ${layer}`))
    manifests.push(
      (await pushImage(client, { repository: 'gone', tag: `v${i}`, layers: many, thrifty: false })).manifest,
    )
  }
  for (const manifest of manifests) {
    assert.equal((await client.request('DELETE', `/v2/gone/manifests/${sha256(manifest)}`)).status, 202)
  }
  await server.restart()
  const before = await blockCount(server)
  let left = before
  for (let tries = 0; tries < 3 && left > before / 10; tries++) {
    const collecting = client
      .request('POST', '/ipdr/v1/gc', { headers: { 'Content-Type': 'application/json' }, body: '{}' })
      .catch(() => {})
    await until('the sweep runs, or is over', async () => (await blockCount(server)) < left, 30 * second)
    await server.kill('SIGKILL')
    await collecting
    left = await blockCount(server)
    t.diagnostic(`killed when ${left} of ${before} blocks were left`)
    await server.start()
    await verify(client, kept.paths)
  }
  await collect(server)
  await verify(client, kept.paths)
  assert.deepEqual(
    ((await (await client.request('GET', '/v2/_catalog')).json()) as { repositories: string[] }).repositories,
    ['kept'],
  )
  // the image, and nothing else
  assert.ok((await blockCount(server)) < 60, `${await blockCount(server)} blocks are left`)
  assert.equal((await collect(server)).blocks, 0)
})

test('an image of another node stays while there is room, and is fetched again after it went', {
  timeout: 3 * minute,
}, async () => {
  const lan = [
    '--network',
    'lan',
    '--p2p-host',
    '127.0.0.1',
    '--p2p-port',
    '0',
    '--gc-interval',
    'off',
    '--log-format',
    'json',
  ]
  await using origin = await ServerProcess.start({ args: lan })
  const init = { repository: 'a', tag: 'v1', layers: layers.slice(0, 3), thrifty: false }
  await pushImage(new RegistryClient(origin), init)
  const manifest = await new RegistryClient(origin).request('GET', '/v2/a/manifests/v1')
  const root = manifest.headers.get('X-Ipfs-Cid')!
  await using server = await ServerProcess.start({
    args: [...lan, '--p2p-peers', await nodeAddress(origin), '--cache-max-bytes', '3MiB'],
  })
  const client = new RegistryClient(server)
  const pull = async (): Promise<void> => {
    for (const layer of layers.slice(0, 3)) {
      assert.equal(await client.digestOf(`/v2/${root}/blobs/${sha256(layer)}`), sha256(layer))
    }
  }
  assert.equal((await client.request('GET', `/v2/${root}/manifests/latest`)).status, 200)
  await pull()
  await server.restart()
  const held = await blockCount(server)
  assert.ok(held >= 6)
  assert.equal((await collect(server)).cached, 0)
  assert.equal(await blockCount(server), held)
  // a second image takes the room
  await pushImage(new RegistryClient(origin), {
    ...init,
    tag: 'v2',
    layers: layers.slice(3, 4).concat(randomBytes(1_000_000, 'v2')),
  })
  const other = (await new RegistryClient(origin).request('GET', '/v2/a/manifests/v2')).headers.get('X-Ipfs-Cid')!
  assert.equal((await client.request('GET', `/v2/${other}/manifests/latest`)).status, 200)
  assert.equal(await client.digestOf(`/v2/${other}/blobs/${sha256(layers[3]!)}`), sha256(layers[3]!))
  await server.restart()
  const { blocks, cached } = await collect(server)
  assert.ok(cached === 1 && blocks >= 4, `${blocks} blocks of ${cached} images`)
  await pull()
})
