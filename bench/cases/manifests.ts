import type { Case } from '../bench.ts'
import type { Measure } from '../measures.ts'
import { nativeRate } from '../native.ts'
import { manifestType, pushSmallImage } from '../small-image.ts'

const repository = 'bench/manifests'

/** How many manifests a second: GET and HEAD by tag, as clients do to learn whether something is new */
export const manifests: Case = {
  name: 'manifests',
  run: async bench => {
    await bench.withServers(
      bench.registries.filter(({ name }) => name !== 'limit'),
      async servers => {
        for (const server of servers) {
          await pushSmallImage(server.base, repository, 'latest')
        }
        for (const method of ['GET', 'HEAD'] as const) {
          for (const connections of bench.options.connections) {
            await bench.inTurn(servers, async server => {
              const url = `${server.base}/v2/${repository}/manifests/latest`
              const { requests, seconds, p99 } = await nativeRate({
                url,
                method,
                connections,
                seconds: bench.options.seconds,
                accept: manifestType,
              })
              return [
                [
                  measure(
                    `manifest ${method}, ${connections} ${connections === 1 ? 'connection' : 'connections'}`,
                    '1/s',
                    'higher',
                  ),
                  requests / seconds,
                ],
                [
                  measure(
                    `p99 of manifest ${method}, ${connections} ${connections === 1 ? 'connection' : 'connections'}`,
                    'ms',
                    'lower',
                  ),
                  p99,
                ],
              ]
            })
          }
        }
      },
    )
  },
}

function measure(name: string, unit: string, better: Measure['better']): Measure {
  return { case: 'manifests', name, unit, better }
}
