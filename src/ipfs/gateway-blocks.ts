import type { CID } from 'multiformats/cid'
import { BufferPool } from './buffer-pool.ts'
import type { ContentReader, StoreOptions } from './content-store.ts'
import { leafSize } from './dag.ts'
import { DagReader } from './dag-reader.ts'
import { fetchBytes, verifyBlock } from './http-blocks.ts'

const readAhead = 8
const maxFreeBuffers = 16

/**
 * Reads through an HTTP gateway, which is not believed: it is asked for single blocks, and each is checked
 *
 * @see https://specs.ipfs.tech/http-gateways/trustless-gateway/
 */
export function gatewayReader (gateway: URL): ContentReader {
  const blocks = {
    read: async (cid: CID, { signal }: StoreOptions = {}) => {
      const bytes = await fetchBytes(new URL(`ipfs/${cid.toString()}?format=raw`, gateway), { signal, headers: { Accept: 'application/vnd.ipld.raw' } })
      await verifyBlock(cid, bytes)
      return bytes
    }
  }
  return new DagReader({ blocks, buffers: new BufferPool(leafSize, maxFreeBuffers) }, { readAhead })
}
