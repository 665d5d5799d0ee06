import type { Case } from '../bench.ts'
import type { Measure, Sample } from '../measures.ts'
import { prepareBlocks } from '../prepared-stores.ts'
import type { Launcher, StartInit } from '../targets/target.ts'

const second = 1000

/**
 * Time from the start of the process until it is ready for requests; of ours with stores of different sizes, of the
 * others with an empty one
 */
export const start: Case = {
  name: 'start',
  run: async bench => {
    await bench.inTurn(bench.launchers('ipdr', 'before', 'distribution', 'zot', 'kubo'), async launcher => [
      [measure('an empty store'), await startTime(launcher, await bench.folder(launcher.name))],
    ])
    const ours = bench.launchers('ipdr', 'before')
    for (const blocks of bench.options.blocks) {
      const stores = new Map<Launcher, string>()
      for (const launcher of ours) {
        stores.set(launcher, await prepareBlocks(bench, launcher, blocks))
      }
      await bench.inTurn(ours, async launcher => {
        const samples: Sample[] = []
        for (const network of ['offline', 'lan'] as const) {
          samples.push([
            measure(`${blocks} blocks, ${network}`),
            await startTime(launcher, stores.get(launcher)!, { network }),
          ])
        }
        return samples
      })
    }
  },
}

/** Seconds; the store stays */
async function startTime(launcher: Launcher, dataDir: string, init?: StartInit): Promise<number> {
  const target = await launcher.start(dataDir, init)
  await target.stop()
  return target.startTime / second
}

function measure(name: string): Measure {
  return { case: 'start', name: `start to ready, ${name}`, unit: 's', better: 'lower' }
}
