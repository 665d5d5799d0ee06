import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Caller } from '../../../../src/access/caller.ts'
import { BlockAccess } from '../../../../src/registry/sharing/block-access.ts'
import { ImagesByRoot } from '../../../../src/registry/repositories/images-by-root.ts'
import { VerifiedFiles } from '../../../../src/registry/image/verified-files.ts'
import { basic, TestAccess } from '../../../fixtures/access.ts'
import { imageManifest } from '../../../fixtures/manifests.ts'
import { TestRegistry } from '../../../fixtures/registry.ts'

const samples = 60
const rules = `
rules:
  - { who: [anonymous], repositories: ['public/**'], actions: [pull] }
  - { who: ['user:reader'], repositories: ['team/**'], actions: [pull] }
`
const unknown = 'bafybeihntvt5jkdp32qt36ooilcjgmln3c2jxnov4brhzpuke35dtmwa5m'

function median(values: number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!
}

test('a refusal takes as long for what is here as for what is not', async t => {
  await using stores = await TestRegistry.open({ missingBlobs: 'accept' })
  const access = new TestAccess({ log: stores.log })
  await access.start({ rules, users: { reader: 'reader-pw' } })
  const manifest = imageManifest()
  // a look-up takes longer the more repositories have it
  const roots = await Promise.all(
    Array.from({ length: 20 }, async (_, i) => (await stores.pushManifest(`team/app${i}`, 'v1', manifest)).root),
  )
  const images = new ImagesByRoot({
    ...{ cached: stores.cached, content: stores.content, index: stores.index, reader: stores.content },
    blockAccess: new BlockAccess(stores),
    names: { resolve: async () => assert.fail('no name is resolved') },
    verified: new VerifiedFiles(),
  })
  const callerOf = async (headers: { Authorization?: string }): Promise<Caller> =>
    await access.access.caller({
      authorization: headers.Authorization,
      address: undefined,
      challenge: () => ({}),
    })
  const stranger = await callerOf({})
  const times = { there: [] as number[], missing: [] as number[] }
  for (let i = 0; i < samples; i++) {
    for (const [kind, cid] of [
      ['there', roots[0]!],
      ['missing', unknown],
    ] as const) {
      const began = performance.now()
      await assert.rejects(images.repository(cid, { cid }, stranger), { code: 'UNAUTHORIZED' })
      times[kind].push(performance.now() - began)
    }
  }
  const [there, missing] = [median(times.there), median(times.missing)]
  t.diagnostic(`${there.toFixed(2)} ms where it is here, ${missing.toFixed(2)} ms where it is not`)
  assert.ok(Math.min(...times.there, ...times.missing) >= 9)
  assert.ok(Math.abs(there - missing) < 2, `${there} ms, ${missing} ms`)
  const image = await images.repository(roots[0]!, { cid: roots[0]! }, await callerOf(basic('reader', 'reader-pw')))
  assert.equal((await image.manifest({ tag: 'latest' })).size, manifest.byteLength)
})
