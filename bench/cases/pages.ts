import assert from 'node:assert/strict'
import { sha256 } from '../../test/fixtures/images.ts'
import { emptyJson, imageManifest, ociManifest } from '../../test/fixtures/manifests.ts'
import { PageVisitor } from '../../test/fixtures/page-visitor.ts'
import { ServerProcess } from '../../test/fixtures/server.ts'
import type { Case } from '../bench.ts'
import type { Sample } from '../measures.ts'

interface Times {
  /** Milliseconds until something is painted */
  paint: number
  /** Until the list is there */
  list: number
  /** From the last key of a search to its answer */
  search: number
}

export const pageTimes = ['paint', 'list', 'search'] as const

export function pageMeasure(what: (typeof pageTimes)[number]): string {
  return `pages: ${what} with 100,000 tags beside 100`
}

/** The pages of a registry with 1,000 repositories and 100,000 tags, in Chromium, beside those of a small one */
export const pages: Case = {
  name: 'pages',
  run: async bench => {
    const [repositories, tags] = bench.options.quick ? [100, 10] : [1000, 100]
    const env = { IPDR_STORAGE_FSYNC: 'false' }
    await using small = await ServerProcess.start({ env })
    await using large = await ServerProcess.start({ env })
    await fill(small.url, 10, 10)
    await fill(large.url, repositories, tags)
    // once before it counts: the names are read then, and the files of the pages
    await look(small.url)
    await look(large.url)
    await bench.inTurn([{ name: 'ipdr' }], async () => {
      const [few, many] = [await look(small.url), await look(large.url)]
      return pageTimes.map(
        (what): Sample => [
          { case: 'pages', name: pageMeasure(what), unit: 'times', better: 'lower' },
          many[what] / few[what],
        ],
      )
    })
  },
}

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
