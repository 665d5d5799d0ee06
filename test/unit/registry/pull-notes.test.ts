import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, it } from 'node:test'
import type { Digest } from '../../../src/oci/digest.ts'
import { PullNotes } from '../../../src/registry/pull-notes.ts'
import { sha256 } from '../../fixtures/images.ts'
import { imageManifest } from '../../fixtures/manifests.ts'
import { TestRegistry } from '../../fixtures/registry.ts'
import { until } from '../../fixtures/until.ts'

const manifest = imageManifest()
const digest = sha256(manifest)

let stores: TestRegistry
beforeEach(async () => {
  stores = await TestRegistry.open()
  await stores.pushEmptyConfig('a')
  await stores.pushManifest('a', 'v1', manifest)
})
afterEach(async () => {
  await stores[Symbol.asyncDispose]()
})

async function stored(repository = 'a'): Promise<Digest[]> {
  return (await Array.fromAsync(stores.index.pulled(repository))).map(pulled => pulled.digest)
}

describe('notes of pulls', () => {
  it('are in memory, and in the index at the stop and every few minutes', async () => {
    const notes = new PullNotes(stores)
    await notes.start()
    const before = Date.now()
    notes.note('a', digest)
    notes.note('a', digest)
    assert.deepEqual(await stored(), [])
    await notes.stop()
    const [pulled, ...others] = await Array.fromAsync(stores.index.pulled('a'))
    assert.deepEqual([pulled?.digest, others], [digest, []])
    assert.ok(Date.parse(pulled!.record.last) >= before)
    const often = new PullNotes(stores, { interval: 20 })
    await often.start()
    await stores.index.change().deleteManifest('a', digest).commit({ durable: false })
    assert.deepEqual(await stored(), [], 'nothing is known of what was deleted')
    await stores.pushManifest('a', 'v1', manifest)
    often.note('a', digest)
    await until('the note', async () => ((await stored()).length === 1 ? true : undefined))
    await often.stop()
  })

  it('tell when a manifest was last pulled, whether that is written or not', async () => {
    await stores.pulls.start()
    stores.pulls.note('a', digest)
    const [first] = (await stores.pulls.lastPulls('a')).values()
    assert.ok(Math.abs(first! - Date.now()) < 5000)
    stores.pulls.note('a', digest)
    assert.ok((await stores.pulls.lastPulls('a')).get(digest)! >= first!)
    assert.equal((await stores.pulls.lastPulls('a/b')).size, 0)
    await stores.pulls.stop()
  })

  it('are of manifests that are here alone', async () => {
    stores.pulls.note('a', sha256(Buffer.from('another')))
    stores.pulls.note('other', digest)
    await stores.pulls.write()
    assert.deepEqual([await stored(), await stored('other')], [[], []])
  })

  it('begin once, whatever starts later', async () => {
    await stores.pulls.start()
    const { since } = stores.pulls
    await stores.pulls.stop()
    await new Promise(resolve => setTimeout(resolve, 5))
    const later = new PullNotes(stores)
    assert.ok(later.since > since)
    await later.start()
    assert.equal(later.since, since)
    await later.stop()
  })

  it('wait for the next write where the index takes none', async () => {
    let isFull = true
    const index = {
      manifest: stores.index.manifest.bind(stores.index),
      pulled: stores.index.pulled.bind(stores.index),
      pulls: stores.index.pulls.bind(stores.index),
      change: () => {
        const change = stores.index.change()
        const commit = change.commit.bind(change)
        change.commit = async options => {
          if (isFull) {
            throw new Error('full')
          }
          await commit(options)
        }
        return change
      },
    }
    const notes = new PullNotes({ index, log: stores.log })
    notes.note('a', digest)
    assert.deepEqual([...(await notes.lastPulls('a')).keys()], [digest], 'known all the same')
    assert.deepEqual(await stored(), [])
    isFull = false
    await notes.write()
    assert.deepEqual(await stored(), [digest])
    assert.ok(stores.logged.some(({ message }) => message === 'pulls not noted'))
  })
})
