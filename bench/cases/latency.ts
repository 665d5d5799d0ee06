import type { Case } from '../bench.ts'
import type { Measure } from '../measures.ts'
import { pacedDuringPush } from '../native.ts'
import { MiB } from '../options.ts'
import { manifestType, pushSmallImage } from '../small-image.ts'

const clients = 4
/** Blobs of each client: a hundredth of the requests is to be more than a few */
const count = 2
const repository = 'bench/latency'

/**
 * How long a small request waits while the server is busy: a manifest every 5 ms while four clients push as fast as
 * they can
 */
export const latency: Case = {
  name: 'latency',
  run: async bench => {
    const size = bench.options.sizes?.[0] ?? (bench.options.quick ? 16 : 256) * MiB
    await bench.withServers(bench.registries, async servers => {
      await bench.inTurn(servers, async (server, round) => {
        await server.makeRoom(clients * count * size)
        // anew: makeRoom may have emptied the store
        await pushSmallImage(server.base, repository, 'latest')
        const url = `${server.base}/v2/${repository}/manifests/latest`
        const { rates, pushed } = await pacedDuringPush(url, manifestType, {
          base: server.base,
          repository: `${repository}-r${round}`,
          size,
          clients,
          count,
          chunked: bench.options.chunked,
        })
        return [
          [measure('p50', 'ms', 'lower'), rates.p50],
          [measure('p99', 'ms', 'lower'), rates.p99],
          [measure('longest', 'ms', 'lower'), rates.max],
          [measure('the pushes meanwhile', 'MiB/s', 'higher'), pushed.bytes / MiB / pushed.seconds],
        ]
      })
    })
  },
}

function measure(name: string, unit: string, better: Measure['better']): Measure {
  return { case: 'latency', name: `manifest GET during ${clients} pushes: ${name}`, unit, better }
}
