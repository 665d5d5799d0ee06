import { parseHttpAddress } from '../../ipfs/retrieval/http-address.ts'
import { KuboContentStore } from '../../ipfs/kubo/kubo-content-store.ts'
import { ClientError } from '../../remote/errors.ts'
import type { AbortOptions } from '../../remote/abort-options.ts'

/**
 * A kubo by the address of its RPC API: `host:port`, URL or multiaddr
 *
 * @throws ClientError if it is not an address
 */
export function openKubo(address: string, options: AbortOptions): KuboContentStore {
  return new KuboContentStore(parseAddress(address), options)
}

/** @throws ClientError if the text is not the address of an HTTP server */
export function parseAddress(text: string): URL {
  try {
    return parseHttpAddress(text)
  } catch (err) {
    throw err instanceof RangeError ? new ClientError(err.message) : err
  }
}

/** Whether a kubo answers at its address */
export async function answers(kubo: KuboContentStore, options: AbortOptions): Promise<boolean> {
  try {
    await kubo.ping(options)
    return true
  } catch {
    options.signal?.throwIfAborted()
    return false
  }
}
