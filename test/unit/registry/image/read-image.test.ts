import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Digest } from '../../../../src/oci/digest.ts'
import { hexOf } from '../../../../src/oci/digest.ts'
import { findBlob, findManifest, maxManifestBytes, readManifest } from '../../../../src/registry/image/read-image.ts'
import { makeImage, makeMultiPlatformImage, sha256 } from '../../../fixtures/images.ts'
import { descriptorOf, encode, imageManifest, ociManifest, sha512 } from '../../../fixtures/manifests.ts'
import { MemoryReader } from '../../../fixtures/memory-reader.ts'

const image = makeImage([{ hello: Buffer.from('hello') }])
const multi = makeMultiPlatformImage(new Map([['amd64', image]]))
const top = image.descriptor.digest
const manifest = image.content.get(top)!
const blobs = [...image.content].filter(([digest]) => digest !== top)
const [config, layer] = blobs
  .sort(([, a], [, b]) => Number(b.includes('rootfs')) - Number(a.includes('rootfs')))
  .map(([digest]) => digest) as [Digest, Digest]

function indexOf(...manifests: object[]): Buffer {
  return encode({ schemaVersion: 2, manifests })
}

/** Blobs as a layout names them, by a function from digest to path */
function files(
  path: (digest: Digest) => string,
  more: Record<string, Uint8Array>,
  of = blobs,
): Record<string, Uint8Array> {
  return { ...Object.fromEntries(of.map(([digest, bytes]) => [path(digest), bytes])), ...more }
}

const slashed = (digest: Digest): string => `blobs/${digest.replace(':', '/')}`

const layouts: Record<string, Record<string, Uint8Array>> = {
  'this registry': files(digest => `blobs/${digest}`, {
    'manifests/latest': manifest,
    [`manifests/${top}`]: manifest,
    'index.json': indexOf(image.descriptor),
  }),
  'older IPDR': files(digest => `blobs/${digest}`, {
    'manifests/latest': manifest,
    'manifests/v1': manifest,
    [`manifests/${top}`]: manifest,
  }),
  'its fork': files(slashed, {
    'manifests/latest': manifest,
    'manifests/v1': manifest,
    [`manifests/sha256/${hexOf(top)}`]: manifest,
    imageName: Buffer.from('x'),
  }),
  'IPDR up to 0.1.6': files(
    digest => (digest === config ? `blobs/${digest}/${hexOf(digest)}.json` : `blobs/${digest}`),
    { 'manifests/latest-v2': manifest },
  ),
  'an OCI image layout': files(slashed, { 'index.json': indexOf(image.descriptor) }, [...image.content]),
  'an OCI image layout of several images': files(
    slashed,
    {
      'index.json': indexOf(descriptorOf(Buffer.from('x'), ociManifest), {
        ...image.descriptor,
        annotations: { 'org.opencontainers.image.ref.name': 'latest' },
      }),
    },
    [...image.content],
  ),
}

async function text(reader: MemoryReader, cid: string | undefined): Promise<string | undefined> {
  return cid === undefined
    ? undefined
    : (await Array.fromAsync(reader.read(cid), chunk => Buffer.from(chunk).toString('latin1'))).join('')
}

