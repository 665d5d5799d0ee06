import { trusted } from '../../../../src/access/caller.ts'
import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { unixfs } from '@helia/unixfs'
import { CID } from 'multiformats/cid'
import { addImageRoot } from '../../../../src/registry/image/image-root.ts'
import { bytesOnDisk } from '../../../fixtures/bytes-on-disk.ts'
import { makeImage, makeMultiPlatformImage, randomBytes, sha256, type Image } from '../../../fixtures/images.ts'
import {
  descriptorOf,
  emptyJson,
  foreignLayer,
  imageIndex,
  imageManifest,
  ociEmpty,
  ociIndex,
  ociManifest,
  sha512,
} from '../../../fixtures/manifests.ts'
import { TestRegistry, readAll } from '../../../fixtures/registry.ts'

const amd64 = makeImage([{ hello: randomBytes(1_200_000, 'amd64') }, { other: Buffer.from('other') }])
const arm64 = makeImage([{ hello: randomBytes(3000, 'arm64') }], { architecture: 'arm64', os: 'linux' })
const multi = makeMultiPlatformImage(
  new Map([
    ['amd64', amd64],
    ['arm64', arm64],
  ]),
)

let stores: TestRegistry

beforeEach(async () => {
  stores = await TestRegistry.open()
})
afterEach(async () => {
  await stores[Symbol.asyncDispose]()
})

function isManifest(bytes: Buffer): boolean {
  return bytes.includes('schemaVersion')
}

/** Pushes blobs, then manifests from the leaves up, and returns the image root */
async function push(
  to: TestRegistry,
  repository: string,
  reference: string,
  image: Image,
  order = (entries: Array<[string, Buffer]>) => entries,
): Promise<string> {
  for (const [digest, bytes] of order([...image.content].filter(([, bytes]) => !isManifest(bytes)))) {
    await to.pushBlob(repository, bytes, digest as `sha256:${string}`)
  }
  for (const [digest, bytes] of order(
    [...image.content].filter(([digest, bytes]) => isManifest(bytes) && digest !== image.descriptor.digest),
  )) {
    await to.pushManifest(repository, digest, bytes)
  }
  return (
    await to.pushManifest(
      repository,
      reference,
      image.content.get(image.descriptor.digest)!,
      image.descriptor.mediaType,
    )
  ).root
}

/** Every file below a root: its path and its bytes, as any other UnixFS reader sees them */
async function walk(root: string, to = stores): Promise<Map<string, Buffer>> {
  const fs = unixfs({ blockstore: to.blockstore })
  const files = new Map<string, Buffer>()
  const visit = async (cid: CID, path: string): Promise<void> => {
    for await (const { name, cid: child } of fs.ls(cid)) {
      if ((await fs.stat(child)).type === 'directory') {
        await visit(child, `${path}${name}/`)
      } else {
        files.set(`${path}${name}`, await readAll(fs.cat(child)))
      }
    }
  }
  await visit(CID.parse(root), '')
  return files
}

/** What a root holds for this image, by path */
function layoutOf(image: Image): Map<string, Buffer> {
  const { digest, mediaType, size } = image.descriptor
  const top = image.content.get(digest)!
  const files = new Map([
    ['oci-layout', Buffer.from('{"imageLayoutVersion":"1.0.0"}')],
    [
      'index.json',
      Buffer.from(
        JSON.stringify({
          schemaVersion: 2,
          mediaType: ociIndex,
          manifests: [{ mediaType, digest, size, annotations: { 'org.opencontainers.image.ref.name': 'latest' } }],
        }),
      ),
    ],
    ['manifests/latest', top],
  ])
  for (const [digest, bytes] of image.content) {
    files.set(`blobs/${digest}`, bytes).set(`blobs/${digest.replace(':', '/')}`, bytes)
    if (isManifest(bytes)) {
      files.set(`manifests/${digest}`, bytes)
    }
  }
  return files
}

function assertFiles(actual: Map<string, Buffer>, expected: Map<string, Buffer>): void {
  assert.deepEqual([...actual.keys()].sort(), [...expected.keys()].sort())
  for (const [path, bytes] of expected) {
    assert.ok(actual.get(path)!.equals(bytes), path)
  }
}

