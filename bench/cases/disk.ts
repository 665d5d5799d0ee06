import type { Bench, Case } from '../bench.ts'
import type { Sample } from '../measures.ts'
import { MiB, sizeText } from '../options.ts'
import { diskUsage } from '../process-usage.ts'
import type { Server } from '../server.ts'

/** Bytes allocated on disk for each byte pushed, counted as what the data directory grows by */
export const disk: Case = {
  name: 'disk',
  run: async bench => {
    const { quick, sizes = quick ? [MiB, 16 * MiB] : [MiB, 16 * MiB, 256 * MiB] } = bench.options
    await bench.withServers(
      bench.registries.filter(({ reference }) => !reference),
      async servers => {
        for (const size of sizes) {
          await bench.inTurn(servers, async (server, round) => await growth(bench, server, size, round))
        }
      },
    )
  },
}

async function growth(bench: Bench, server: Server, size: number, round: number): Promise<Sample[]> {
  const count = bench.options.quick ? 1 : Math.ceil((256 * MiB) / size)
  await server.makeRoom(size * count)
  const before = await diskUsage(server.dataDir)
  const { bytes } = await server.push({
    repository: `bench/disk-s${size}-r${round}`,
    size,
    clients: 1,
    count,
    chunked: bench.options.chunked,
  })
  const grown = (await diskUsage(server.dataDir)) - before
  return [[{ case: 'disk', name: `disk for blobs of ${sizeText(size)}`, unit: 'B/B', better: 'lower' }, grown / bytes]]
}
