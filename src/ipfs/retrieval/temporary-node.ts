import { mkdtempDisposable } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { MemoryDatastore } from 'datastore-core'
import type { Logger } from '../../log.ts'
import { DurableBlockstore } from '../blockstore/blockstore.ts'
import type { ContentReader, StoreOptions } from '../content-store.ts'
import { Gateways } from './gateways.ts'
import type { NetworkProfile } from '../node/libp2p.ts'
import { Names } from '../names/names.ts'
import { IpfsNode } from '../node/node.ts'
import { Retrieval } from './retrieval.ts'

const second = 1000
/** Longer than an appliance waits, as a node that has just started knows no peers yet */
const retrievalTimeout = 120 * second
/** Required, but without effect: this node never publishes a name */
const republish = 24 * 3600 * second

export interface TemporaryNodeInit {
  network: NetworkProfile
  /** Multiaddrs of peers that may have the content */
  peers: readonly string[]
}

export interface TemporaryNode extends AsyncDisposable {
  reader: ContentReader
  /**
   * Resolves an IPNS name, which may be a key or a domain
   *
   * @throws UnavailableError, NameNotFoundError
   */
  resolveName: (name: string, options?: StoreOptions) => Promise<{ cid: string; path: readonly string[] }>
}

/** Starts an IPFS node whose identity and blocks are deleted when it is disposed of */
export async function startTemporaryNode(
  { log }: { log: Logger },
  { network, peers }: TemporaryNodeInit,
): Promise<TemporaryNode> {
  await using started = new AsyncDisposableStack()
  const directory = started.use(await mkdtempDisposable(join(tmpdir(), 'ipdr-')))
  const blockstore = new DurableBlockstore(directory.path, { fsync: false })
  await blockstore.open()
  started.defer(async () => {
    await blockstore.close()
  })
  const datastore = new MemoryDatastore()
  const node = new IpfsNode(
    { blockstore, datastore, log },
    { network, host: '0.0.0.0', port: 0, peers, bootstrap: [], announce: [] },
  )
  await node.start()
  started.defer(async () => {
    await node.stop()
  })
  const names = new Names({ node, datastore, log }, { network, dns: [], republish })
  await names.start()
  started.defer(async () => {
    await names.stop()
  })
  const reader = new Retrieval(
    { blockstore, node, gateways: new Gateways({ log }, []), log },
    { timeout: retrievalTimeout },
  )
  const stack = started.move()
  return {
    reader,
    resolveName: async (name, options) => await names.resolve(name, options),
    [Symbol.asyncDispose]: async () => {
      await stack.disposeAsync()
    },
  }
}
