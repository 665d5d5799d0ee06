import assert from 'node:assert/strict'
import { readdir, readFile, stat, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import type { BackupResult } from '../../src/client/backup/backup.ts'
import type { RestoreResult } from '../../src/upkeep/backup/restorer.ts'
import { ociLayer, ociManifest, randomBytes, sha256 } from '../fixtures/images.ts'
import { ipdr, tryIpdr } from '../fixtures/ipdr.ts'
import { descriptorOf, emptyJson, imageManifest, ociEmpty } from '../fixtures/manifests.ts'
import { RegistryClient } from '../fixtures/registry-client.ts'
import { ServerProcess } from '../fixtures/server.ts'
import { temporaryDirectory } from '../fixtures/temporary.ts'
import { until } from '../fixtures/until.ts'

const minute = 60_000
const mebibyte = 1024 * 1024
const shared = randomBytes(5 * mebibyte + 3, 'shared')

/** @returns the bytes of the manifest */
async function pushImage(
  client: RegistryClient,
  repository: string,
  tag: string,
  layers: readonly Buffer[],
  subject?: Buffer,
): Promise<Buffer> {
  for (const blob of [emptyJson, ...layers]) {
    assert.equal((await client.pushBlob(repository, blob)).status, 201)
  }
  const manifest = imageManifest({
    config: descriptorOf(emptyJson, ociEmpty),
    layers: layers.map(layer => descriptorOf(layer, ociLayer)),
    annotations: { tag },
    ...(subject === undefined ? {} : { subject: descriptorOf(subject, ociManifest) }),
  })
  assert.equal(
    (await client.pushManifest(repository, subject === undefined ? tag : sha256(manifest), manifest)).status,
    201,
  )
  return manifest
}

/** Pushes and deletes until it is stopped */
function load(client: RegistryClient): { pushed: () => number; stop: () => Promise<void> } {
  let isStopped = false
  let pushed = 0
  const running = (async () => {
    for (; !isStopped; pushed++) {
      const manifest = await pushImage(client, 'load', `v${pushed}`, [shared, randomBytes(100_000, `load ${pushed}`)])
      if (pushed % 3 === 0) {
        assert.equal((await client.request('DELETE', `/v2/load/manifests/${sha256(manifest)}`)).status, 202)
      }
    }
  })()
  return {
    pushed: () => pushed,
    stop: async () => {
      isStopped = true
      await running
    },
  }
}

async function verify(client: RegistryClient, images: ReadonlyMap<string, Buffer>): Promise<void> {
  for (const [path, manifest] of images) {
    const repository = path.split('/manifests/')[0]!
    assert.equal(await client.digestOf(`/v2/${path}`), sha256(manifest), path)
    for (const { digest } of (JSON.parse(manifest.toString()) as { layers: { digest: `sha256:${string}` }[] }).layers) {
      assert.equal(await client.digestOf(`/v2/${repository}/blobs/${digest}`), digest, `${path}: ${digest}`)
    }
  }
}

test('a registry is copied while clients push and garbage is collected, and brought back elsewhere', {
  timeout: 3 * minute,
}, async () => {
  await using scratch = await temporaryDirectory('backup')
  await using server = await ServerProcess.start({ args: ['--gc-interval', '50ms'] })
  const client = new RegistryClient(server)
  const at = ({ dataDir }: ServerProcess): string[] => ['--json', '--data-dir', dataDir]
  const images = new Map<string, Buffer>()
  const signed = await pushImage(client, 'team/app', 'v1', [shared, randomBytes(3 * mebibyte, 'v1')])
  images.set('team/app/manifests/v1', signed)
  const signature = await pushImage(client, 'team/app', 'signature', [randomBytes(99, 'signature')], signed)
  images.set(`team/app/manifests/${sha256(signature)}`, signature)

  const clients = load(client)
  await until('some images are pushed', () => clients.pushed() > 2)
  const target = join(scratch.path, 'backups')
  const first = JSON.parse(await ipdr(['backup', target, ...at(server)])) as BackupResult
  await clients.stop()
  assert.deepEqual((await readdir(target)).sort(), [`000001-${first.root}.car`, 'backups.json'])

  images.set('team/app/manifests/v2', await pushImage(client, 'team/app', 'v2', [shared, randomBytes(1000, 'v2')]))
  await ipdr(['gc', ...at(server)])
  const before = await stat(first.file!)
  const second = JSON.parse(await ipdr(['backup', target, ...at(server)])) as BackupResult
  assert.ok(second.bytes < before.size / 4, `${second.bytes} of ${before.size} bytes`)
  const third = JSON.parse(await ipdr(['backup', target, ...at(server)])) as BackupResult
  assert.deepEqual(third, {
    root: second.root,
    blocks: 0,
    bytes: 0,
    problems: [],
    lost: [],
    leftOut: { count: 0, names: [] },
  })
  const alone = JSON.parse(
    await ipdr(['backup', join(scratch.path, 'new.car'), '--since', first.file!, ...at(server)]),
  ) as BackupResult
  assert.deepEqual([alone.root, alone.bytes], [second.root, second.bytes])

  await using copy = await ServerProcess.start()
  const copied = new RegistryClient(copy)
  const whole = await readFile(first.file!)
  const needed = whole.indexOf(shared.subarray(0, 100))
  for (const [damage, reason] of [
    [
      async () => {
        await writeFile(
          first.file!,
          Buffer.concat([whole.subarray(0, needed), Buffer.from([whole[needed]! ^ 1]), whole.subarray(needed + 1)]),
        )
      },
      /backup .*000001-.*car: block baf\w+ does not match its CID/,
    ],
    [
      async () => {
        await truncate(first.file!, needed)
      },
      /backup .*000001-.*car: it is cut short/,
    ],
  ] as const) {
    await damage()
    assert.equal((await tryIpdr(['backup', '--verify', target])).code, 1)
    const { code, stderr } = await tryIpdr(['restore', target, ...at(copy)])
    assert.equal(code, 1)
    assert.match(stderr, reason)
    // once the server has noticed that no more comes
    await until(
      'the copy is as empty as before',
      async () => (await (await copied.request('GET', '/v2/_catalog')).text()) === '{"repositories":[]}',
    )
  }
  const { code, stderr } = await tryIpdr(['restore', second.file!, ...at(copy)])
  assert.equal(code, 1)
  assert.match(stderr, /the backup is incomplete/)
  await writeFile(first.file!, whole)
  await ipdr(['backup', '--verify', target])

  const restored = JSON.parse(await ipdr(['restore', target, ...at(copy)])) as RestoreResult
  assert.equal(restored.root, second.root)
  for (const path of ['_catalog', 'team/app/tags/list', 'load/tags/list', `team/app/referrers/${sha256(signed)}`]) {
    assert.deepEqual(
      await (await copied.request('GET', `/v2/${path}`)).json(),
      await (await client.request('GET', `/v2/${path}`)).json(),
      path,
    )
  }
  const { tags } = (await (await client.request('GET', '/v2/load/tags/list')).json()) as { tags: string[] }
  for (const tag of tags) {
    images.set(
      `load/manifests/${tag}`,
      Buffer.from(await (await client.request('GET', `/v2/load/manifests/${tag}`)).arrayBuffer()),
    )
  }
  assert.ok(images.size > 4)
  await verify(client, images)
  await verify(copied, images)
  await copy.stop()
  await copy.start()
  await verify(copied, images)
  assert.match(
    (await tryIpdr(['restore', target, ...at(copy)])).stderr,
    /a backup can be restored only into an empty registry/,
  )
  // the first one by itself is what there was under load
  await using older = await ServerProcess.start()
  await ipdr(['restore', first.file!, ...at(older)])
  images.forEach((_, path) => {
    ;/v2$|^load/.test(path) && images.delete(path)
  })
  await verify(new RegistryClient(older), images)
  const { missing, damaged } = JSON.parse(await ipdr(['fsck', ...at(older)]))
  assert.deepEqual({ missing, damaged }, { missing: 0, damaged: 0 })
})
