import { join } from 'node:path'
import { nodeFlags } from '../../scripts/node-flags.ts'
import { connectAll } from '../../test/fixtures/connect-all.ts'
import type { NetworkSwitch } from '../../test/fixtures/network-switch.ts'
import { ServerProcess } from '../../test/fixtures/server.ts'
import { projectDirectory } from '../../test/fixtures/tools.ts'
import type { Bench, Case } from '../bench.ts'
import type { Measure, Sample } from '../measures.ts'
import { nativePull } from '../native.ts'
import { GiB, MiB } from '../options.ts'
import { pullManifest, SlowUpstream, type UpstreamImage } from '../slow-upstream.ts'

const layerCount = 8
/** Layers that a client pulls at a time */
const atOnce = 4
const repository = 'bench/roll-out'
const upstreamName = 'upstream.example'
/** Of what the upstream sends */
const rate = '200mbit'

/**
 * Many appliances get an image at once, each in a network namespace of its own, from an upstream that sends 200 Mbit a
 * second to all of them together; beside that, as many clients that pull from the upstream themselves.
 */
export const rollOut: Case = {
  name: 'roll-out',
  run: async bench => {
    const { appliances, quick, sizes = quick ? [16 * MiB] : [GiB], targets } = bench.options
    const ways = [{ name: 'ipdr' }, { name: 'plain' }].filter(({ name }) => targets?.includes(name) ?? true)
    for (const size of sizes) {
      for (const count of appliances) {
        await bench.inTurn(
          ways,
          async ({ name }) => await (name === 'ipdr' ? mirrored(bench, count, size) : plain(bench, count, size)),
          { warmUp: false },
        )
      }
    }
  },
}

async function mirrored(bench: Bench, count: number, size: number): Promise<Sample[]> {
  await using stack = new AsyncDisposableStack()
  const upstream = stack.use(await SlowUpstream.start(bench, count))
  const { network } = upstream
  const image = await upstream.push(repository, 'latest', size / layerCount, layerCount)
  const mirrors: ServerProcess[] = []
  for (let host = 1; host <= count; host++) {
    mirrors.push(stack.use(await startMirror(bench, network, host, upstream.url)))
  }
  await connectAll(mirrors)
  await upstream.limit(rate)
  const before = await traffic(upstream, count)
  const seconds = await slowest(
    mirrors.map(mirror => mirror.url),
    `${upstreamName}/${repository}`,
    image,
  )
  const after = await traffic(upstream, count)
  // so that they write their profiles
  for (const mirror of mirrors) {
    await mirror.stop()
  }
  const received = after.received - before.received
  return [
    [measure(count, 'until the last has it', 's', 'lower'), seconds],
    [measure(count, 'copies that the upstream sends', 'times', 'lower'), (after.sent - before.sent) / size],
    [measure(count, 'bytes that an appliance receives', 'times', 'lower'), received / count / size],
  ]
}

async function plain(bench: Bench, count: number, size: number): Promise<Sample[]> {
  await using stack = new AsyncDisposableStack()
  const upstream = stack.use(await SlowUpstream.start(bench, 0))
  const image = await upstream.push(repository, 'latest', size / layerCount, layerCount)
  await upstream.limit(rate)
  const seconds = await slowest(
    Array.from({ length: count }, () => upstream.url),
    repository,
    image,
  )
  return [[measure(count, 'until the last has it', 's', 'lower'), seconds]]
}

async function startMirror(
  bench: Bench,
  network: NetworkSwitch,
  host: number,
  upstream: string,
): Promise<ServerProcess> {
  const address = network.address(host)
  const { cpuProfile } = bench.options
  const profile = cpuProfile === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${cpuProfile}`]
  return await ServerProcess.start({
    ...{ address, dataDir: await bench.folder('mirror') },
    program: network.command(host, [
      process.execPath,
      ...nodeFlags(),
      ...profile,
      join(projectDirectory, 'src/main.js'),
    ]),
    args: [
      ...['--network', 'lan', '--p2p-host', address, '--p2p-port', '0', '--names-publish', 'false'],
      ...['--upstream', `${upstreamName}=${upstream}`, '--log-format', 'json'],
    ],
  })
}

/** @returns seconds until the last one has the image */
async function slowest(bases: string[], name: string, { digests, layerSize }: UpstreamImage): Promise<number> {
  const began = performance.now()
  await Promise.all(
    bases.map(async base => {
      await pullManifest(base, name, 'latest')
      await nativePull({
        ...{ base, size: layerSize, clients: atOnce },
        paths: digests.map(digest => `/v2/${name}/blobs/${digest}`),
      })
    }),
  )
  return (performance.now() - began) / 1000
}

/** Bytes that the upstream has sent, and all mirrors have received of others */
async function traffic(upstream: SlowUpstream, mirrors: number): Promise<{ sent: number; received: number }> {
  let received = 0
  for (let host = 1; host <= mirrors; host++) {
    received += (await upstream.network.traffic(host)).received
  }
  return { sent: await upstream.sent(), received }
}

function measure(count: number, what: string, unit: string, better: Measure['better']): Measure {
  return { case: 'roll-out', name: `${count} appliances at once: ${what}`, unit, better }
}
