import { Distribution } from '../test/fixtures/distribution.ts'
import { NetworkSwitch } from '../test/fixtures/network-switch.ts'
import type { Bench } from './bench.ts'
import { nativePush } from './native.ts'
import { manifestType, pushManifest } from './small-image.ts'

/** Host of the upstream on the switch; those after it are free */
const upstreamHost = 0

/** An image as the upstream has it */
export interface UpstreamImage {
  repository: string
  tag: string
  layerSize: number
  /** Of the layers */
  digests: string[]
}

/** A distribution in a network namespace of its own, which may send only so much a second */
export class SlowUpstream implements AsyncDisposable {
  readonly network: NetworkSwitch
  readonly registry: Distribution

  private constructor(network: NetworkSwitch, registry: Distribution) {
    this.network = network
    this.registry = registry
  }

  /** @param hosts that are on the same switch, from 1 on */
  static async start(bench: Bench, hosts: number): Promise<SlowUpstream> {
    await using stack = new AsyncDisposableStack()
    const network = stack.use(await NetworkSwitch.create(hosts + 1))
    const registry = stack.use(
      await Distribution.start({
        directory: await bench.folder('upstream'),
        address: network.address(upstreamHost),
        within: command => network.command(upstreamHost, command),
      }),
    )
    stack.move()
    return new SlowUpstream(network, registry)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.registry[Symbol.asyncDispose]()
    await this.network[Symbol.asyncDispose]()
  }

  get url(): string {
    return this.registry.url
  }

  /** @param rate as `tc` takes it, e.g. `200mbit` */
  async limit(rate: string): Promise<void> {
    await this.network.limit(upstreamHost, rate)
  }

  /** Bytes that it has sent, with all headers */
  async sent(): Promise<number> {
    return (await this.network.traffic(upstreamHost)).sent
  }

  async push(repository: string, tag: string, layerSize: number, layerCount: number): Promise<UpstreamImage> {
    const { digests } = await nativePush({
      ...{ base: this.url, repository, size: layerSize, clients: 1, count: layerCount, chunked: false },
    })
    const config = { mediaType: 'application/vnd.oci.image.config.v1+json', digest: digests[0]!, size: layerSize }
    const layers = digests.map(digest => ({
      ...{ mediaType: 'application/vnd.oci.image.layer.v1.tar', digest, size: layerSize },
    }))
    await pushManifest(this.url, repository, tag, { config, layers })
    return { repository, tag, layerSize, digests }
  }
}

/** Pulls the manifest of an image, as each client does first */
export async function pullManifest(base: string, name: string, tag: string): Promise<void> {
  const manifest = await fetch(`${base}/v2/${name}/manifests/${tag}`, { headers: { Accept: manifestType } })
  if (!manifest.ok) {
    throw new Error(`${base} does not deliver the manifest: ${await manifest.text()}`)
  }
  await manifest.arrayBuffer()
}
