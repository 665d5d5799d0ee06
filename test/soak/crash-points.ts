import { makeBeginning, tryCrashPoint } from '../fixtures/faults/crash-point.ts'
import type { Soak } from './soak.ts'

/** Kills the server before and after every step of its disk, one after the other, until there is none left */
export const crashPoints: Soak = async ({ rounds = Infinity, print }) => {
  await using beginning = await makeBeginning()
  const problems: string[] = []
  for (const [what, from] of [
    ['the first start and pushes', undefined],
    ['pushes, deletes and a sweep', beginning],
  ] as const) {
    for (let [point, crashed] = [0, true]; crashed && point < rounds; point++) {
      const result = await tryCrashPoint(point, from)
      crashed = result.crashed
      problems.push(...result.problems.map(problem => `${what}, point ${point}: ${problem}`))
      print(
        `${what}, point ${point}: ${crashed ? 'killed' : 'not reached'}, ${result.acknowledged} acknowledged, ${result.problems.length} problems`,
      )
    }
  }
  return problems
}
