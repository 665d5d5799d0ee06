/** What two images have in common, for the pages */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { basic } from '../fixtures/access.ts'
import { json, TestApp } from '../fixtures/app.ts'
import { sha256 } from '../fixtures/images.ts'
import {
  descriptorOf,
  encode,
  imageIndex,
  imageManifest,
  ociConfig,
  ociIndex,
  ociManifest,
} from '../fixtures/manifests.ts'
import type { ImageDetails } from '../../src/registry/overview/content/image-details.ts'
import type { Comparison } from '../../src/registry/overview/comparison.ts'

const rules = `
rules:
  - { who: ['user:alice'], repositories: ['team/**'], actions: [pull], tags: ['v*'] }
  - { who: ['user:alice'], repositories: ['other/**'], actions: [pull] }
  - { who: ['user:alice', 'user:bob'], repositories: ['solo/**'], actions: [pull] }
`
const users = { alice: 'of alice', bob: 'of bob' }
const alice = basic('alice', users.alice)
const layerType = 'application/vnd.oci.image.layer.v1.tar'
const base = Buffer.from('a base')
const [app1, app2] = [Buffer.from('an app'), Buffer.from('an app of version 2')]

function configOf(config: Record<string, unknown>, commands: string[]): Buffer {
  const history = [...commands.map(command => ({ created_by: command })), { created_by: 'CMD', empty_layer: true }]
  return encode({ os: 'linux', architecture: 'amd64', config, history })
}

const config1 = configOf({ Env: ['A=1', 'B=2', 'C='], Cmd: ['/app'], User: 'app', Labels: { x: 'y', z: 'z' } }, [
  'ADD',
  'COPY 1',
])
const config2 = configOf(
  {
    Env: ['A=1', 'B=3', 'D'],
    Entrypoint: ['/app', 'a b'],
    User: 'root',
    ExposedPorts: { '80/tcp': {} },
    Labels: { x: '<b>y</b>' },
  },
  ['ADD', 'COPY 2'],
)

function imageOf(config: Buffer, layers: Buffer[], annotations: Record<string, string> = {}): Buffer {
  const descriptors = layers.map(layer => descriptorOf(layer, layerType))
  return imageManifest({ config: descriptorOf(config, ociConfig), layers: descriptors, annotations })
}

