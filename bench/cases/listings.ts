import type { Bench, Case } from '../bench.ts'
import type { Measure } from '../measures.ts'
import { nativeRate } from '../native.ts'
import { prepareListings, repositoryName, tagName, tagsRepository } from '../prepared-stores.ts'
import { settle } from '../process-usage.ts'
import { Server } from '../server.ts'
import type { TargetName } from '../targets/target.ts'

const pageSize = 100

/** All sizes of one registry: measured in one turn, as they are compared with each other, too */
interface Shelf {
  name: TargetName
  servers: Map<number, Server>
}

/**
 * How long a page of tags and of the catalog takes, at the start and in the middle of lists of different lengths. Ours
 * does not publish its tags meanwhile: for 100,000 repositories that is minutes of work in the background after each
 * start.
 */
export const listings: Case = {
  name: 'listings',
  run: async bench => {
    const shelves: Shelf[] = []
    try {
      for (const launcher of bench.launchers('ipdr', 'before', 'distribution')) {
        const shelf: Shelf = { name: launcher.name, servers: new Map() }
        shelves.push(shelf)
        for (const entries of bench.options.entries) {
          shelf.servers.set(
            entries,
            await Server.start(launcher, await prepareListings(bench, launcher, entries), { publish: false }),
          )
        }
      }
      await Promise.all(
        shelves
          .flatMap(({ servers }) => [...servers.values()])
          .map(async server => {
            await settle(server.pid)
          }),
      )
      for (const list of ['tags', 'catalog'] as const) {
        for (const place of ['start', 'middle'] as const) {
          await bench.inTurn(shelves, async shelf => await pages(bench, shelf, list, place))
        }
      }
    } finally {
      await Promise.all(
        shelves
          .flatMap(({ servers }) => [...servers.values()])
          .map(async server => {
            await server.stop()
          }),
      )
    }
  },
}

async function pages(
  bench: Bench,
  { servers }: Shelf,
  list: 'tags' | 'catalog',
  place: 'start' | 'middle',
): Promise<Array<[Measure, number]>> {
  const samples: Array<[Measure, number]> = []
  const times = new Map<number, number>()
  for (const [entries, server] of servers) {
    const middle = Math.floor(entries / 2)
    const last =
      place === 'start' ? '' : `&last=${encodeURIComponent(list === 'tags' ? tagName(middle) : repositoryName(middle))}`
    const url = `${server.base}/v2/${list === 'tags' ? `${tagsRepository}/tags/list` : '_catalog'}?n=${pageSize}${last}`
    const { p50 } = await nativeRate({ url, method: 'GET', connections: 1, seconds: bench.options.seconds })
    times.set(entries, p50)
    samples.push([
      { case: 'listings', name: `page of ${list} from the ${place}, ${entries} entries`, unit: 'ms', better: 'lower' },
      p50,
    ])
  }
  const [few, many] = [times.get(1000), times.get(100_000)]
  if (few !== undefined && many !== undefined) {
    samples.push([
      {
        case: 'listings',
        name: `page of ${list} from the ${place}: 100000 entries beside 1000`,
        unit: 'times',
        better: 'lower',
      },
      many / few,
    ])
  }
  return samples
}
