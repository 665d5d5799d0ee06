import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Metrics } from '../../../../src/metrics.ts'
import { MirrorReview } from '../../../../src/registry/mirror/mirror-review.ts'
import { FakeUpstream } from '../../../fixtures/fake-upstream.ts'
import { UpstreamNotes } from '../../../../src/upstream/upstream-notes.ts'

const { signal } = new AbortController()
const index = {
  repositories: async function* () {},
  manifests: async function* () {},
  isLinked: async () => false,
  blob: async () => undefined,
}

describe('the review of upstreams', () => {
  it('counts what the metrics count, each upstream for itself', async () => {
    const metrics = new Metrics()
    const upstreams = new Map(['docker.io', 'up.test:5000'].map(name => [name, new FakeUpstream(name)]))
    metrics.mirrorRequests.inc({ upstream: 'docker.io', result: 'hit' }, 3)
    metrics.mirrorRequests.inc({ upstream: 'docker.io', result: 'miss' })
    metrics.mirrorBytes.inc({ upstream: 'docker.io', source: 'disk' }, 300)
    metrics.mirrorBytes.inc({ upstream: 'docker.io', source: 'upstream' }, 200)
    metrics.upstreamBytes.inc({ upstream: 'docker.io' }, 150)
    metrics.upstreamBytes.inc({ upstream: 'up.test:5000' }, 70)
    metrics.upstreamRequests.inc({ upstream: 'docker.io', status: '429' }, 2)
    const [hub, other] = await new MirrorReview({ index, metrics, upstreams }).upstreams(signal)
    assert.deepEqual(hub, {
      name: 'docker.io',
      prefix: 'docker.io/',
      hits: 3,
      misses: 1,
      served: { disk: 300, upstream: 200 },
      fetched: 150,
      saved: 350,
      requests: { 429: 2 },
      kept: { repositories: 0, manifests: 0, bytes: 0 },
    })
    assert.partialDeepStrictEqual(other, { prefix: 'up.test_5000/', hits: 0, fetched: 70, saved: 0 })
  })

  it('tells of the last error, of the rate limit and of a pause', () => {
    const notes = new UpstreamNotes()
    assert.equal(notes.state(0).answered, undefined)
    const headers = new Headers({ 'RateLimit-Limit': '100;w=21600', 'RateLimit-Remaining': '76;w=21600' })
    notes.answered({ headers, status: 200 })
    notes.answered({ headers: new Headers({ 'RateLimit-Remaining': 'many' }), status: 429 })
    notes.failed({ message: 'docker.io wants no more requests for 30 s', reason: 'throttled' })
    const { answered, failed, pausedUntil, rateLimit } = notes.state(30_000)
    assert.partialDeepStrictEqual(rateLimit, { limit: 100, remaining: 76, window: 21_600 })
    assert.equal(failed?.reason, 'throttled')
    assert.ok(answered !== undefined && Date.parse(pausedUntil!) > Date.now())
  })
})
