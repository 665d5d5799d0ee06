import { parseHttpAddress } from '../../ipfs/retrieval/fetch-bytes.ts'
import { KuboContentStore } from '../../ipfs/kubo/kubo-content-store.ts'
import { ClientError } from '../errors.ts'
import type { AbortOptions } from '../abort-options.ts'

/** @throws ClientError where the address is none */
export function openKubo(address: string, options: AbortOptions): KuboContentStore {
  try {
    return new KuboContentStore(parseHttpAddress(address), options)
  } catch (err) {
    throw err instanceof RangeError ? new ClientError(err.message) : err
  }
}

export async function answers(kubo: KuboContentStore, options: AbortOptions): Promise<boolean> {
  try {
    await kubo.ping(options)
    return true
  } catch {
    options.signal?.throwIfAborted()
    return false
  }
}
