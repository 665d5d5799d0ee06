import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { sha256 } from '../fixtures/images.ts'
import { encode } from '../fixtures/manifests.ts'
import { compareImages } from '../../src/registry/overview/comparison.ts'
import { readConfig } from '../../src/registry/overview/content/image-config.ts'
import type { ImageContent } from '../../src/registry/overview/content/image-details.ts'

function imageWith(config: Record<string, unknown>, { layers = 0, annotations = {}, from = 0 } = {}): ImageContent {
  const mediaType = 'application/vnd.oci.image.manifest.v1+json'
  return {
    repository: 'app',
    digest: sha256(Buffer.from('image')),
    root: 'bafy',
    kind: 'image',
    mediaType,
    unread: undefined,
    manifest: {
      mediaType,
      kind: 'image',
      blobs: [],
      manifests: [],
      others: [],
      subject: undefined,
      artifactType: undefined,
      annotations,
    },
    layers: Array.from({ length: layers }, (_, i) => ({
      digest: sha256(Buffer.from(`layer ${from + i}`)),
      mediaType: 'x'.repeat(5000),
      size: 10,
    })),
    config: readConfig(encode({ config })),
  }
}

describe('a comparison of images that a stranger made', () => {
  it('counts all layers, and lists the first of them', () => {
    const { layers, sizes } = compareImages(imageWith({}, { layers: 1000 }), imageWith({}, { layers: 1000, from: 10 }))
    assert.deepEqual([layers.items.length, layers.total], [400, 1010])
    assert.deepEqual(sizes, { both: 9900, first: 100, second: 100 })
    assert.equal(layers.items[0]!.mediaType!.length, 2001)
  })

  it('compares annotations as a whole, and cuts what it shows', () => {
    const [a, b] = [`${'x'.repeat(5000)}a`, `${'x'.repeat(5000)}b`]
    const many = Object.fromEntries(Array.from({ length: 1000 }, (_, i) => [`name-${i}`, '']))
    const { annotations, isPartial } = compareImages(
      imageWith({}, { annotations: { long: a, ['__proto__']: 'x', ...many } }),
      imageWith({}, { annotations: { long: b } }),
    )
    assert.deepEqual([annotations.items.length, annotations.total, isPartial], [400, 1002, false])
    assert.deepEqual(annotations.items[0], {
      name: 'long',
      first: `${'x'.repeat(2000)}…`,
      second: `${'x'.repeat(2000)}…`,
    })
  })

  it('says where the config is too long to be compared as a whole', () => {
    const isPartial = (config: Record<string, unknown>): boolean =>
      compareImages(imageWith({}), imageWith(config)).isPartial
    const labels = Object.fromEntries(Array.from({ length: 201 }, (_, i) => [`name-${i}`, '']))
    assert.equal(isPartial({ Labels: labels }), true)
    assert.equal(isPartial({ Env: [`A=${'x'.repeat(2000)}`] }), true)
    assert.equal(isPartial({ Env: ['A=a…'], Labels: { a: 'b' }, Cmd: ['x'.repeat(1999)] }), false)
  })

  it('takes what has no such form for absent', () => {
    const odd = {
      Env: 'A=1',
      Labels: ['x'],
      Cmd: { a: 1 },
      Entrypoint: [1],
      User: 5,
      ExposedPorts: 'all',
      Volumes: null,
    }
    const { environment, labels, settings } = compareImages(imageWith({}), imageWith(odd))
    assert.deepEqual([environment.total, labels.total, settings.total], [0, 0, 0])
    const none = compareImages(
      { ...imageWith({}), config: undefined, manifest: undefined },
      imageWith({ Env: ['=', 'A'] }),
    )
    assert.deepEqual(none.environment.items, [
      { name: '', first: undefined, second: '' },
      { name: 'A', first: undefined, second: '' },
    ])
  })
})
