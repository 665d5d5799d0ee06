import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import type { Page } from '../../../src/oci/pagination.ts'
import { takePage } from '../../../src/registry/listing.ts'

function source(items: readonly number[]): (page: Page) => AsyncIterable<number> {
  return async function* ({ limit, last }) {
    yield* items.filter(item => item > Number(last ?? -1)).slice(0, limit)
  }
}

describe('pages', () => {
  it('lead from one to the next until the end, and leave nothing out', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.nat(30),
        fc.integer({ min: 1, max: 12 }),
        fc.option(fc.integer({ min: 1, max: 40 }), { nil: undefined }),
        async (count, limit, maxBytes) => {
          const items = Array.from({ length: count }, (_, i) => i)
          const options = maxBytes === undefined ? undefined : { maxBytes, bytes: (item: number) => item }
          const found: number[] = []
          for (let last: string | undefined; ; ) {
            const page = await takePage({ limit, last }, source(items), options)
            found.push(...page.items)
            assert.ok(page.items.length <= limit)
            assert.ok(
              page.items.length === 1 ||
                maxBytes === undefined ||
                page.items.reduce((sum, item) => sum + item, 0) <= maxBytes,
            )
            if (!page.more) {
              break
            }
            assert.ok(page.items.length > 0)
            last = String(page.items.at(-1))
          }
          assert.deepEqual(found, items)
        },
      ),
    )
  })

  it('of nothing ask for nothing', async () => {
    assert.deepEqual(await takePage({ limit: 0, last: undefined }, () => assert.fail('asked')), {
      items: [],
      more: false,
    })
  })

  it('end the listing early', async () => {
    let ended = false
    await takePage({ limit: 2, last: undefined }, async function* () {
      try {
        yield* [1, 2, 3, 4]
      } finally {
        ended = true
      }
    })
    assert.ok(ended)
  })
})
