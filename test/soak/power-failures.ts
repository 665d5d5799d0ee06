import type { Survival } from '../fixtures/faults/disk-model.ts'
import { failurePoints, recordRun, tryPowerFailure } from '../fixtures/faults/power-failure.ts'
import { Random } from '../fixtures/random.ts'
import type { Soak } from './soak.ts'

/**
 * Cuts the power after every sync: with nothing left but what was synced, with all names, and so often with whatever
 * chance leaves of the rest
 */
export const powerFailures: Soak = async ({ seed, rounds = 3, print }) => {
  const run = await recordRun()
  const points = failurePoints(run)
  const problems: string[] = []
  const kinds: Array<readonly [string, Survival]> = [
    ['only what was synced', 'synced'],
    ['names without bytes', 'names'],
  ]
  for (let i = 0; i < rounds; i++) {
    kinds.push([`chance ${i}`, new Random(`${seed} ${i}`)])
  }
  for (const [name, survival] of kinds) {
    let found = 0
    for (const [i, point] of points.entries()) {
      const here = await tryPowerFailure(run, [point], survival)
      problems.push(...here.map(problem => `${name}, point ${i}: ${problem}`))
      found += here.length
    }
    print(`${name}: ${points.length} power failures, ${found} problems`)
  }
  return problems
}
