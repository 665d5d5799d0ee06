import { runGarbage } from '../fixtures/load/garbage-run.ts'
import type { Soak } from './soak.ts'

const minute = 60_000
const maxRatio = 1.3

/** Collects garbage without pause while eight clients push, move tags, mount, delete and pull */
export const garbage: Soak = async ({ seed, minutes = 20, print }) => {
  const { problems, ratio } = await runGarbage(seed, minutes * minute, print)
  return ratio <= maxRatio
    ? problems
    : [
        ...problems,
        `with garbage collection the p99 of pushes is ${ratio.toFixed(2)} times what it is without, more than ${maxRatio}`,
      ]
}
