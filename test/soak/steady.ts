import { readdir } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { LoadRun } from '../fixtures/load/load-run.ts'
import { mean, percentile } from '../fixtures/percentile.ts'
import type { Soak } from './soak.ts'

const second = 1000
const minute = 60 * second
const mebibyte = 2 ** 20
const clients = 8
const samples = 180
/** Caches fill at the beginning, and code is compiled: so much of the time does not count */
const warmUp = 0.2

interface Sample {
  files: number
  memory: number
  heap: number
  lag: number
}

/** What the last third may have over the first: a part of it, and what a busy machine makes of it */
const limits: Record<keyof Sample, { share: number; more: number; unit: string; scale: number }> = {
  files: { share: 0.05, more: 5, unit: '', scale: 1 },
  memory: { share: 0.1, more: 10 * mebibyte, unit: 'MiB', scale: mebibyte },
  heap: { share: 0.1, more: 10 * mebibyte, unit: 'MiB', scale: mebibyte },
  lag: { share: 0.25, more: 0.005, unit: 'ms', scale: 1 / second },
}

/** Load and garbage collection for a long time, after which the process must be as it was */
export const steady: Soak = async ({ seed, minutes = 30, print }) => {
  await using run = await LoadRun.start({ seed, clients, args: ['--gc-interval', '5s'] })
  const taken: Sample[] = []
  for (let i = 0; i < samples && run.problems.length === 0; i++) {
    await sleep((minutes * minute) / samples)
    taken.push(await sample(run))
    if (i % 6 === 5) {
      print(`sample ${i + 1} of ${samples}: ${describe(taken.at(-1)!)}; ${run.figures}`)
    }
  }
  await run.stop()
  await run.verify()
  return [...run.problems, ...growth(taken.slice(samples * warmUp), print)]
}

function growth(taken: readonly Sample[], print: (line: string) => void): string[] {
  const third = Math.floor(taken.length / 3)
  const [first, middle, last] = [taken.slice(0, third), taken.slice(third, 2 * third), taken.slice(2 * third)].map(
    summary,
  ) as [Sample, Sample, Sample]
  print(`first third: ${describe(first)}`)
  print(`second third: ${describe(middle)}`)
  print(`last third: ${describe(last)}`)
  return (Object.keys(limits) as Array<keyof Sample>)
    .filter(name => last[name] > first[name] * (1 + limits[name].share) + limits[name].more)
    .map(name => `${name} grows: ${describe(first)}; at last ${describe(last)}`)
}

/**
 * The heap grows until it is collected, so its low points tell; of memory and lag the median, as one collection or one
 * pause of the machine is no growth
 */
function summary(taken: readonly Sample[]): Sample {
  const of = (name: keyof Sample): number[] => taken.map(sample => sample[name])
  return {
    files: mean(of('files')),
    memory: percentile(of('memory'), 0.5),
    heap: percentile(of('heap'), 0.1),
    lag: percentile(of('lag'), 0.5),
  }
}

async function sample({ server, client }: LoadRun): Promise<Sample> {
  const metric = await client.metrics()
  return {
    files: (await readdir(`/proc/${server.pid}/fd`)).length,
    memory: (await server.memory()).now,
    // with what lies outside it, such as the bytes of blocks
    heap: metric('nodejs_heap_size_used_bytes') + metric('nodejs_external_memory_bytes'),
    // since the sample before
    lag: metric('nodejs_eventloop_lag_p99_seconds'),
  }
}

function describe(sample: Sample): string {
  return (Object.keys(limits) as Array<keyof Sample>)
    .map(name => `${name} ${(sample[name] / limits[name].scale).toFixed(1)} ${limits[name].unit}`.trim())
    .join(', ')
}
