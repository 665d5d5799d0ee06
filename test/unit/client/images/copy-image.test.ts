import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { copyImage } from '../../../../src/client/images/copy-image.ts'
import type { Digest } from '../../../../src/oci/digest.ts'
import { makeImage, makeMultiPlatformImage, sha256, type Image } from '../../../fixtures/images.ts'
import { descriptorOf, foreignLayer, imageIndex, imageManifest, ociIndex } from '../../../fixtures/manifests.ts'
import { MemoryTarget, memorySource } from '../../../fixtures/memory-image.ts'

const amd64 = makeImage([{ a: Buffer.alloc(100_000, 'a') }, { b: Buffer.from('b') }])
const arm64 = makeImage([{ a: Buffer.from('arm') }], { architecture: 'arm64', os: 'linux' })
const multi = makeMultiPlatformImage(
  new Map([
    ['amd64', amd64],
    ['arm64', arm64],
  ]),
)

function indexImage(manifest: Buffer, content: ReadonlyMap<Digest, Buffer>): Image {
  return { descriptor: descriptorOf(manifest, ociIndex), content: new Map([...content, [sha256(manifest), manifest]]) }
}

/** With other bytes under one of its digests */
function damaged(image: Image, digest: Digest, bytes: Buffer): Image {
  return { ...image, content: new Map([...image.content, [digest, bytes]]) }
}

describe('a copy of an image', () => {
  it('has everything of it, byte for byte', async () => {
    const target = new MemoryTarget()
    assert.deepEqual(await copyImage(memorySource(multi), target), { missing: [] })
    assert.deepEqual([...target.content].sort(), [...multi.content].sort())
  })

  it('has manifests after what they name, and the top last', async () => {
    const target = new MemoryTarget()
    await copyImage(memorySource(multi), target)
    assert.deepEqual(
      target.manifests.map(({ top }) => top),
      [false, false, false, true],
    )
    const order = [...target.content.keys()]
    for (const { digest, manifest } of target.manifests) {
      assert.ok(
        [...manifest.blobs, ...manifest.manifests].every(below => order.indexOf(below.digest) < order.indexOf(digest)),
      )
    }
  })

  it('leaves out what is there already', async () => {
    const target = new MemoryTarget()
    amd64.content.keys().forEach(digest => target.has.add(digest))
    const seen: boolean[] = []
    await copyImage(memorySource(amd64), target, {
      progress: {
        blob: (_, exists) => {
          seen.push(exists)
        },
        bytes: () => assert.fail('nothing is sent'),
      },
    })
    assert.deepEqual(seen, [true, true, true])
    assert.deepEqual([...target.content.keys()], [amd64.descriptor.digest])
  })

  it('counts the bytes', async () => {
    let bytes = 0
    await copyImage(memorySource(amd64), new MemoryTarget(), {
      progress: {
        bytes: count => {
          bytes += count
        },
      },
    })
    assert.equal(
      bytes,
      [...amd64.content]
        .filter(([digest]) => digest !== amd64.descriptor.digest)
        .reduce((total, [, { length }]) => total + length, 0),
    )
  })

  it('says which manifests of an index are not there', async () => {
    const sparse = { ...multi, content: new Map(multi.content) }
    sparse.content.delete(arm64.descriptor.digest)
    const target = new MemoryTarget()
    const { missing } = await copyImage(memorySource(sparse), target)
    assert.deepEqual(
      missing.map(({ digest }) => digest),
      [arm64.descriptor.digest],
    )
    assert.equal(target.manifests.length, 3)
  })

  it('takes blobs that an index names, and no foreign layers', async () => {
    const blob = Buffer.from('cache')
    const image = imageManifest({
      config: descriptorOf(blob),
      layers: [{ ...descriptorOf(Buffer.from('far'), foreignLayer), urls: ['https://example.org'] }],
    })
    const index = imageIndex([
      descriptorOf(blob),
      { ...descriptorOf(image), mediaType: 'application/vnd.oci.image.manifest.v1+json' },
    ])
    const target = new MemoryTarget()
    await copyImage(
      memorySource(
        indexImage(
          index,
          new Map([
            [sha256(blob), blob],
            [sha256(image), image],
          ]),
        ),
      ),
      target,
    )
    assert.deepEqual([...target.content.keys()].sort(), [sha256(blob), sha256(image), sha256(index)].sort())
  })

  const [layer] = [...amd64.content].find(([, bytes]) => bytes.length > 100 && bytes[0] === 0x1f)!
  const bytes = amd64.content.get(layer)!
  for (const [what, source, error] of [
    ['a blob of other bytes', damaged(amd64, layer, Buffer.alloc(bytes.length)), /is damaged/],
    ['a blob that is too short', damaged(amd64, layer, bytes.subarray(1)), /1 bytes less came/],
    ['a blob that is too long', damaged(amd64, layer, Buffer.concat([bytes, bytes])), /more came than/],
    ['a manifest of other bytes', damaged(multi, arm64.descriptor.digest, Buffer.from('{}')), /is damaged/],
    ['a top manifest of other bytes', damaged(multi, multi.descriptor.digest, Buffer.from('{}')), /is damaged/],
  ] as const) {
    it(`does not come to be from ${what}`, async () => {
      const target = new MemoryTarget()
      await assert.rejects(copyImage(memorySource(source), target), error)
      assert.ok(target.manifests.every(({ top }) => !top))
    })
  }

  it('does not go down for ever', async () => {
    let nested: Image = multi
    for (let i = 0; i < 10; i++) {
      const index = imageIndex([nested.descriptor])
      nested = indexImage(index, nested.content)
    }
    await assert.rejects(copyImage(memorySource(nested), new MemoryTarget()), /below more than 8 indexes/)
  })

  it('ends with the signal', async () => {
    const controller = new AbortController()
    const target = new MemoryTarget()
    const source = memorySource(amd64)
    const blob: typeof source.blob = async function* (descriptor, options) {
      controller.abort(new Error('stop'))
      yield* source.blob(descriptor, options)
    }
    await assert.rejects(copyImage({ ...source, blob }, target, { signal: controller.signal }), /stop/)
    assert.equal(target.manifests.length, 0)
  })
})
