import type { Logger } from '../../log.ts'
import type { KuboContentStore } from './kubo-content-store.ts'
import type { IpfsNode } from '../node/node.ts'
import { RootQueue } from '../node/root-queue.ts'

/** How long the kubo may take to fetch and pin an image; milliseconds */
const timeout = 30 * 60_000
/** Milliseconds for one dial */
const connectTimeout = 10_000

export interface RemotePinsComponents {
  node: Pick<IpfsNode, 'connect' | 'multiaddrs'>
  kubo: Pick<KuboContentStore, 'addresses' | 'connect' | 'pin'>
  log: Logger
}

/** Has a kubo elsewhere pin each image root. It fetches the blocks from this node, so the two are connected first. */
export function createRemotePins({ node, kubo, log }: RemotePinsComponents): RootQueue {
  return new RootQueue(
    { log },
    {
      name: 'pin at the remote kubo',
      timeout,
      isReady: () => true,
      work: async (root, signal) => {
        await connect({ node, kubo }, signal)
        await kubo.pin(root, { signal })
        log.info('image root pinned at the remote kubo', { cid: root })
      },
    },
  )
}

/** Dials the kubo, or has it dial this node where its addresses can't be reached from here */
async function connect(
  { node, kubo }: Pick<RemotePinsComponents, 'node' | 'kubo'>,
  signal: AbortSignal,
): Promise<void> {
  const limited = (): AbortSignal => AbortSignal.any([signal, AbortSignal.timeout(connectTimeout)])
  const dials = [
    ...(await kubo.addresses({ signal })).map(address => async () => {
      await node.connect(address, { signal: limited() })
    }),
    ...node.multiaddrs.map(address => async () => {
      await kubo.connect(address, { signal: limited() })
    }),
  ]
  let failure: unknown
  for (const dial of dials) {
    try {
      await dial()
      return
    } catch (err) {
      signal.throwIfAborted()
      failure = err
    }
  }
  throw new Error("This node and the remote kubo can't connect to each other", { cause: failure })
}
