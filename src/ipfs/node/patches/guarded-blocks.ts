import { NotFoundError } from 'interface-store'
import type { Ledger } from './bitswap-parts.ts'

/**
 * Has a peer see no block while it may not fetch any. Bitswap looks for a block when it is wanted, and once more when
 * it is sent, as when it has come from elsewhere in between; both looks go through here, so rules that change in
 * between count.
 */
export function guardBlocks(ledger: Pick<Ledger, 'blockstore'>, mayFetch: () => boolean): void {
  const { blockstore } = ledger
  ledger.blockstore = {
    has: async (cid, options) => mayFetch() && (await blockstore.has(cid, options)),
    async *get(cid, options) {
      if (!mayFetch()) {
        throw new NotFoundError()
      }
      yield* blockstore.get(cid, options)
    },
  }
}
