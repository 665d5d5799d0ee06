/**
 * Push and pull throughput beside distribution v3, on the same disk, in turn. Every figure is of this one run: take the ratios.
 *
 *     npm run bench -- [--size MIB] [--rounds N] [--clients N]
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { BlobClient, MiB, randomBlob, type TestBlob } from './client.ts'
import { startDistribution, startIpdr, type Target } from './targets.ts'

const { values } = parseArgs({
  options: {
    size: { type: 'string', default: '256' },
    rounds: { type: 'string', default: '5' },
    clients: { type: 'string', default: '1' }
  }
})
const size = Number(values.size) * MiB
const rounds = Number(values.rounds)
const clients = Number(values.clients)

/** MiB/s of each round */
interface Rates { push: number[], pull: number[] }

const scratch = await mkdtemp(join(import.meta.dirname, 'tmp-'))
const targets: Target[] = []
try {
  targets.push(await startIpdr(scratch), await startDistribution(scratch))
  const rates = new Map(targets.map(target => [target, { push: [], pull: [] } as Rates]))
  // one round that is not counted warms both up
  for (let round = -1; round < rounds; round++) {
    for (const target of round % 2 === 0 ? targets : targets.toReversed()) {
      const measured = await measure(target, `bench/r${round + 1}`)
      if (round >= 0) {
        rates.get(target)?.push.push(measured.push)
        rates.get(target)?.pull.push(measured.pull)
      }
    }
  }
  report(rates)
} finally {
  await Promise.all(targets.map(async target => { await target.stop() }))
  await rm(scratch, { recursive: true, force: true })
}

async function measure (target: Target, repository: string): Promise<{ push: number, pull: number }> {
  const work = Array.from({ length: clients }, () => ({ client: new BlobClient(target.base), blob: randomBlob(size) }))
  try {
    return {
      push: await rate(async () => { await Promise.all(work.map(async ({ client, blob }) => { await client.push(repository, blob) })) }),
      pull: await rate(async () => { await Promise.all(work.map(async ({ client, blob }) => { await pullWhole(client, repository, blob) })) })
    }
  } finally {
    work.forEach(({ client }) => { client.close() })
  }
}

async function pullWhole (client: BlobClient, repository: string, { digest }: TestBlob): Promise<void> {
  const received = await client.pull(repository, digest)
  if (received !== size) {
    throw new Error(`${received} of ${size} bytes came back`)
  }
}

async function rate (work: () => Promise<void>): Promise<number> {
  const began = performance.now()
  await work()
  return clients * size / MiB / ((performance.now() - began) / 1000)
}

function report (rates: Map<Target, Rates>): void {
  console.log(`${size / MiB} MiB, ${clients} client(s), ${rounds} rounds in turn, MiB/s: median (min-max)`)
  for (const kind of ['push', 'pull'] as const) {
    const [ours, theirs] = Array.from(rates, ([target, rates]) => ({ name: target.name, rates: rates[kind] }))
    if (ours !== undefined && theirs !== undefined) {
      const ratio = median(ours.rates) / median(theirs.rates)
      console.log(`${kind}  ${ours.name} ${spread(ours.rates)}  ${theirs.name} ${spread(theirs.rates)}  ratio ${ratio.toFixed(2)}`)
    }
  }
}

function spread (values: number[]): string {
  return `${median(values).toFixed(0)} (${Math.min(...values).toFixed(0)}-${Math.max(...values).toFixed(0)})`
}

function median (values: number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN
}
