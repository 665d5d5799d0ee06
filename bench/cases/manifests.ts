import type { Bench, Case } from '../bench.ts'
import type { Measure } from '../measures.ts'
import { nativeRate } from '../native.ts'
import type { Server } from '../server.ts'
import { manifestType, pushSmallImage, type SmallImage } from '../small-image.ts'

const repository = 'bench/manifests'

/** One request that is made again and again */
interface Request {
  name: string
  method: 'GET' | 'HEAD'
  path: (image: SmallImage) => string
}

const byTag = (): string => 'manifests/latest'

/** How many manifests a second: GET and HEAD by tag, as clients do to learn whether something is new */
export const manifests: Case = {
  name: 'manifests',
  run: async bench => {
    await rates(bench, 'manifests', [
      { name: 'manifest GET', method: 'GET', path: byTag },
      { name: 'manifest HEAD', method: 'HEAD', path: byTag },
    ])
  },
}

/** The other small requests of a pull: a manifest by its digest, whether a blob is there, a blob of 4 KiB */
export const requests: Case = {
  name: 'requests',
  run: async bench => {
    await rates(bench, 'requests', [
      { name: 'manifest GET by digest', method: 'GET', path: ({ manifest }) => `manifests/${manifest}` },
      { name: 'blob HEAD', method: 'HEAD', path: ({ layer }) => `blobs/${layer}` },
      { name: 'blob GET', method: 'GET', path: ({ layer }) => `blobs/${layer}` },
    ])
  },
}

async function rates(bench: Bench, name: string, kinds: readonly Request[]): Promise<void> {
  await bench.withServers(
    bench.registries.filter(({ name }) => name !== 'limit'),
    async servers => {
      const images = new Map<Server, SmallImage>()
      for (const server of servers) {
        images.set(server, await pushSmallImage(server.base, repository, 'latest'))
      }
      for (const { name: kind, method, path } of kinds) {
        for (const connections of bench.options.connections) {
          const what = `${kind}, ${connections} ${connections === 1 ? 'connection' : 'connections'}`
          const rate: Measure = { case: name, name: what, unit: '1/s', better: 'higher' }
          const slow: Measure = { case: name, name: `p99 of ${what}`, unit: 'ms', better: 'lower' }
          await bench.inTurn(servers, async server => {
            const url = `${server.base}/v2/${repository}/${path(images.get(server)!)}`
            const { seconds } = bench.options
            const load = await nativeRate({ url, method, connections, seconds, accept: manifestType })
            return [
              [rate, load.requests / load.seconds],
              [slow, load.p99],
            ]
          })
        }
      }
    },
  )
}
