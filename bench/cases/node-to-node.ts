import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { run } from '../../test/fixtures/run.ts'
import { projectDirectory } from '../../test/fixtures/tools.ts'
import type { Bench, Case } from '../bench.ts'
import type { Sample } from '../measures.ts'
import { nativeImage, nativePull, type Pulled } from '../native.ts'
import { MiB, sizeText } from '../options.ts'
import { Server } from '../server.ts'
import { connect, kuboCall, type Peer } from '../peers.ts'
import type { TargetName } from '../targets/target.ts'

interface Way {
  name: string
  source: Peer
  sink: Peer
  /** `pin`: kubo fetches without passing on what it gets */
  by: 'registry' | 'cat' | 'pin'
}

/**
 * A blob that another node has, over bitswap on loopback: `docker pull` by CID from ours, `ipfs cat` and `ipfs pin add`
 * of kubo. The time is that of the blob alone: the image's manifest was pulled before, the nodes are connected.
 */
export const nodeToNode: Case = {
  name: 'node-to-node',
  run: async bench => {
    const { quick, sizes = quick ? [4 * MiB] : [64 * MiB, 512 * MiB] } = bench.options
    const started: Server[] = []
    const pair = async (name: TargetName): Promise<Peer[]> => {
      const servers: Server[] = []
      for (const launcher of bench.launchers(name).flatMap(launcher => [launcher, launcher])) {
        const server = await Server.start(launcher, await bench.folder(name), { network: 'lan' })
        started.push(server)
        servers.push(server)
      }
      return servers
    }
    try {
      const ways = waysBetween(await pair('ipdr'), await pair('before'), await pair('kubo'))
      for (const size of sizes) {
        await bench.inTurn(ways, async way => await transfer(bench, way, size))
      }
    } finally {
      await Promise.all(
        started.map(async server => {
          await server.remove()
        }),
      )
    }
  },
}

function waysBetween([a, b]: Peer[], [c, d]: Peer[], [k, l]: Peer[]): Way[] {
  const way = (name: string, source: Peer | undefined, sink: Peer | undefined, by: Way['by']): Way[] =>
    source === undefined || sink === undefined ? [] : [{ name, source, sink, by }]
  return [
    ...way('ipdr', a, b, 'registry'),
    ...way('before', c, d, 'registry'),
    ...way('kubo', k, l, 'cat'),
    ...way('kubo pin', k, l, 'pin'),
    ...way('ipdr to kubo', a, l, 'cat'),
    ...way('kubo to ipdr', k, b, 'registry'),
  ]
}

async function transfer(bench: Bench, { source, sink, by }: Way, size: number): Promise<Sample[]> {
  await source.makeRoom(size)
  await sink.makeRoom(size)
  const { root, layer } = await put(bench, source, size)
  await connect(sink, source)
  const samples: Sample[] = []
  const rate = (seconds: number): Sample => [
    { case: 'node-to-node', name: `node to node, ${sizeText(size)}`, unit: 'MiB/s', better: 'higher' },
    layer.size / MiB / seconds,
  ]
  if (by === 'pin') {
    const cid = await blobCid(source, root, layer.digest)
    const began = performance.now()
    await kuboCall(sink, `pin/add?arg=${cid}&progress=false`)
    return [rate((performance.now() - began) / 1000)]
  }
  const pulled = await (by === 'registry' ? pullFromRegistry(sink, root, layer) : cat(sink, source, root, layer))
  samples.push(rate(pulled.seconds))
  samples.push([
    { case: 'node-to-node', name: `first byte from another node, ${sizeText(size)}`, unit: 'ms', better: 'lower' },
    pulled.firstByte[0]!,
  ])
  return samples
}

interface Layer {
  digest: string
  size: number
}

/** Gives an image with one layer to a node by `ipdr push`, as either kind takes it */
async function put(bench: Bench, node: Peer, size: number): Promise<{ root: string; layer: Layer }> {
  const folder = await bench.folder('image')
  try {
    const { layers } = await nativeImage(folder, [size])
    const { host } = new URL(node.base)
    const target = node.name === 'kubo' ? ['--ipfs-host', host] : ['--docker-registry-host', host]
    const output = await run(process.execPath, [
      join(projectDirectory, 'src/main.js'),
      'push',
      'bench/image',
      '--silent',
      '--from',
      folder,
      ...target,
    ])
    return { root: output.split('\n').at(-1)!, layer: layers[0]! }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

async function pullFromRegistry(sink: Peer, root: string, layer: Layer): Promise<Pulled> {
  const manifest = await fetch(`${sink.base}/v2/${root}/manifests/latest`)
  if (!manifest.ok) {
    throw new Error(`${sink.name} does not get the manifest of ${root}: ${manifest.status}`)
  }
  await manifest.arrayBuffer()
  return await nativePull({
    base: sink.base,
    paths: [`/v2/${root}/blobs/${layer.digest}`],
    size: layer.size,
    clients: 1,
  })
}

async function cat(sink: Peer, source: Peer, root: string, layer: Layer): Promise<Pulled> {
  const cid = await blobCid(source, root, layer.digest)
  return await nativePull({
    base: sink.base,
    paths: [`/api/v0/cat?arg=${cid}`],
    size: layer.size,
    clients: 1,
    method: 'POST',
  })
}

/** CID of a blob of an image that the node has */
async function blobCid(node: Peer, root: string, digest: string): Promise<string> {
  if (node.name === 'kubo') {
    const { Path } = await kuboCall<{ Path: string }>(node, `resolve?arg=/ipfs/${root}/blobs/${digest}`)
    return Path.replace('/ipfs/', '')
  }
  const response = await fetch(`${node.base}/v2/${root}/blobs/${digest}`, { method: 'HEAD' })
  return response.headers.get('X-Ipfs-Cid')!
}
