import { PartitionRun } from '../fixtures/load/partition-run.ts'
import type { Soak } from './soak.ts'

/** Cuts the link between two peers in the middle of a transfer, and lets it come back */
export const partition: Soak = async ({ seed, rounds = 50, print }) => {
  await using run = await PartitionRun.start(seed)
  const problems: string[] = []
  for (let round = 1; round <= rounds; round++) {
    const { what, problems: here } = await run.round(round)
    problems.push(...here.map(problem => `round ${round} (${what}): ${problem}`))
    print(`round ${round} of ${rounds}: ${what}, ${here.length} problems`)
  }
  return problems
}
