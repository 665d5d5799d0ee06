import { CID } from 'multiformats/cid'
import type { Puller } from '../../access/rules/puller.ts'
import type { HistoryIndex } from '../../index/history-index.ts'
import type { Index } from '../../index/index.ts'
import type { DurableBlockstore } from '../../ipfs/blockstore/blockstore.ts'
import type { DigestAnswer, DigestAnswers } from '../../ipfs/digests/digest-server.ts'
import { leafRuns } from '../../ipfs/digests/leaf-runs.ts'
import type { Digest } from '../../oci/digest.ts'
import { sleepUntil } from '../../scheduling/sleep-until.ts'
import type { FetchedBlobs } from './fetched-blobs.ts'

/** A look-up takes less; milliseconds */
const refusalTime = 5

export interface KnownDigestsComponents {
  blockstore: Pick<DurableBlockstore, 'read'>
  index: Pick<Index, 'blob' | 'isBlobOwned'>
  /** What is here only to be undone, and for nobody; @default nothing is */
  withheld?: Pick<HistoryIndex, 'isBlobWithheld'> | undefined
  /** What a peer may pull by the rules of the moment */
  puller: (peer: string) => Puller | Promise<Puller>
}

/** Tells peers what is here of a digest: a blob of the repositories that the peer may pull from, whole or in part */
export class KnownDigests implements DigestAnswers {
  readonly #components: KnownDigestsComponents
  /** Blobs that are being fetched; undefined: none ever is */
  fetched: Pick<FetchedBlobs, 'answer'> | undefined

  constructor(components: KnownDigestsComponents) {
    this.#components = components
  }

  async answer(peer: string, digest: Digest): Promise<DigestAnswer | undefined> {
    const began = performance.now()
    const puller = await this.#components.puller(peer)
    if (!puller.something) {
      return undefined
    }
    const answer = (await this.#whole(puller, digest)) ?? this.fetched?.answer(peer, digest, puller.mayPull)
    if (answer === undefined && !puller.everything) {
      // the time does not tell whether the blob is here
      await sleepUntil(refusalTime + began)
    }
    return answer
  }

  async #whole(puller: Puller, digest: Digest): Promise<DigestAnswer | undefined> {
    const { blockstore, index, withheld } = this.#components
    const record = await index.blob(digest)
    const isMeant =
      record !== undefined &&
      (puller.everything
        ? (await withheld?.isBlobWithheld(digest)) !== true
        : await index.isBlobOwned(digest, puller.mayPull))
    if (!isMeant) {
      return undefined
    }
    const { cid, size } = record
    return {
      size,
      async *news({ signal }) {
        for await (const run of leafRuns(CID.parse(cid), { size }, node => blockstore.read(node, { signal }))) {
          yield { leaves: [run] }
        }
        yield { leaves: [], root: cid }
      },
    }
  }
}