describe('the image root', () => {
  it('of an image is a layout that any UnixFS reader can walk', async () => {
    assertFiles(await walk(await push(stores, 'r', 'latest', amd64)), layoutOf(amd64))
  })

  it('of an index holds everything below it', async () => {
    assertFiles(await walk(await push(stores, 'r', 'latest', multi)), layoutOf(multi))
  })

  it('depends on the manifest alone: not on repository, tag, order or machine', async () => {
    await using other = await TestRegistry.open()
    const root = await push(stores, 'r', 'latest', multi)
    assert.equal(await push(other, 'some/other', 'v1', multi, entries => entries.toReversed()), root)
    assert.equal(await push(stores, 's', multi.descriptor.digest, multi), root)
    assert.equal(await push(stores, 'r', 'again', multi), root)
    assert.notEqual(await push(stores, 'r', 'latest', amd64), root)
    assert.deepEqual(await walk(root, other), await walk(root))
  })

  it('has links whose sizes add up', async () => {
    const root = await push(stores, 'r', 'latest', amd64)
    const stat = await unixfs({ blockstore: stores.blockstore }).stat(CID.parse(root), { extended: true })
    const unique = await bytesOnDisk(stores.blocks)
    assert.ok(stat.dagSize > unique, 'every blob is linked twice')
    const record = (await stores.index.manifest('r', amd64.descriptor.digest))!
    assert.equal(record.root, root)
    assert.deepEqual(
      [...record.blobs].sort(),
      [...amd64.content.keys()].filter(digest => digest !== amd64.descriptor.digest).sort(),
    )
  })

  it('leaves out what a sparse index has not', async () => {
    for (const [digest, bytes] of amd64.content) {
      await (isManifest(bytes) ? stores.pushManifest('r', digest, bytes) : stores.pushBlob('r', bytes, digest))
    }
    const { root } = await stores.pushManifest('r', 'sparse', multi.content.get(multi.descriptor.digest)!, ociIndex)
    const files = await walk(root)
    const expected = layoutOf({
      descriptor: multi.descriptor,
      content: new Map([...amd64.content, [multi.descriptor.digest, multi.content.get(multi.descriptor.digest)!]]),
    })
    assertFiles(files, expected)
  })

  it('takes children from the same repository only', async () => {
    await push(stores, 'elsewhere', 'latest', amd64)
    const { root } = await stores.pushManifest('r', 'sparse', imageIndex([amd64.descriptor]), ociIndex)
    assert.ok(!(await walk(root)).has(`manifests/${amd64.descriptor.digest}`))
  })

  it('holds indexes below indexes, each manifest once', async () => {
    const inner = imageIndex([amd64.descriptor])
    const outer = imageIndex([descriptorOf(inner, ociIndex), amd64.descriptor, amd64.descriptor])
    await push(stores, 'r', 'latest', amd64)
    await stores.pushManifest('r', sha256(inner), inner, ociIndex)
    const { root } = await stores.pushManifest('r', 'outer', outer, ociIndex)
    const descriptor = { ...descriptorOf(outer, ociIndex), digest: sha256(outer) }
    assertFiles(
      await walk(root),
      layoutOf({ descriptor, content: new Map([...amd64.content, [sha256(inner), inner], [sha256(outer), outer]]) }),
    )
  })

  it('keeps digests of other algorithms apart', async () => {
    const layer = Buffer.from('layer')
    await stores.pushEmptyConfig('r')
    await stores.pushBlob('r', layer, sha512(layer))
    const manifest = imageManifest({ layers: [{ ...descriptorOf(layer), digest: sha512(layer) }] })
    const files = await walk((await stores.pushManifest('r', sha512(manifest), manifest)).root)
    const [layerHex, manifestHex] = [layer, manifest].map(bytes => sha512(bytes).slice('sha512:'.length))
    assert.deepEqual(
      [...files.keys()].sort(),
      [
        `blobs/sha256/${sha256(emptyJson).slice(7)}`,
        `blobs/${sha256(emptyJson)}`,
        `blobs/sha512/${layerHex}`,
        `blobs/sha512:${layerHex}`,
        `blobs/sha512/${manifestHex}`,
        `blobs/sha512:${manifestHex}`,
        'index.json',
        'manifests/latest',
        `manifests/sha512:${manifestHex}`,
        'oci-layout',
      ].sort(),
    )
    assert.ok(files.get(`blobs/sha512/${layerHex}`)!.equals(layer))
  })

  it('holds a foreign layer only where it happens to be there', async () => {
    const layer = { ...descriptorOf(Buffer.from('foreign'), foreignLayer), urls: ['https://example.org'] }
    const manifest = imageManifest({ layers: [layer] })
    await stores.pushEmptyConfig('r')
    const without = await walk((await stores.pushManifest('r', 'latest', manifest)).root)
    assert.ok(!without.has(`blobs/${layer.digest}`))
    await stores.pushBlob('r', Buffer.from('foreign'))
    const later = await walk((await stores.pushManifest('r', 'latest', manifest)).root)
    assert.ok(later.has(`blobs/${layer.digest}`))
  })

  it('of the first layout names nothing in index.json, and is made the same', async () => {
    await stores.pushEmptyConfig('r')
    const manifest = imageManifest({})
    const { digest } = await stores.pushManifest('r', 'latest', manifest)
    const record = { digest, ...(await stores.index.manifest('r', digest))! }
    assert.equal(await addImageRoot(stores, 'r', record), record.root)
    const first = await addImageRoot(stores, 'r', record, 1)
    const { manifests } = JSON.parse((await walk(first)).get('index.json')!.toString())
    assert.deepEqual(manifests, [{ mediaType: ociManifest, digest, size: manifest.byteLength }])
    assert.equal((await (await stores.registry.repository(first, trusted)).manifest({ tag: 'latest' })).digest, digest)
  })

  it('of an artifact without layers is whole too', async () => {
    await stores.pushEmptyConfig('r')
    const manifest = imageManifest({ artifactType: 'a/b' })
    const image = {
      descriptor: descriptorOf(manifest, ociManifest),
      content: new Map([
        [sha256(manifest), manifest],
        [descriptorOf(emptyJson, ociEmpty).digest, emptyJson],
      ]),
    }
    assertFiles(await walk((await stores.pushManifest('r', 'latest', manifest)).root), layoutOf(image))
  })
})
