import assert from 'node:assert/strict'
import { mkdir, readdir, readFile, realpath, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { copyImage } from '../../../../src/client/images/copy-image.ts'
import { LayoutTarget } from '../../../../src/client/files/layout-target.ts'
import { fakeServer } from '../../../fixtures/fake-server.ts'
import { makeImage, readLayout } from '../../../fixtures/images.ts'
import { memorySource } from '../../../fixtures/memory-image.ts'
import { temporaryDirectory, type TemporaryDirectory } from '../../../fixtures/temporary.ts'
import { ipdr } from '../../cli/ipdr.ts'

const image = makeImage([{ a: Buffer.from('a') }])
const top = image.descriptor.digest.replace(':', '/')
const layer = [...image.content.keys()].find(digest => digest !== image.descriptor.digest)!.replace(':', '/')

let scratch: TemporaryDirectory
let layout: string
let precious: string
beforeEach(async () => {
  scratch = await temporaryDirectory('layout')
  layout = join(scratch.path, 'layout')
  precious = join(scratch.path, 'precious')
  await mkdir(layout)
  await writeFile(join(layout, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}')
  await writeFile(precious, 'precious')
})
afterEach(async () => {
  await scratch[Symbol.asyncDispose]()
})

async function copy(): Promise<void> {
  await copyImage(memorySource(image), await LayoutTarget.open(layout, 'v1'))
}

describe('a layout that somebody else made', () => {
  for (const file of ['oci-layout', 'index.json.partial', `blobs/${top}`, `blobs/${layer}`, `blobs/${layer}.partial`]) {
    it(`has nothing overwritten that its ${file.replace(/[0-9a-f]{64}/, '<hex>')} leads to`, async () => {
      const link = join(layout, file)
      await mkdir(dirname(link), { recursive: true })
      if (file === 'oci-layout') {
        await writeFile(join(layout, 'index.json'), '{"schemaVersion":2,"manifests":[]}')
        await rm(link)
      }
      await symlink(precious, link)
      await copy()
      assert.equal(await readFile(precious, 'utf8'), 'precious')
      for (const [digest, bytes] of image.content) {
        assert.ok((await readLayout(layout, digest)).equals(bytes))
        const path = join(await realpath(layout), 'blobs', digest.replace(':', '/'))
        assert.equal(await realpath(path), path)
      }
    })
  }

  it('has its index.json neither read nor written elsewhere', async () => {
    await symlink(precious, join(layout, 'index.json'))
    await assert.rejects(copy(), { name: 'ClientError', message: / is a link that leads out of it$/ })
    assert.equal(await readFile(precious, 'utf8'), 'precious')
  })

  for (const directory of ['blobs', 'blobs/sha256']) {
    it(`has nothing written where its ${directory} leads to`, async () => {
      const elsewhere = join(scratch.path, 'elsewhere')
      await mkdir(elsewhere)
      await mkdir(dirname(join(layout, directory)), { recursive: true })
      await symlink(elsewhere, join(layout, directory))
      await assert.rejects(copy(), { name: 'ClientError', message: /is a link or a file, not a directory/ })
      assert.deepEqual(await readdir(elsewhere), [])
    })
  }

  it('keeps the images that it has', async () => {
    const other = {
      mediaType: 'application/vnd.example',
      digest: image.descriptor.digest,
      size: 3,
      annotations: { 'org.opencontainers.image.ref.name': 'v0' },
    }
    await writeFile(
      join(layout, 'index.json'),
      JSON.stringify({ schemaVersion: 2, manifests: [other, { ...image.descriptor, annotations: other.annotations }] }),
    )
    await copy()
    await copy()
    const { manifests } = JSON.parse(await readFile(join(layout, 'index.json'), 'utf8')) as {
      manifests: { annotations: Record<string, string> }[]
    }
    assert.deepEqual(
      manifests.map(({ annotations }) => annotations['org.opencontainers.image.ref.name']),
      ['v0', 'v0', 'v1'],
    )
    assert.ok((await readdir(layout, { recursive: true })).every(name => !name.endsWith('.partial')))
  })
})

it('an archive that is pulled overwrites nothing that a link leads to', async () => {
  await using server = await fakeServer(({ url }, res) => {
    const reference = url.split('/').at(-1)! as `sha256:${string}`
    res.setHeader(
      'Content-Type',
      reference.startsWith('sha256:') ? 'application/octet-stream' : image.descriptor.mediaType,
    )
    res.end(image.content.get(reference) ?? (url === '/v2/' ? '{}' : image.content.get(image.descriptor.digest)))
  })
  const output = join(scratch.path, 'image.tar')
  await symlink(precious, `${output}.partial`)
  const { code, err } = await ipdr(['pull', 'a', '--output', output, '--docker-registry-host', server.host])
  assert.deepEqual([code, err], [0, ''])
  assert.equal(await readFile(precious, 'utf8'), 'precious')
  assert.ok((await stat(output)).size > 0)
})
