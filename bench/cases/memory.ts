import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { authorization } from '../authorization.ts'
import type { Bench, Case } from '../bench.ts'
import type { Measure, Sample } from '../measures.ts'
import { nativeRate } from '../native.ts'
import { GiB, MiB, sizeText } from '../options.ts'
import { memory, resetPeak, settle } from '../process-usage.ts'
import { Server } from '../server.ts'
import { manifestType, pushSmallImage } from '../small-image.ts'
import type { Launcher } from '../targets/target.ts'

const connections = 32

/**
 * Resident memory: of an idle server, what it is made of, and the peak above it under each load. A new process in each
 * round; what one load leaves in memory is in the peak of the next, so the largest blob comes first.
 */
export const memoryCase: Case = {
  name: 'memory',
  run: async bench => {
    const { quick, sizes = quick ? [16 * MiB] : [10 * GiB, 256 * MiB] } = bench.options
    const launchers = bench.registries.filter(({ reference }) => !reference)
    await bench.inTurn(
      [...launchers, { name: 'node alone' as const }],
      async item =>
        item.name === 'node alone' ? [[measure('idle'), await emptyNode()]] : await underLoads(bench, item, sizes),
      { warmUp: false },
    )
  },
}

async function underLoads(bench: Bench, launcher: Launcher, sizes: number[]): Promise<Sample[]> {
  const server = await Server.start(launcher, await bench.folder(launcher.name))
  try {
    await settle(server.pid)
    const idle = await memory(server.pid)
    const samples: Sample[] = [
      [measure('idle'), idle.now / MiB],
      [measure('idle, anonymous (heap, buffers, stacks)'), idle.anonymous / MiB],
      [measure('idle, pages of files (program, libraries)'), idle.file / MiB],
      ...(await heap(server)),
    ]
    const peak = async (name: string, work: () => Promise<unknown>): Promise<void> => {
      await resetPeak(server.pid)
      await work()
      samples.push([measure(`above idle at most: ${name}`), ((await memory(server.pid)).peak - idle.now) / MiB])
    }
    for (const size of sizes) {
      // many clients at once with what is large would fill the disk
      for (const clients of size > GiB ? [1] : [1, 4]) {
        const repository = `bench/s${size}-c${clients}`
        const name = `${sizeText(size)}, ${clients} ${clients === 1 ? 'client' : 'clients'}`
        let digests: string[] = []
        await peak(`push ${name}`, async () => {
          ;({ digests } = await server.push({ repository, size, clients, count: 1, chunked: bench.options.chunked }))
        })
        await peak(`pull ${name}`, async () => await server.pull(repository, digests, size, clients))
      }
    }
    await pushSmallImage(server.base, 'bench/memory', 'latest')
    const url = `${server.base}/v2/bench/memory/manifests/latest`
    await peak(
      `manifest GET, ${connections} connections`,
      async () =>
        await nativeRate({
          url,
          method: 'GET',
          connections,
          seconds: bench.options.seconds,
          accept: manifestType,
        }),
    )
    return samples
  } finally {
    await server.remove()
  }
}

/** What V8 says of its heap, where the server tells */
async function heap(server: Server): Promise<Sample[]> {
  const text = await fetch(`${server.base}/metrics`, { headers: await authorization(server.dataDir) }).then(
    async response => (response.ok ? await response.text() : ''),
    () => '',
  )
  return [
    ['heap used', 'nodejs_heap_size_used_bytes'],
    ['buffers outside the heap', 'nodejs_external_memory_bytes'],
  ].flatMap(([name, metric]) => {
    const [, value] = new RegExp(`^${metric} (\\S+)$`, 'm').exec(text) ?? []
    return value === undefined ? [] : [[measure(`idle, ${name}`), Number(value) / MiB] as const]
  })
}

/** What a process of Node that does nothing takes, in MiB */
async function emptyNode(): Promise<number> {
  const child = spawn(process.execPath, ['--eval', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' })
  const exited = once(child, 'exit')
  await sleep(1000)
  const { now } = await memory(child.pid!)
  child.kill()
  await exited
  return now / MiB
}

function measure(name: string): Measure {
  return { case: 'memory', name: `resident memory, ${name}`, unit: 'MiB', better: 'lower' }
}
