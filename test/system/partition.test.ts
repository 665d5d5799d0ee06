import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PartitionRun } from '../fixtures/load/partition-run.ts'

const minute = 60_000

test('a pull from a peer that goes away in the middle and comes back ends right or with an error in time', {
  timeout: 5 * minute,
}, async t => {
  const seed = process.env.PARTITION_SEED ?? String(Date.now())
  t.diagnostic(`PARTITION_SEED=${seed}`)
  await using run = await PartitionRun.start(seed)
  for (let round = 1; round <= 3; round++) {
    const { what, problems } = await run.round(round)
    t.diagnostic(what)
    assert.deepEqual(problems, [], what)
  }
})
