import { CID } from 'multiformats/cid'
import type { Logger } from '../../log.ts'
import type { IpfsNode } from './node.ts'
import { RootQueue } from './root-queue.ts'

/** One announcement walks the DHT; milliseconds */
const timeout = 60_000

export interface ProviderComponents {
  node: Pick<IpfsNode, 'helia' | 'peerCount'>
  log: Logger
}

/**
 * Tells the DHT which image roots are here, as soon as there is a peer to tell; its own reprovider repeats it as long as the node runs. Only
 * the profiles with a DHT have something to tell it to.
 */
export function createProvider({ node, log }: ProviderComponents): RootQueue {
  return new RootQueue(
    { log },
    {
      name: 'announce',
      timeout,
      isReady: () => node.peerCount > 0,
      work: async (root, signal) => {
        await node.helia.routing.provide(CID.parse(root), { signal })
      },
    },
  )
}
