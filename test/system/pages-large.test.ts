/** The pages of a registry with 1,000 repositories and 100,000 tags, beside those of a small one */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { sha256 } from '../fixtures/images.ts'
import { emptyJson, imageManifest, ociManifest } from '../fixtures/manifests.ts'
import { PageVisitor } from '../fixtures/page-visitor.ts'
import { percentile } from '../fixtures/percentile.ts'
import { ServerProcess } from '../fixtures/server.ts'

/** How much longer a large registry may take */
const maxRatio = 1.5
const rounds = 7

interface Times {
  /** Milliseconds until something is painted */
  paint: number
  /** Until the list is there */
  list: number
  /** From the last key of a search to its answer */
  search: number
}

describe('the pages', { timeout: 300_000 }, () => {
  const resources = new AsyncDisposableStack()
  let small: ServerProcess
  let large: ServerProcess
  before(async () => {
    const env = { IPDR_STORAGE_FSYNC: 'false' }
    small = resources.use(await ServerProcess.start({ env }))
    large = resources.use(await ServerProcess.start({ env }))
    await fill(small.url, 10, 10)
    await fill(large.url, 1000, 100)
  })
  after(async () => {
    await resources.disposeAsync()
  })

  it('paint, list and search about as fast with 100,000 tags as with 100', async t => {
    const times: Record<'small' | 'large', Times[]> = { small: [], large: [] }
    // once before it counts: the names are read then, and the files of the pages
    await look(small.url)
    await look(large.url)
    for (let i = 0; i < rounds; i++) {
      times.small.push(await look(small.url))
      times.large.push(await look(large.url))
    }
    for (const what of ['paint', 'list', 'search'] as const) {
      const medianOf = (size: 'small' | 'large'): number =>
        percentile(
          times[size].map(item => item[what]),
          0.5,
        )
      const [few, many] = [medianOf('small'), medianOf('large')]
      t.diagnostic(`${what}: ${few.toFixed(0)} ms with 100 tags, ${many.toFixed(0)} ms with 100,000`)
      assert.ok(many <= few * maxRatio, `${what}: ${many} ms instead of ${few}`)
    }
  })
})

async function look(url: string): Promise<Times> {
  await using visitor = await PageVisitor.open(url)
  const { page } = visitor
  await page
    .getByRole('link', { name: /^repository-\d+$/ })
    .first()
    .waitFor()
  const [paint, list] = (await page.evaluate(`[
    performance.getEntriesByName('first-contentful-paint')[0].startTime,
    performance.getEntriesByType('resource').find(({ name }) => name.includes('/repositories?')).responseEnd,
  ]`)) as [number, number]
  const began = performance.now()
  await page.getByRole('searchbox').fill('tag-7')
  await page.getByRole('status').filter({ hasText: 'found' }).waitFor()
  const search = performance.now() - began
  assert.deepEqual(visitor.problems, [])
  return { paint, list, search }
}

/** Each repository with one image, which has all tags */
async function fill(url: string, repositories: number, tags: number): Promise<void> {
  const manifest = imageManifest()
  const names = Array.from({ length: tags }, (_, i) => `tag=tag-${i}`).join('&')
  for (let i = 0; i < repositories; i++) {
    const name = `repository-${i}`
    const blob = await fetch(`${url}/v2/${name}/blobs/uploads/?digest=${sha256(emptyJson)}`, {
      method: 'POST',
      body: emptyJson,
    })
    const image = await fetch(`${url}/v2/${name}/manifests/${sha256(manifest)}?${names}`, {
      method: 'PUT',
      body: manifest,
      headers: { 'Content-Type': ociManifest },
    })
    assert.deepEqual([blob.status, image.status], [201, 201])
  }
}