for (const [name, layout] of Object.entries(layouts)) {
  describe(`the layout of ${name}`, () => {
    const reader = new MemoryReader(layout)

    for (const reference of [{ tag: 'latest' }, { digest: top }]) {
      it(`has the manifest ${reference.digest ?? reference.tag}`, async () => {
        const found = await findManifest(reader, reader.root, reference)
        assert.deepEqual({ type: found?.type, size: found?.size }, { type: 'file', size: manifest.length })
        assert.equal(await text(reader, found?.cid), manifest.toString('latin1'))
        const read = (await readManifest(reader, reader.root, reference))!
        assert.deepEqual({ digest: read.digest, type: read.manifest.mediaType }, { digest: top, type: ociManifest })
        assert.ok(manifest.equals(read.bytes))
      })
    }

    it('has config and layer', async () => {
      for (const digest of [config, layer]) {
        const found = await findBlob(reader, reader.root, digest)
        assert.equal(found?.type, 'file')
        assert.equal(sha256(Buffer.from((await text(reader, found?.cid))!, 'latin1')), digest)
      }
    })

    it('has nothing else', async () => {
      assert.equal(await findManifest(reader, reader.root, { tag: 'other' }), undefined)
      assert.equal(await findManifest(reader, reader.root, { digest: sha256(Buffer.from('other')) }), undefined)
      assert.equal(await readManifest(reader, reader.root, { tag: 'other' }), undefined)
      assert.equal(await findBlob(reader, reader.root, sha256(Buffer.from('other'))), undefined)
    })
  })
}

describe('an image layout', () => {
  it('of older IPDR programs has the tags that it was pushed with', async () => {
    const reader = new MemoryReader(layouts['older IPDR']!)
    assert.equal((await readManifest(reader, reader.root, { tag: 'v1' }))?.digest, top)
  })

  it('has the images that its index names', async () => {
    const named = (name: string): object => ({
      ...image.descriptor,
      annotations: { 'org.opencontainers.image.ref.name': name },
    })
    for (const [name, found] of [
      ['v1', top],
      ['example.com/a/b:v1', top],
      ['v11', undefined],
    ] as const) {
      const reader = new MemoryReader(
        files(slashed, { 'index.json': indexOf(named('other'), named(name)) }, [...image.content]),
      )
      assert.equal((await readManifest(reader, reader.root, { tag: 'v1' }))?.digest, found)
      assert.equal(await findManifest(reader, reader.root, { tag: 'latest' }), undefined)
    }
  })

  it('leads from an index to the manifests below it', async () => {
    const reader = new MemoryReader(files(slashed, { 'index.json': indexOf(multi.descriptor) }, [...multi.content]))
    const {
      manifest: { manifests },
    } = (await readManifest(reader, reader.root, { tag: 'latest' }))!
    assert.equal(manifests.length, 2)
    for (const { digest } of manifests) {
      assert.equal((await readManifest(reader, reader.root, { digest }))?.digest, digest)
    }
  })

  it('may have digests of other algorithms', async () => {
    const bytes = imageManifest()
    const reader = new MemoryReader({ [slashed(sha512(bytes))]: bytes })
    assert.equal((await readManifest(reader, reader.root, { digest: sha512(bytes) }))?.digest, sha512(bytes))
  })

  it('may hold nothing at all', async () => {
    const reader = new MemoryReader({})
    assert.equal(await findManifest(reader, reader.root, { tag: 'latest' }), undefined)
    assert.equal(await findManifest(reader, reader.root, { digest: top }), undefined)
    assert.equal(await findBlob(reader, reader.root, layer), undefined)
  })

  it('that lies about a digest is refused', async () => {
    const reader = new MemoryReader({ [`manifests/${top}`]: imageManifest() })
    await assert.rejects(readManifest(reader, reader.root, { digest: top }), { code: 'DIGEST_INVALID' })
  })

  it('whose manifest is none, or too large, is refused', async () => {
    for (const bytes of [Buffer.from('<html>'), encode({}), Buffer.alloc(maxManifestBytes + 1, ' ')]) {
      const reader = new MemoryReader({ 'manifests/latest': bytes })
      await assert.rejects(readManifest(reader, reader.root, { tag: 'latest' }), { code: 'MANIFEST_INVALID' })
    }
  })

  it('does not read a large file to see whether it is a manifest', async () => {
    const reader = new MemoryReader({ 'manifests/latest': Buffer.alloc(maxManifestBytes + 1) })
    assert.equal(await findManifest(reader, reader.root, { digest: top }), undefined)
    assert.deepEqual(reader.reads, [])
  })
})
