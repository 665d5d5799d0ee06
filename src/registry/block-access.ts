import type { CID } from 'multiformats/cid'
import type { Puller } from '../access/puller.ts'
import type { Index } from '../index/index.ts'
import { blockKey, type BlockSet } from '../ipfs/blocks/block-set.ts'

/**
 * Who gets a block: whoever may pull a repository that it belongs to. What belongs to none, such as the blocks of
 * images of other nodes, is for those who may pull everything.
 */
export class BlockAccess {
  readonly #index: Pick<Index, 'isOwned'>
  /** Blocks of the directory of tags that is published now, which has only what every peer may pull */
  published: Pick<BlockSet, 'has'> | undefined

  constructor({ index }: { index: Pick<Index, 'isOwned'> }) {
    this.#index = index
  }

  /** Returns at once where nothing has to be looked up */
  mayFetch(puller: Puller, cid: CID): boolean | Promise<boolean> {
    const { digest } = cid.multihash
    if (puller.everything || this.published?.has(blockKey(digest)) === true) {
      return true
    }
    return puller.something && this.#index.isOwned(digest, puller.mayPull)
  }
}
