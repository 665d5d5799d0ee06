import { KillRun } from '../fixtures/load/kill-run.ts'
import type { Soak } from './soak.ts'

/**
 * Kills the server again and again in mixed load; ends at the first problem, so that its traces are not written over
 */
export const kill: Soak = async ({ seed, rounds = 300, print }) => {
  await using run = await KillRun.start(seed)
  for (let round = 1; round <= rounds && run.problems.length === 0; round++) {
    const began = performance.now()
    const moment = await run.round(round)
    print(
      `round ${round} of ${rounds}: killed after ${moment} ms; ${run.figures()}, ${Math.round(performance.now() - began)} ms`,
    )
  }
  await run.end()
  print(`${run.figures()} in all`)
  return run.problems
}
