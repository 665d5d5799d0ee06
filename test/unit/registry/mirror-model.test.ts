import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { trusted } from '../../../src/access/caller.ts'
import { planFetch, type FetchPlanInput, type RunningJob } from '../../../src/registry/mirror/fetch/fetch-plan.ts'
import { FakeUpstream } from '../../fixtures/fake-upstream.ts'
import { sha256 } from '../../fixtures/images.ts'
import { addImage } from '../../fixtures/mirrored-image.ts'
import { Random } from '../../fixtures/random.ts'
import { readAll, TestRegistry } from '../../fixtures/registry.ts'
import { until } from '../../fixtures/until.ts'

const mebibyte = 1024 * 1024
const name = 'docker.io/library/alpine'

/** Has an upstream break off, refuse, be away, ignore ranges or lie, by chance */
function misbehave(upstream: FakeUpstream, random: Random, size: number): () => void {
  upstream.ignoresRanges = random.chance(0.2)
  upstream.chunkSize = random.pick([10_000, 64 * 1024, 3 * mebibyte])
  const liesAt = random.chance(0.3) ? random.below(size) : -1
  const [breaks, until] = [random.pick([0, 0.01, 0.1]), performance.now() + 3000]
  upstream.beforeChunk = async (_, signal) => {
    if (random.chance(0.2)) {
      await sleep(random.below(4), undefined, { signal })
    }
    if (performance.now() < until && random.chance(breaks)) {
      throw upstream.fail(random.pick(['unreachable', 'throttled', 'denied']))
    }
  }
  upstream.lie = (chunk, at) => {
    if (liesAt < at || liesAt >= at + chunk.byteLength) {
      return chunk
    }
    const wrong = Buffer.from(chunk)
    wrong[liesAt - at]! ^= 1
    return wrong
  }
  return () => {
    upstream.ignoresRanges = false
    upstream.beforeChunk = () => {}
    upstream.lie = chunk => chunk
    upstream.down = undefined
  }
}

async function runModel(seed: string): Promise<void> {
  const random = new Random(seed)
  const upstream = new FakeUpstream()
  const size = random.pick([0, 1, 100_000, mebibyte, 3 * mebibyte + 1, 13 * mebibyte])
  const layer = addImage(upstream, 'library/alpine', 'latest', [size], seed).layers[0]!
  await using stores = await TestRegistry.open({ upstreams: [upstream], mirror: { idleTime: 5 } })
  await (await stores.registry.repository(name, trusted)).manifest({ tag: 'latest' })
  const behave = misbehave(upstream, random, Math.max(1, size))
  const client = async (): Promise<void> => {
    await sleep(random.below(50))
    const isWhole = size === 0 || random.chance(0.6)
    const start = isWhole ? 0 : random.below(size)
    const end = isWhole ? size - 1 : start + random.below(size - start)
    const signal = random.chance(0.3) ? AbortSignal.timeout(random.below(100)) : undefined
    try {
      const repository = await stores.registry.repository(name, trusted)
      const blob = await repository.blob(sha256(layer), { signal })
      const bytes = await readAll(blob.read({ signal, ...(isWhole ? {} : { start, end }) }))
      // who gets a part of it while it comes compares it with the whole by himself
      if (isWhole) {
        assert.ok(bytes.equals(layer), `${seed}: wrong bytes`)
      } else {
        assert.equal(bytes.byteLength, end - start + 1, seed)
      }
    } catch (err) {
      const { name, code } = err as Error & { code?: string }
      assert.ok(name === 'OciError' || signal?.aborted === true, `${seed}: ${name} ${code} ${(err as Error).message}`)
    }
  }
  await Promise.all([
    ...Array.from({ length: 8 }, async () => await client()),
    (async () => {
      await sleep(random.below(60))
      upstream.down = random.chance(0.3) ? 'unreachable' : undefined
    })(),
  ])
  behave()
  // from now on everything is well: whatever happened before, the blob comes, and nothing half is left
  await until(`${seed}: the blob`, async () => {
    const blob = await (await stores.registry.repository(name, trusted)).blob(sha256(layer))
    return (await readAll(blob.read())).equals(layer)
  })
  await until(`${seed}: the link`, async () => await stores.index.isLinked(name, sha256(layer)))
  assert.deepEqual(await Array.fromAsync(stores.index.fetches()), [], seed)
  const report = await stores.fsck().run()
  assert.deepEqual([report.missing, report.damaged], [0, 0], seed)
}

describe('clients of a mirror', () => {
  it('get what is right or an error, whatever the upstream and the others do', { timeout: 120_000 }, async () => {
    for (let run = 0; run < 30; run++) {
      await runModel(`mirror ${run}`)
    }
  })
})

describe('the plan of a fetch', () => {
  const plan = (init: Partial<FetchPlanInput<RunningJob>> & { here?: number[]; covered?: number[] }): unknown => {
    const { here = [], covered = [], ...input } = init
    const jobs: RunningJob[] = []
    return planFetch({
      ...{ leafCount: 100, jobs, wanted: [], maxJobs: 3 },
      has: leaf => here.includes(leaf),
      isCovered: leaf => covered.includes(leaf),
      ...input,
    })
  }

  it('begins with the first leaf that is missing, up to one that is here', () => {
    assert.deepEqual(plan({}), { start: { from: 0, to: 100 } })
    assert.deepEqual(plan({ here: [0, 1, 5] }), { start: { from: 2, to: 5 } })
  })

  it('asks for a leaf that a client waits for unless it comes soon', () => {
    const jobs = [{ from: 0, next: 10, to: 100 }]
    assert.deepEqual(plan({ jobs, wanted: [12] }), {})
    assert.deepEqual(plan({ jobs, wanted: [12, 50] }), { start: { from: 50, to: 100 } })
    assert.deepEqual(plan({ jobs, wanted: [12], here: [11] }), { start: { from: 12, to: 100 } })
  })

  it('gives up a job that nobody needs for one that somebody does', () => {
    const jobs = [0, 30, 60].map(from => ({ from, next: from + 2, to: 100 }))
    assert.deepEqual(plan({ jobs, wanted: [2, 62, 90] }), { stop: jobs[1] })
    assert.deepEqual(plan({ jobs, wanted: [2, 32, 62, 90] }), {})
  })

  it('asks a source that ignores ranges for one leaf after the other', () => {
    assert.deepEqual(plan({ maxJobs: 1, wanted: [50], here: [0] }), { start: { from: 1, to: 100 } })
    assert.deepEqual(plan({ maxJobs: 1, wanted: [50], jobs: [{ from: 0, next: 3, to: 100 }] }), {})
  })

  it('leaves out what comes from peers', () => {
    assert.deepEqual(plan({ covered: [0, 1, 6], wanted: [0] }), { start: { from: 2, to: 6 } })
    assert.deepEqual(plan({ covered: [...Array(100).keys()], wanted: [0] }), {})
    // a job goes on to the end of its segment, and no further into what a peer fetches
    const jobs = [{ from: 0, next: 2, to: 100 }]
    assert.deepEqual(plan({ jobs, covered: [2, 3, 4, 5, 6, 7], wanted: [8] }), { start: { from: 8, to: 100 } })
    assert.deepEqual(plan({ jobs, covered: [2, 3], wanted: [4] }), {})
  })
})
