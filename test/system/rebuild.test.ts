import assert from 'node:assert/strict'
import { readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import {
  writeLayout,
  makeImage,
  makeMultiPlatformImage,
  ociIndex,
  ociManifest,
  randomBytes,
  sha256,
  type Image,
} from '../fixtures/images.ts'
import { descriptorOf, imageManifest, emptyJson } from '../fixtures/manifests.ts'
import { ipdr } from '../fixtures/ipdr.ts'
import { RegistryClient } from '../fixtures/registry-client.ts'
import { ServerProcess } from '../fixtures/server.ts'
import { temporaryDirectory } from '../fixtures/temporary.ts'
import { until } from '../fixtures/until.ts'

const minute = 60_000
const amd64 = makeImage([{ a: randomBytes(3_000_000, 'layer') }, { shared: randomBytes(5000, 'shared') }])
const arm64 = makeImage([{ a: randomBytes(1000, 'arm64') }, { shared: randomBytes(5000, 'shared') }], {
  architecture: 'arm64',
  os: 'linux',
})
const images: Record<string, Image> = {
  'team/app:v1': makeMultiPlatformImage(
    new Map([
      ['amd64', amd64],
      ['arm64', arm64],
    ]),
  ),
  'team/app:v2': arm64,
  'other:latest': amd64,
}

/** What clients see: listings and headers as they are, of content the digest */
async function answers(client: RegistryClient, signed: string): Promise<Record<string, unknown>> {
  const seen: Record<string, unknown> = {}
  for (const path of ['_catalog', 'team/app/tags/list', 'other/tags/list', `team/app/referrers/${signed}`]) {
    seen[path] = await (await client.request('GET', `/v2/${path}`)).json()
  }
  for (const [name, { content }] of Object.entries(images)) {
    const [repository, tag] = name.split(':')
    const manifest = await client.request('GET', `/v2/${repository}/manifests/${tag}`, {
      headers: { Accept: `${ociIndex}, ${ociManifest}` },
    })
    seen[name] = [
      manifest.headers.get('x-ipfs-cid'),
      manifest.headers.get('docker-content-digest'),
      manifest.headers.get('content-type'),
      await manifest.text(),
    ]
    for (const digest of content.keys()) {
      const found =
        (await client.digestOf(`/v2/${repository}/manifests/${digest}`)) ??
        (await client.digestOf(`/v2/${repository}/blobs/${digest}`))
      assert.equal(found, digest, `${name} ${digest}`)
    }
  }
  return seen
}

test('a deleted index comes back with all that clients see, and nothing is lost until then', {
  timeout: 2 * minute,
}, async () => {
  await using scratch = await temporaryDirectory('rebuild')
  await using server = await ServerProcess.start({ args: ['--gc-unreferenced', '1ms'] })
  const at = ['--data-dir', server.dataDir]
  const client = new RegistryClient(server)
  for (const [name, image] of Object.entries(images)) {
    await writeLayout(join(scratch.path, name), image)
    await ipdr(['push', name, '--silent', '--from', join(scratch.path, name), '--docker-registry-host', server.host])
  }
  const signed = images['team/app:v1']!.descriptor
  await client.pushBlob('team/app', emptyJson)
  const signature = imageManifest({
    subject: { ...signed, mediaType: ociIndex },
    artifactType: 'application/example.signature',
    layers: [descriptorOf(emptyJson)],
  })
  assert.equal((await client.pushManifest('team/app', sha256(signature), signature)).status, 201)
  const before = await answers(client, signed.digest)
  assert.equal((before[`team/app/referrers/${signed.digest}`] as { manifests: unknown[] }).manifests.length, 1)

  await server.stop()
  const files = await readdir(join(server.dataDir, 'blocks'), { recursive: true })
  await writeFile(join(server.dataDir, 'index', 'CURRENT'), 'damaged')
  await assert.rejects(
    server.start(),
    /index of data directory .* is damaged: .*; delete .*index, start again and run "ipdr fsck --rebuild"/,
  )
  await rm(join(server.dataDir, 'index'), { recursive: true })
  await server.start()
  await until('the log says so', () => /the index was lost/.test(server.log))
  await assert.rejects(ipdr(['gc', ...at]), /the index was lost: first rebuild it with "ipdr fsck --rebuild"/)
  assert.deepEqual(
    files.filter(file => file.endsWith('.data')).sort(),
    (await readdir(join(server.dataDir, 'blocks'), { recursive: true })).filter(file => file.endsWith('.data')).sort(),
  )

  const { problems, recovered, whole } = JSON.parse(await ipdr(['fsck', '--rebuild', '--json', ...at]))
  assert.deepEqual({ problems, recovered, whole }, { problems: [], recovered: [], whole: true })
  assert.deepEqual(await answers(client, signed.digest), before)
  await ipdr(['gc', ...at])
  assert.match(await ipdr(['fsck', ...at]), / 0 were missing and 0 damaged/)
  assert.deepEqual(await answers(client, signed.digest), before)
})
