import assert from 'node:assert/strict'
import { copyFile } from 'node:fs/promises'
import { join } from 'node:path'
import { before, describe, it } from 'node:test'
import { DurableBlockstore } from '../../src/ipfs/blockstore/blockstore.ts'
import { bytesOnDisk } from '../fixtures/bytes-on-disk.ts'
import { faultyServer, makeBeginning, tryCrashPoint } from '../fixtures/faults/crash-point.ts'
import { DiskModel } from '../fixtures/faults/disk-model.ts'
import { Journal } from '../fixtures/faults/journal.ts'
import {
  alikeFailures,
  failurePoints,
  recordRun,
  tryPowerFailure,
  type RecordedRun,
} from '../fixtures/faults/power-failure.ts'
import { prepare, workload } from '../fixtures/faults/workload.ts'
import { Ledger } from '../fixtures/ledger.ts'
import { Random } from '../fixtures/random.ts'
import { RegistryClient } from '../fixtures/registry-client.ts'
import { ServerProcess } from '../fixtures/server.ts'
import { temporaryDirectory } from '../fixtures/temporary.ts'

const minute = 60_000
/** Of all that there are: `npm run soak -- crash-points` tries every one */
const kills = 2
/** What is left by chance is tried after so many of all points; what is left otherwise, after every one */
const chances = 24
/**
 * After so many of those, everything is done again as well; `npm run soak -- power-failures` does it after all of them
 */
const repeats = 3

const seed = process.env.CRASH_SEED ?? String(Date.now())

/** One of each of so many equal parts */
function sample(from: number, to: number, count: number, random: Random): number[] {
  const part = (to - from) / count
  return Array.from({ length: count }, (_, i) => Math.floor(from + (i + random.next()) * part))
}

describe('a server that is cut off at a step of its disk', { timeout: 15 * minute }, () => {
  let run: RecordedRun

  before(async () => {
    run = await recordRun()
  })

  it('by kill -9 has everything that it acknowledged, and takes everything again', async t => {
    t.diagnostic(`CRASH_SEED=${seed}`)
    await using beginning = await makeBeginning()
    for (const point of sample(0, 2 * run.steps, kills, new Random(seed))) {
      const { problems, acknowledged } = await tryCrashPoint(point, beginning)
      t.diagnostic(`point ${point}: ${acknowledged} acknowledged`)
      assert.deepEqual(problems, [], `point ${point}`)
    }
  })

  it('by kill -9 in its first start can be started again', async () => {
    const [point] = sample(0, 24, 1, new Random(seed)) as [number]
    assert.deepEqual((await tryCrashPoint(point)).problems, [], `point ${point}`)
  })

  for (const [what, survival] of [
    ['only what was synced', 'synced'],
    ['names, but not what is in the files', 'names'],
    ['some of the rest', undefined],
  ] as const) {
    it(`by a power failure that leaves ${what} has everything that it acknowledged`, async t => {
      const points = failurePoints(run)
      const random = new Random(`${seed} ${what}`)
      const tried =
        survival === undefined
          ? sample(0, points.length, chances, random).map(number => [points[number]!] as const)
          : alikeFailures(run, points, survival)
      t.diagnostic(`CRASH_SEED=${seed}, ${points.length} points, ${tried.length} starts`)
      const repeated = new Set(sample(0, tried.length, repeats, random))
      for (const [i, positions] of tried.entries()) {
        const problems = await tryPowerFailure(run, positions, survival ?? random, { again: repeated.has(i) })
        assert.deepEqual(problems, [], `after ${positions.join(' and ')} bytes of the journal`)
      }
    })
  }

  it('by a power failure after its end knows what its blocks take', async () => {
    await using directory = await temporaryDirectory('stopped')
    const journal = join(directory.path, 'journal')
    await using server = await ServerProcess.start(
      faultyServer({ plan: {}, directory: join(directory.path, 'data'), journal }, [
        '--gc-unreferenced',
        '0',
        '--storage-max-bytes',
        '1GiB',
      ]),
    )
    await prepare(new RegistryClient(server), new Ledger())
    await server.restart()
    await workload(new RegistryClient(server), new Ledger())
    await server.stop()
    const model = new DiskModel()
    new Journal(journal).read().forEach(({ entry }) => {
      model.apply(entry)
    })
    await model.write(join(directory.path, 'left'), 'synced')
    const location = join(directory.path, 'left', 'blocks')
    // its name is not synced, but may have got to the disk before others
    await copyFile(join(directory.path, 'data', 'blocks', 'bytes'), join(location, 'bytes'))
    const store = new DurableBlockstore(location)
    await store.open()
    try {
      // known at once, without a count
      assert.equal(store.space.usage.total, await bytesOnDisk(location))
    } finally {
      await store.close()
    }
  })
})