describe('a comparison of two images', () => {
  const [v1, v2] = [
    imageOf(config1, [base, app1], { a: '1', b: '1' }),
    imageOf(config2, [base, app2, base], { a: '1', c: 'x'.repeat(3000) }),
  ]
  const variant = (image: Buffer, architecture: string): Record<string, unknown> & ReturnType<typeof descriptorOf> => ({
    ...descriptorOf(image, ociManifest),
    platform: { os: 'linux', architecture },
  })
  const index3 = imageIndex([variant(v1, 'amd64'), variant(v1, 'arm64')])
  const index4 = imageIndex([variant(v1, 'amd64'), variant(v2, 'riscv64')])
  let app: TestApp

  before(async () => {
    app = await TestApp.start({ access: {} })
    for (const repository of ['team/app', 'other/app', 'secret/app', 'solo/app']) {
      await app.pushEmptyConfig(repository)
      for (const blob of [config1, config2, base, app1, app2]) {
        await app.pushBlob(repository, blob)
      }
      await app.pushManifest(repository, 'v1', v1)
      await app.pushManifest(repository, 'v2', v2)
      if (repository === 'solo/app') {
        continue
      }
      await app.pushManifest(repository, 'edge', v2)
      await app.pushManifest(repository, 'v3', index3, ociIndex)
      await app.pushManifest(repository, 'v4', index4, ociIndex)
    }
    app.access.change({ rules, users })
  })
  after(async () => {
    await app[Symbol.asyncDispose]()
  })

  async function compare(reference: string, other: string, repository = 'team/app'): Promise<Comparison> {
    const query = new URLSearchParams({ repository, reference, with: other })
    const reply = await app.get(`/ui/api/compare?${query}`, alice)
    assert.equal(reply.status, 200, String(reply.body))
    return json(reply) as Comparison
  }

  it('tells which layers are in both, by which commands, and how large they are', async () => {
    const { first, layers, second, sizes } = await compare('v1', 'v2')
    assert.deepEqual([first.digest, second.digest], [sha256(v1), sha256(v2)])
    assert.deepEqual(
      layers.items.map(layer => [layer.digest, layer.size, layer.in]),
      [
        [sha256(base), base.byteLength, 'both'],
        [sha256(app1), app1.byteLength, 'first'],
        [sha256(app2), app2.byteLength, 'second'],
      ],
    )
    // the second image has more layers than steps
    assert.deepEqual(
      layers.items.map(({ command }) => command),
      ['ADD', 'COPY 1', undefined],
    )
    assert.deepEqual(
      [layers.total, sizes],
      [3, { both: base.byteLength, first: app1.byteLength, second: app2.byteLength }],
    )
  })

  it('tells what differs in the config and the annotations, and how much is the same', async () => {
    const { annotations, environment, isPartial, labels, platforms, settings } = await compare('v1', 'v2')
    assert.deepEqual(environment, {
      items: [
        { name: 'B', first: '2', second: '3' },
        { name: 'C', first: '' },
        { name: 'D', second: '' },
      ],
      total: 3,
      same: 1,
    })
    assert.deepEqual(labels.items, [
      { name: 'x', first: 'y', second: '<b>y</b>' },
      { name: 'z', first: 'z' },
    ])
    assert.deepEqual(settings, {
      items: [
        { name: 'command', first: '["/app"]' },
        { name: 'user', first: 'app', second: 'root' },
        { name: 'entrypoint', second: '["/app","a b"]' },
        { name: 'ports', second: '80/tcp' },
      ],
      total: 4,
      same: 1,
    })
    assert.deepEqual(annotations.items, [
      { name: 'b', first: '1' },
      { name: 'c', second: `${'x'.repeat(2000)}…` },
    ])
    assert.deepEqual([platforms, isPartial], [{ items: [], total: 0, same: 0 }, false])
  })

  it('tells which platforms of two indexes differ', async () => {
    const { layers, platforms } = await compare('v3', 'v4')
    assert.deepEqual(platforms, {
      items: [
        { name: 'linux/arm64', first: sha256(v1) },
        { name: 'linux/riscv64', second: sha256(v2) },
      ],
      total: 2,
      same: 1,
    })
    assert.equal(layers.total, 0)
  })

  it('is of images of any two repositories, by tags or digests', async () => {
    for (const [reference, other] of [
      ['v1', sha256(v2)],
      [sha256(v1), 'v2'],
      [sha256(v1), 'team/app:v2'],
      ['v1', `other/app@${sha256(v2)}`],
    ] as const) {
      const { first, second } = await compare(reference, other, 'other/app')
      assert.deepEqual([first.digest, second.digest], [sha256(v1), sha256(v2)])
    }
    const { environment, layers, sizes } = await compare('v1', 'other/app:v1')
    assert.deepEqual([environment.total, layers.items.some(layer => layer.in !== 'both'), sizes.first], [0, false, 0])
  })

  it('is for who may pull both, and says to others what each image says to them', async () => {
    const status = async (
      reference: string,
      other: string,
      headers: Record<string, string> = alice,
    ): Promise<number> => {
      const query = new URLSearchParams({ repository: 'team/app', reference, with: other })
      return (await app.get(`/ui/api/compare?${query}`, headers)).status
    }
    for (const [reference, other, expected] of [
      ['v1', 'edge', 403],
      ['edge', 'v1', 403],
      ['v1', 'secret/app:v1', 403],
      ['v1', 'secret/none:v1', 403],
      // not even whether the other one is there
      ['v9', 'secret/app:v1', 403],
      ['v1', `secret/app@${sha256(v1)}`, 403],
      ['v1', 'v9', 404],
      ['v1', 'other/none:v1', 404],
      ['v1', '', 400],
      ['v1', 'sha256:0', 400],
      ['v1', '../app:v1', 400],
      ['v1', 'other/app:', 400],
      ['v1', `${'x'.repeat(5000)}:v1`, 400],
    ] as const) {
      assert.equal(await status(reference, other), expected, `${reference} ${other}`)
    }
    assert.equal(await status('v1', 'v2', {}), 401)
  })

  it('is beside the bytes that an image has of its own, among what the caller may pull', async () => {
    const ownSize = async (repository: string, reference: string, headers: Record<string, string>): Promise<unknown> =>
      (json(await app.get(`/ui/api/image?repository=${repository}&reference=${reference}`, headers)) as ImageDetails)
        .ownSize
    const bob = basic('bob', users.bob)
    const sizes = [v1, config1, app1].map(({ byteLength }) => byteLength)
    assert.equal(
      await ownSize('solo/app', 'v1', bob),
      sizes.reduce((sum, bytes) => sum + bytes, 0),
    )
    // she may pull the same blobs from other repositories
    assert.equal(await ownSize('solo/app', 'v1', alice), v1.byteLength)
    // two indexes have this image; it has a tag, too
    assert.equal(await ownSize('other/app', 'v1', alice), 0)
    assert.equal(await ownSize('other/app', 'v3', alice), index3.byteLength)
    // no other index has its second image, but a tag leads there
    assert.equal(await ownSize('other/app', 'v4', alice), index4.byteLength)
  })
})
