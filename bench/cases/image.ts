import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Bench, Case } from '../bench.ts'
import type { Measure, Sample } from '../measures.ts'
import { nativeImage } from '../native.ts'
import { MiB, sizeText } from '../options.ts'
import { run } from '../../test/fixtures/run.ts'
import type { Server } from '../server.ts'

/** Of a usual image: a base, an installation, some application, and small changes on top */
const layers = [96, 48, 24, 8, 2, 1].map(size => size * MiB)
const quickLayers = [2 * MiB, MiB]

/** An image of several layers, pushed and pulled by skopeo, which copies six at a time; its own start is in the time */
export const image: Case = {
  name: 'image',
  run: async bench => {
    await bench.withServers(bench.registries, async servers => {
      await bench.inTurn(servers, async (server, round) => await copyThereAndBack(bench, server, round))
    })
  },
}

async function copyThereAndBack(bench: Bench, server: Server, round: number): Promise<Sample[]> {
  const folder = await bench.folder('image')
  try {
    const sizes = bench.options.quick ? quickLayers : layers
    const source = join(folder, 'source')
    await nativeImage(source, sizes)
    const bytes = sizes.reduce((sum, size) => sum + size, 0)
    await server.makeRoom(bytes)
    const name = `docker://${new URL(server.base).host}/bench/image-r${round}:latest`
    const measure = (what: string): Measure => ({
      case: 'image',
      name: `${what} of an image of ${sizes.length} layers, ${sizeText(bytes)}, by skopeo`,
      unit: 's',
      better: 'lower',
    })
    const pushed = await timed(['--dest-tls-verify=false', `oci:${source}:latest`, name])
    // the null server sends other bytes than it got
    const pulled =
      server.name === 'null'
        ? undefined
        : await timed(['--src-tls-verify=false', name, `oci:${join(folder, 'target')}:latest`])
    return [[measure('push'), pushed], ...(pulled === undefined ? [] : [[measure('pull'), pulled] as const])]
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** Seconds of `skopeo copy` */
async function timed(args: string[]): Promise<number> {
  const began = performance.now()
  await run('skopeo', ['copy', '--quiet', '--insecure-policy', '--preserve-digests', ...args])
  return (performance.now() - began) / 1000
}
