/**
 * Makes the data directory of this version that later versions have to read, with what a server answers from it:
 * test/fixtures/data-format-<format>.tar.gz and .json. To be run once for each format, by the last version that writes
 * it.
 */
import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beginUpload, dataFormatFile, textOf, uploadBytes, type DataAnswers } from '../test/fixtures/data-format.ts'
import { startGateway } from '../test/fixtures/gateway.ts'
import { ipdr } from '../test/fixtures/ipdr.ts'
import { sha256 } from '../test/fixtures/images.ts'
import {
  descriptorOf,
  emptyJson,
  imageIndex,
  imageManifest,
  ociIndex,
  ociLayer,
  ociManifest,
  sha512,
} from '../test/fixtures/manifests.ts'
import { RegistryClient } from '../test/fixtures/registry-client.ts'
import { ServerProcess } from '../test/fixtures/server.ts'

const mebibyte = 1024 * 1024
/** Bytes that compress well */
const large = Buffer.from('a layer of several blocks\n'.repeat(100_000)).subarray(0, 2 * mebibyte + 17)
const small = Buffer.from('a small layer')

async function push(
  client: RegistryClient,
  repository: string,
  reference: string,
  bytes: Buffer,
  mediaType = ociManifest,
): Promise<void> {
  const { status } = await client.pushManifest(repository, reference, bytes, mediaType)
  if (status !== 201) {
    throw new Error(`${repository}/${reference}: ${status}`)
  }
}

/** @returns the paths that a later version has to answer */
async function fill(client: RegistryClient): Promise<{ texts: string[]; blobs: string[] }> {
  for (const [repository, blob, digest] of [
    ['team/app', emptyJson, sha256(emptyJson)],
    ['team/app', large, sha256(large)],
    ['team/app', small, sha256(small)],
    ['other', emptyJson, sha256(emptyJson)],
    ['other', large, sha512(large)],
  ] as const) {
    await client.pushBlob(repository, blob, digest)
  }
  const image = imageManifest({ layers: [descriptorOf(large), descriptorOf(small)] })
  await push(client, 'team/app', 'v1', image)
  const child = imageManifest({ layers: [descriptorOf(small)] })
  await push(client, 'team/app', sha256(child), child)
  const index = imageIndex([descriptorOf(image, ociManifest), descriptorOf(child, ociManifest)])
  await push(client, 'team/app', 'multi', index, ociIndex)
  const note = imageManifest({
    subject: descriptorOf(index, ociIndex),
    artifactType: 'application/example.note',
    annotations: { of: 'multi' },
  })
  await push(client, 'team/app', sha256(note), note)
  const bySha512 = imageManifest({ layers: [descriptorOf(large, ociLayer, sha512(large))] })
  await push(client, 'other', sha512(bySha512), bySha512)
  await push(client, 'other', 'latest', bySha512)
  return {
    texts: [
      '/v2/_catalog',
      '/v2/team/app/tags/list',
      '/v2/other/tags/list',
      `/v2/team/app/referrers/${sha256(index)}`,
      '/dig?q=team/app:v1',
      ...['v1', 'multi', sha256(child), sha256(note)].map(reference => `/v2/team/app/manifests/${reference}`),
      ...['latest', sha512(bySha512)].map(reference => `/v2/other/manifests/${reference}`),
    ],
    blobs: [
      ...[large, small, emptyJson].map(blob => `/v2/team/app/blobs/${sha256(blob)}`),
      `/v2/other/blobs/${sha512(large)}`,
    ],
  }
}

/** @returns the root of an image of another server */
async function pushElsewhere(server: ServerProcess): Promise<{ root: string; texts: string[]; blobs: string[] }> {
  const client = new RegistryClient(server)
  const layer = Buffer.from('a layer of another node\n'.repeat(60_000))
  await client.pushBlob('a', emptyJson)
  await client.pushBlob('a', layer)
  await push(client, 'a', 'latest', imageManifest({ layers: [descriptorOf(layer)] }))
  const root = (await textOf(client, '/v2/a/manifests/latest')).headers['X-Ipfs-Cid']!
  return {
    root,
    texts: [`/v2/${root}/manifests/latest`],
    blobs: [`/v2/${root}/blobs/${sha256(layer)}`, `/v2/${root}/blobs/${sha256(emptyJson)}`],
  }
}

await using elsewhere = await ServerProcess.start()
const cached = await pushElsewhere(elsewhere)
await using gateway = await startGateway(elsewhere)
await using server = await ServerProcess.start({ args: ['--ipfs-gateway', gateway.url] })
const client = new RegistryClient(server)
const own = await fill(client)
const answers: DataAnswers = {
  texts: {},
  blobs: {},
  name: (JSON.parse(await ipdr(['publish', '--json', '--data-dir', server.dataDir])) as { name: string }).name,
  upload: { ...(await beginUpload(client, 'team/app')), digest: sha256(uploadBytes()) },
}
for (const path of [...own.texts, ...cached.texts]) {
  answers.texts[path] = await textOf(client, path)
}
for (const path of [...own.blobs, ...cached.blobs]) {
  answers.blobs[path] = (await client.digestOf(path))!
}
await server.stop()
const format = readFileSync(join(server.dataDir, 'format'), 'utf8').trim()
writeFileSync(dataFormatFile(format, 'json'), `${JSON.stringify(answers, undefined, 2)}\n`)
execFileSync('tar', [
  '--create',
  '--gzip',
  '--sort=name',
  '--owner=0',
  '--group=0',
  '--numeric-owner',
  '--file',
  dataFormatFile(format, 'tar.gz'),
  '--directory',
  server.dataDir,
  '.',
])
