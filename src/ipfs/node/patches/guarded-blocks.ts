import { NotFoundError } from 'interface-store'
import type { CID } from 'multiformats/cid'
import type { Ledger } from './bitswap-parts.ts'

/**
 * Has a peer see only the blocks that it may fetch. Bitswap looks for a block when it is wanted, and once more when it
 * is sent, as when it has come from elsewhere in between; both looks go through here, so rules that change in between
 * count.
 */
export function guardBlocks(
  ledger: Pick<Ledger, 'blockstore'>,
  mayFetch: (cid: CID) => boolean | Promise<boolean>,
): void {
  const { blockstore } = ledger
  ledger.blockstore = {
    has: async (cid, options) => (await mayFetch(cid)) && (await blockstore.has(cid, options)),
    async *get(cid, options) {
      if (!(await mayFetch(cid))) {
        throw new NotFoundError()
      }
      yield* blockstore.get(cid, options)
    },
  }
}
