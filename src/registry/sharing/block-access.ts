import type { CID } from 'multiformats/cid'
import type { Puller } from '../../access/rules/puller.ts'
import type { HistoryIndex } from '../../index/history-index.ts'
import type { Index } from '../../index/index.ts'
import { digestFrom, type Digest } from '../../oci/digest.ts'
import type { FetchedBlobs } from './fetched-blobs.ts'
import type { IndexCondition } from '../index-condition.ts'
import { blockKey, type BlockSet } from '../../ipfs/blocks/block-set.ts'
import { sleepUntil } from '../../scheduling/sleep-until.ts'

/** A look-up takes less; milliseconds */
const refusalTime = 3

export interface BlockAccessComponents {
  condition: Pick<IndexCondition, 'hasBlockLists'>
  index: Pick<Index, 'isBlobOwned' | 'isOwned'>
  /** What is here only to be undone, and for nobody; @default nothing is */
  withheld?: Pick<HistoryIndex, 'isWithheld'> | undefined
}

/**
 * Who gets a block: whoever may pull a repository that it belongs to. What belongs to none, such as the blocks of
 * images of other nodes, is for those who may pull everything. What is here only to be undone is for nobody.
 */
export class BlockAccess {
  readonly #index: BlockAccessComponents['index']
  readonly #withheld: BlockAccessComponents['withheld']
  /** Until it is known which blocks are of which repositories, each may be of one */
  readonly #condition: Pick<IndexCondition, 'hasBlockLists'>
  /** Blocks of the directory of tags that is published now, which has only what every peer may pull */
  published: Pick<BlockSet, 'has'> | undefined
  /** Blobs that are being fetched, whose blocks the index does not know yet; undefined: none ever is */
  fetched: Pick<FetchedBlobs, 'hasBlock'> | undefined

  constructor({ condition, index, withheld }: BlockAccessComponents) {
    this.#condition = condition
    this.#withheld = withheld
    this.#index = index
  }

  /** Returns at once where nothing has to be looked up */
  mayFetch(puller: Puller, cid: CID): boolean | Promise<boolean> {
    const { digest } = cid.multihash
    if (this.published?.has(blockKey(digest)) === true) {
      return true
    }
    if (puller.everything) {
      const isWithheld = this.#withheld?.isWithheld(digest) ?? false
      return typeof isWithheld === 'boolean' ? !isWithheld : isWithheld.then(answer => !answer)
    }
    return puller.something && this.#isOf(digest, puller.mayPull)
  }

  /** Whether a puller may get what a CID is provided for: a block, or a blob where it is the CID of its digest */
  async mayGet(puller: Puller, cid: CID): Promise<boolean> {
    return (
      (await this.mayFetch(puller, cid)) ||
      (puller.something && (await this.#index.isBlobOwned(digestIn(cid), puller.mayPull)))
    )
  }

  /** The same for a peer: where it gets nothing, the time does not tell whether the block is here */
  mayPeerFetch(puller: Puller, cid: CID): boolean | Promise<boolean> {
    const answer = this.mayFetch(puller, cid)
    return typeof answer === 'boolean' ? answer : evenly(answer)
  }

  /** The same for what was found at other nodes: beside that, what is of no repository here */
  async mayFetchFound(puller: Puller, cid: CID): Promise<boolean> {
    return (
      (await this.mayFetch(puller, cid)) ||
      (this.#condition.hasBlockLists && !(await this.#isOf(cid.multihash.digest, () => true)))
    )
  }

  async #isOf(hash: Uint8Array, isMeant: (repository: string) => boolean): Promise<boolean> {
    return this.fetched?.hasBlock(hash, isMeant) === true || (await this.#index.isOwned(hash, isMeant))
  }
}

function digestIn({ multihash: { digest } }: CID): Digest {
  return digestFrom('sha256', Buffer.from(digest).toString('hex'))
}

async function evenly(answer: Promise<boolean>): Promise<boolean> {
  const began = performance.now()
  if (await answer) {
    return true
  }
  await sleepUntil(began + refusalTime)
  return false
}
