import assert from 'node:assert/strict'
import { it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Digest } from '../../../../src/oci/digest.ts'
import { everything } from '../../../../src/oci/pagination.ts'
import { sha256 } from '../../../fixtures/images.ts'
import { descriptorOf, imageManifest, ociManifest } from '../../../fixtures/manifests.ts'
import { readAll, TestRegistry } from '../../../fixtures/registry.ts'

const day = 24 * 60 * 60 * 1000
const layer = Buffer.from('layer')

class Crash extends Error {}

/** Everything that clients see of the repository */
async function seen(stores: TestRegistry, subject: Digest): Promise<unknown> {
  const { index } = stores
  const repository = stores.repository('app')
  const tags = (await Array.fromAsync(index.tags('app', everything))).map(
    ({ tag, record }) => `${tag}: ${record.digest}`,
  )
  const manifests = (await Array.fromAsync(index.manifests('app'))).map(
    ({ digest, record }) => `${digest} ${record.root}`,
  )
  const { items } = await repository.referrers(subject, everything)
  const blob = await repository.blob(sha256(layer)).then(
    async ({ read }) => String(await readAll(read())),
    (err: { code: string }) => err.code,
  )
  return { tags, manifests: manifests.sort(), referrers: items.map(({ digest }) => digest), blob }
}

/** After it, the repository serves no blob that only the history keeps */
async function collect(stores: TestRegistry): Promise<void> {
  // what was asked for a moment ago counts as needed
  await sleep(2)
  await stores.collector({ historyKeep: day }).collect()
}

it('an undo that is cut off at any step is done or not done, and can be done again', async () => {
  let left = Infinity
  const pause = async (): Promise<void> => {
    if (left-- <= 0) {
      throw new Crash()
    }
  }
  await using stores = await TestRegistry.open({ recent: 0, unreferenced: 0, history: {}, pause })
  await stores.pushEmptyConfig('app')
  await stores.pushBlob('app', layer)
  const image = imageManifest({ layers: [descriptorOf(layer)] })
  const { digest } = await stores.pushManifest('app', 'v1', image)
  const signature = imageManifest({ subject: descriptorOf(image, ociManifest) })
  await stores.pushManifest('app', sha256(signature), signature)
  const undone = await seen(stores, digest)
  const to = await stores.index.history.last()
  await stores.repository('app').deleteManifest({ digest: sha256(signature) })
  await stores.repository('app').deleteManifest({ digest })
  await stores.pushManifest('app', 'v2', imageManifest({ annotations: { other: 'yes' } }))
  await collect(stores)
  const before = await seen(stores, digest)
  const back = await stores.index.history.last()

  const outcomes: string[] = []
  for (let step = 0; outcomes.at(-1) !== 'ended'; step++) {
    left = step
    const end = await stores.undo.undo({ repository: 'app', to }).catch((err: unknown) => err)
    left = Infinity
    assert.ok(!(end instanceof Error) || end instanceof Crash, String(end))
    await stores.reopen()
    const now = await seen(stores, digest)
    const isUndone = (await stores.index.tag('app', 'v1')) !== undefined
    assert.deepEqual(now, isUndone ? undone : before, `step ${step}`)
    outcomes.push(end instanceof Crash ? (isUndone ? 'undone' : 'not undone') : 'ended')

    // where it was not done, the next one does it
    if (isUndone) {
      await stores.undo.undo({ repository: 'app', to: back })
      await collect(stores)
      assert.deepEqual(await seen(stores, digest), before, `step ${step}, and back`)
    }
  }
  const order = [...new Set(outcomes)]
  assert.deepEqual(order, ['not undone', 'undone', 'ended'], outcomes.join(', '))
  assert.ok(outcomes.length > 10, `${outcomes.length} steps`)
})
