import type { Bench, Case } from '../bench.ts'
import type { Measure, Sample } from '../measures.ts'
import { GiB, MiB, sizeText } from '../options.ts'
import type { Server } from '../server.ts'

/** A round moves at least this much, in as many blobs as it takes */
const roundBytes = 256 * MiB
/** The references take part only where a round is not larger than this */
const largestReference = 4 * GiB

interface Load {
  size: number
  clients: number
  count: number
}

export const push: Case = {
  name: 'push',
  run: async bench => {
    await blobs(bench, { push: true, pull: false })
  },
}
export const pull: Case = {
  name: 'pull',
  run: async bench => {
    await blobs(bench, { push: false, pull: true })
  },
}
/** Both in one go: what is pulled has to be pushed anyway */
export const pushAndPull: Case = {
  name: 'push and pull',
  run: async bench => {
    await blobs(bench, { push: true, pull: true })
  },
}

type Which = Record<'push' | 'pull', boolean>

async function blobs(bench: Bench, which: Which): Promise<void> {
  const {
    quick,
    clients,
    sizes = quick ? [1, 16].map(size => size * MiB) : [1, 16, 256, 1024].map(size => size * MiB),
  } = bench.options
  await bench.withServers(bench.registries, async servers => {
    for (const size of sizes) {
      for (const number of clients) {
        const load = { size, clients: number, count: quick ? 1 : Math.ceil(roundBytes / (size * number)) }
        const taking = servers.filter(({ launcher }) => !launcher.reference || bytesOf(load) <= largestReference)
        await bench.inTurn(taking, async (server, round) => await pushThenPull(bench, server, load, which, round))
      }
    }
  })
}

async function pushThenPull(bench: Bench, server: Server, load: Load, which: Which, round: number): Promise<Sample[]> {
  const { size, clients, count } = load
  const repository = `bench/s${size}-c${clients}-r${round}`
  await server.makeRoom(bytesOf(load))
  const pushed = await server.push({ repository, size, clients, count, chunked: bench.options.chunked })
  const samples: Sample[] = which.push ? [[measure('push', load), pushed.bytes / MiB / pushed.seconds]] : []
  if (which.pull) {
    // the round that warms up also shows that the bytes are those that were pushed; the null server has others
    const verify = round === 0 && server.name !== 'null'
    const pulled = await server.pull(repository, pushed.digests, size, clients, verify)
    samples.push([measure('pull', load), pulled.bytes / MiB / pulled.seconds])
  }
  return samples
}

function measure(what: 'push' | 'pull', { size, clients }: Load): Measure {
  return {
    case: what,
    name: `${what} ${sizeText(size)}, ${clients} ${clients === 1 ? 'client' : 'clients'}`,
    unit: 'MiB/s',
    better: 'higher',
  }
}

function bytesOf({ size, clients, count }: Load): number {
  return size * clients * count
}
