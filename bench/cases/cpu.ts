import type { Bench, Case } from '../bench.ts'
import type { Measure, Sample } from '../measures.ts'
import { GiB, MiB } from '../options.ts'
import { cpuSeconds } from '../process-usage.ts'
import type { Server } from '../server.ts'

/** Processor time of the server, all its threads, for each GiB pushed and pulled by one client */
export const cpu: Case = {
  name: 'cpu',
  run: async bench => {
    const size = bench.options.sizes?.[0] ?? (bench.options.quick ? 16 : 256) * MiB
    const count = bench.options.quick ? 1 : Math.ceil(GiB / size)
    await bench.withServers(bench.registries, async servers => {
      await bench.inTurn(servers, async (server, round) => await pushAndPull(bench, server, size, count, round))
    })
  },
}

async function pushAndPull(
  bench: Bench,
  server: Server,
  size: number,
  count: number,
  round: number,
): Promise<Sample[]> {
  const repository = `bench/cpu-r${round}`
  await server.makeRoom(size * count)
  const before = await cpuSeconds(server.pid)
  const { digests, bytes } = await server.push({ repository, size, clients: 1, count, chunked: bench.options.chunked })
  const between = await cpuSeconds(server.pid)
  await server.pull(repository, digests, size, 1)
  const after = await cpuSeconds(server.pid)
  return [
    [measure('push'), (between - before) / (bytes / GiB)],
    [measure('pull'), (after - between) / (bytes / GiB)],
  ]
}

function measure(what: string): Measure {
  return { case: 'cpu', name: `processor time of a ${what}`, unit: 's/GiB', better: 'lower' }
}
