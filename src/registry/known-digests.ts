import { CID } from 'multiformats/cid'
import type { Puller } from '../access/puller.ts'
import type { Index } from '../index/index.ts'
import type { DurableBlockstore } from '../ipfs/blockstore/blockstore.ts'
import type { DigestAnswer, DigestAnswers } from '../ipfs/digests/digest-server.ts'
import { leafRuns } from '../ipfs/digests/leaf-runs.ts'
import type { Digest } from '../oci/digest.ts'
import { sleepUntil } from '../scheduling/sleep-until.ts'

/** A look-up takes less; milliseconds */
const refusalTime = 5

/** A blob that is being fetched, which can be told of while it comes */
export interface FetchedDigests {
  /** @returns undefined where the digest is not being fetched, or for no repository that is meant */
  answer: (digest: Digest, isMeant: (repository: string) => boolean) => DigestAnswer | undefined
}

export interface KnownDigestsComponents {
  blockstore: Pick<DurableBlockstore, 'read'>
  index: Pick<Index, 'blob' | 'isBlobOwned'>
  /** What a peer may pull by the rules of the moment */
  puller: (peer: string) => Puller | Promise<Puller>
  /** @default nothing is ever fetched */
  fetches?: FetchedDigests | undefined
}

/** Tells peers what is here of a digest: a blob of the repositories that the peer may pull from, whole or in part */
export class KnownDigests implements DigestAnswers {
  readonly #components: KnownDigestsComponents

  constructor(components: KnownDigestsComponents) {
    this.#components = components
  }

  async answer(peer: string, digest: Digest): Promise<DigestAnswer | undefined> {
    const began = performance.now()
    const puller = await this.#components.puller(peer)
    if (!puller.something) {
      return undefined
    }
    const answer = (await this.#whole(puller, digest)) ?? this.#components.fetches?.answer(digest, puller.mayPull)
    if (answer === undefined && !puller.everything) {
      // the time does not tell whether the blob is here
      await sleepUntil(refusalTime + began)
    }
    return answer
  }

  async #whole(puller: Puller, digest: Digest): Promise<DigestAnswer | undefined> {
    const { blockstore, index } = this.#components
    const record = await index.blob(digest)
    if (record === undefined || !(puller.everything || (await index.isBlobOwned(digest, puller.mayPull)))) {
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
