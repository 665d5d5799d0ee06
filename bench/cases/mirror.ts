import { Distribution } from '../../test/fixtures/distribution.ts'
import { ServerProcess } from '../../test/fixtures/server.ts'
import type { Case } from '../bench.ts'
import type { Measure, Sample } from '../measures.ts'
import { nativePull } from '../native.ts'
import { MiB, sizeText } from '../options.ts'
import { pullManifest, SlowUpstream } from '../slow-upstream.ts'

const repository = 'bench/mirror'
const upstreamName = 'upstream.example'
/** 10 MB a second, of what the upstream sends */
const rate = '80mbit'

interface Way {
  name: string
  base: string
  repository: string
}

/**
 * A layer that no mirror has, behind an upstream that sends 10 MB a second: pulled from the upstream itself, through
 * ours, and through distribution as a proxy. The manifest was pulled before.
 */
export const mirror: Case = {
  name: 'mirror',
  run: async bench => {
    const { quick, sizes = quick ? [2 * MiB] : [64 * MiB] } = bench.options
    await using upstream = await SlowUpstream.start(bench, 0)
    await using server = await ServerProcess.start({ args: ['--upstream', `${upstreamName}=${upstream.url}`] })
    await using proxy = await Distribution.start({ directory: await bench.folder('proxy'), proxied: upstream.url })
    const ways: Way[] = [
      { name: 'ipdr', base: server.url, repository: `${upstreamName}/${repository}` },
      { name: 'direct', base: upstream.url, repository },
      { name: 'distribution', base: proxy.url, repository },
    ]
    await upstream.limit(rate)
    let pushed = 0
    for (const size of sizes) {
      await bench.inTurn(ways, async way => await pull(upstream, way, size, `v${pushed++}`))
    }
  },
}

async function pull(upstream: SlowUpstream, way: Way, size: number, tag: string): Promise<Sample[]> {
  const { digests } = await upstream.push(repository, tag, size, 1)
  await pullManifest(way.base, way.repository, tag)
  const { firstByte, seconds } = await nativePull({
    ...{ base: way.base, size, clients: 1 },
    paths: digests.map(digest => `/v2/${way.repository}/blobs/${digest}`),
  })
  return [
    [measure(size, 'first byte', 'ms'), firstByte[0]!],
    [measure(size, 'whole', 's'), seconds],
  ]
}

function measure(size: number, what: string, unit: string): Measure {
  return { case: 'mirror', name: `layer of ${sizeText(size)} from a slow upstream: ${what}`, unit, better: 'lower' }
}
