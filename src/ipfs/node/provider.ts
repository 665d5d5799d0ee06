import { CID } from 'multiformats/cid'
import type { Logger } from '../../log.ts'
import type { IpfsNode } from './node.ts'
import { RootQueue } from './root-queue.ts'

/** How long providing one CID may take, which walks the DHT; milliseconds */
const timeout = 60_000

export interface ProviderComponents {
  node: Pick<IpfsNode, 'helia' | 'peerCount'>
  /** Whether every peer may fetch what a CID stands for; asked right before it is provided */
  mayProvide: (cid: CID) => boolean | Promise<boolean>
  log: Logger
}

/**
 * Provides image roots, or blobs by their digests: tells the DHT that they are here, as soon as a peer is connected.
 * Helia's reprovider repeats that as long as the node runs. To be used with the profiles that have a DHT.
 */
export function createProvider(
  { node, mayProvide, log }: ProviderComponents,
  { name = 'provide' }: { name?: string } = {},
): RootQueue {
  return new RootQueue(
    { log },
    {
      name,
      timeout,
      isReady: () => node.peerCount > 0,
      isWanted: async root => await mayProvide(CID.parse(root)),
      work: async (root, signal) => {
        await node.helia.routing.provide(CID.parse(root), { signal })
      },
    },
  )
}
