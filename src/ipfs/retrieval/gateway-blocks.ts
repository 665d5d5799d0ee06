import type { CID } from 'multiformats/cid'
import { BufferPool } from '../blocks/buffer-pool.ts'
import type { ContentReader, StoreOptions } from '../content-store.ts'
import { leafSize } from '../dag/encode-node.ts'
import { DagReader } from '../content/dag-reader.ts'
import { leavesReadAhead, maxFreeBuffers } from '../content/leaf-limits.ts'
import { fetchBytes } from './fetch-bytes.ts'
import { verifyBlock } from '../blocks/verify-block.ts'

/**
 * Fetches one block from an HTTP gateway, and compares it with its CID
 *
 * @param gateway URL with a path that ends with a slash
 * @throws UnavailableError where it does not deliver the block, DamagedBlockError where what it delivers does not match
 *   the CID
 * @see https://specs.ipfs.tech/http-gateways/trustless-gateway/
 */
export async function fetchGatewayBlock(gateway: URL, cid: CID, { signal }: StoreOptions = {}): Promise<Uint8Array> {
  const bytes = await fetchBytes(new URL(`ipfs/${cid.toString()}?format=raw`, gateway), {
    signal,
    headers: { Accept: 'application/vnd.ipld.raw' },
  })
  await verifyBlock(cid, bytes)
  return bytes
}

/** Reads files and directories through an HTTP gateway, block by block */
export function gatewayReader(gateway: URL): ContentReader {
  const blocks = { read: async (cid: CID, options?: StoreOptions) => await fetchGatewayBlock(gateway, cid, options) }
  return new DagReader(
    { blocks, buffers: new BufferPool(leafSize, maxFreeBuffers) },
    { readAhead: leavesReadAhead.gateway },
  )
}
