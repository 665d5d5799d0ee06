import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { describe, it } from 'node:test'
import type { LeafRange, LeafRun } from '../../../src/ipfs/digests/digest-messages.ts'
import { FetchNews } from '../../../src/registry/mirror/fetch/fetch-news.ts'

const hashes = [0, 1, 2, 3].map(leaf => createHash('sha256').update(String(leaf)).digest())

describe('what is told of a blob while it is fetched', () => {
  it('has leaves of peers with the next leaf of upstream, or after a moment', { timeout: 5000 }, async () => {
    let claims: LeafRange[] = []
    const news = new FetchNews({ claims: () => claims, hashOf: leaf => hashes[leaf] }, { size: 4 << 20 })
    const told = news
      .answer()
      .news({ signal: AbortSignal.timeout(4000) })
      [Symbol.asyncIterator]()
    const next = async (): Promise<number[]> => {
      const { value } = await told.next()
      const runs: LeafRun[] = value?.leaves ?? []
      return runs.flatMap(({ first, hashes }) => Array.from({ length: hashes.byteLength / 32 }, (_, i) => first + i))
    }
    assert.deepEqual(await next(), [])
    const began = performance.now()
    news.stored(3, hashes[3]!, { isElsewhere: true })
    news.stored(0, hashes[0]!)
    assert.deepEqual(await next(), [0, 3])
    assert.ok(performance.now() - began < 400)
    news.stored(1, hashes[1]!, { isElsewhere: true })
    news.changed()
    news.stored(2, hashes[2]!, { isElsewhere: true })
    assert.deepEqual(await next(), [1, 2])
    assert.ok(performance.now() - began >= 490)
    // whoever asks later is told of everything at once
    const late = news
      .answer()
      .news({ signal: AbortSignal.timeout(4000) })
      [Symbol.asyncIterator]()
    const all = await late.next()
    assert.equal((all.value?.leaves as LeafRun[] | undefined)?.[0]?.hashes.byteLength, 4 * 32)
    claims = [{ from: 0, to: 4 }]
    news.changed()
    assert.deepEqual((await told.next()).value?.claims, claims)
    await told.return?.()
    await late.return?.()
  })
})
