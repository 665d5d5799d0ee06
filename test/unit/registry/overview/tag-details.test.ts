import assert from 'node:assert/strict'
import { it } from 'node:test'
import { tagDetails } from '../../../../src/registry/overview/tag-details.ts'
import { sha256 } from '../../../fixtures/images.ts'

type Records = Parameters<typeof tagDetails>[0]

it('a list of images whose records are all in memory lets others have their turn', async () => {
  const updated = new Date(0).toISOString()
  const index: Records = {
    async *tags() {
      for (let i = 0; i < 2000; i++) {
        yield { tag: `t${i}`, record: { digest: sha256(Buffer.from(`${i}`)), updated } }
      }
    },
    manifest: async (_repository, digest) => ({
      cid: 'cid',
      root: 'root',
      mediaType: 'type',
      size: 1,
      dagSize: 1,
      blobs: Array.from({ length: 50 }, (_, i) => `${digest.slice(0, -2)}${i + 10}` as typeof digest),
      manifests: [],
      updated,
    }),
    blob: async () => ({ cid: 'cid', size: 1, dagSize: 1 }),
  }
  let turns = 0
  const timer = setInterval(() => turns++, 1)
  try {
    const page = { limit: 10_000, last: undefined }
    const found = await tagDetails(index, { repository: 'r', page, isWanted: () => true }, new AbortController().signal)
    assert.equal(found.size, 2000)
    assert.equal(found.get('t0')!.size, 51)
  } finally {
    clearInterval(timer)
  }
  assert.ok(turns > 2, `${turns} turns`)
})
