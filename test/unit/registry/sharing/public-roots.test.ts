import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Descriptor } from '../../../../src/oci/manifest/descriptor.ts'
import { PublicRoots } from '../../../../src/registry/sharing/public-roots.ts'
import { descriptorOf, imageManifest } from '../../../fixtures/manifests.ts'
import { TestRegistry } from '../../../fixtures/registry.ts'
import { until } from '../../../fixtures/until.ts'

test('images that become public are provided, and no others', async () => {
  await using stores = await TestRegistry.open({ missingBlobs: 'accept' })
  const bytes = Buffer.from('layer')
  const layer = descriptorOf(bytes)
  const push = async (repository: string): Promise<string> => {
    await stores.pushBlob(repository, bytes)
    const manifest = imageManifest({ layers: [layer], annotations: { repository } })
    return (await stores.pushManifest(repository, 'v1', manifest)).root
  }
  const roots = { a: await push('a'), b: await push('b'), c: await push('c'), d: await push('d') }
  const provided: string[] = []
  const blobs: Pick<Descriptor, 'digest' | 'size'>[] = []
  let open = new Set(['a'])
  const { index, log } = stores
  /** How many times all repositories were looked at */
  let passes = 0
  const publicRoots = new PublicRoots({
    index: {
      blob: async digest => await index.blob(digest),
      manifests: repository => index.manifests(repository),
      repositories: async function* (page) {
        yield* index.repositories(page)
        passes++
      },
    },
    log,
    audience: () => {
      const now = open
      return { everything: false, something: now.size > 0, mayPull: repository => now.has(repository) }
    },
    provider: { provide: root => provided.push(root), provideBlob: blob => blobs.push(blob) },
  })
  const change = (repositories: string[]): void => {
    open = new Set(repositories)
    publicRoots.rulesChanged()
  }
  await publicRoots.start()
  change(['a'])
  change(['a', 'b', 'c'])
  // rules that change before all repositories were looked at have what was provided looked at again
  await until('both are provided', () => provided.length === 2 && passes === 1)
  change(['c'])
  change(['c', 'd'])
  await until('the last is provided', () => provided.length === 3)
  await publicRoots.stop()
  assert.deepEqual(provided, [roots.b, roots.c, roots.d])
  assert.deepEqual(
    blobs.filter(({ digest }) => digest === layer.digest),
    Array(3).fill({ digest: layer.digest, size: bytes.byteLength }),
  )
})
