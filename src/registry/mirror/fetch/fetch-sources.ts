import type { LeafRange } from '../../../ipfs/digests/digest-messages.ts'
import type { Logger } from '../../../log.ts'
import type { SourceKind } from '../../repository.ts'
import type { BlobPeers } from './blob-peers.ts'
import type { BlobSource } from './blob-source.ts'
import { FetchJobs } from './fetch-jobs.ts'
import { FetchPeers } from './fetch-peers.ts'
import type { FetchedLeaves } from './fetched-leaves.ts'

export interface FetchSourcesComponents {
  leaves: FetchedLeaves
  /** Those that get the blob */
  repositories: ReadonlySet<string>
  /** Connected appliances; undefined: none are asked */
  peers: BlobPeers | undefined
  /** Called when what is to be fetched may have changed */
  onProgress: () => void
  /** Called where leaves can't be stored */
  onFull: (err: unknown) => void
  log: Logger
}

/** All that delivers leaves of one blob: upstreams, and peers that have some */
export class FetchSources {
  readonly #jobs: FetchJobs
  readonly #peers: FetchPeers | undefined
  #hopeUntil: number | undefined

  constructor(components: FetchSourcesComponents) {
    this.#jobs = new FetchJobs({
      ...components,
      answerTime: () => components.peers?.answerTime ?? 0,
      coverage: () => this.#peers?.coverage ?? { comes: () => false, before: () => 0 },
    })
    this.#peers = components.peers && this.#createPeers({ ...components, peers: components.peers })
  }

  /** What comes from upstream soon, and need not be fetched by others */
  get claims(): LeafRange[] {
    return this.#jobs.claims
  }

  add(sources: readonly BlobSource[]): void {
    this.#jobs.add(sources)
  }

  /** Asks peers for what they have */
  start(): void {
    this.#peers?.start()
  }

  /** Asks a peer, which fetches the blob too */
  ask(peer: string): void {
    this.#peers?.ask(peer)
  }

  /**
   * Begins to fetch what is needed now
   *
   * @returns why nothing more comes; undefined where it does
   */
  plan(): unknown {
    this.#peers?.fetch()
    if (this.#peers?.isReady === false) {
      return undefined
    }
    const failure = this.#jobs.plan()
    return failure === undefined || this.#mayPeersDeliver() ? undefined : failure
  }

  /** To be called with each leaf that is stored */
  stored(leaf: number, hash: Uint8Array, kind: SourceKind): void {
    if (kind === 'upstream') {
      this.#peers?.compare(leaf, hash)
    }
  }

  /** The whole does not match its digest: it comes once more, from whoever sent none of it */
  blame(): void {
    // a peer needs no log-in to lie
    if (this.#peers?.suspect() !== true) {
      this.#jobs.blame()
    }
  }

  /** The whole matches its digest: peers that sent something else are not asked again */
  judge(): void {
    this.#peers?.judge()
  }

  /** Resolves when nothing more comes that was asked for */
  async pause(): Promise<void> {
    await Promise.all([this.#jobs.stop(), this.#peers?.pause()])
  }

  async stop(): Promise<void> {
    await Promise.all([this.#jobs.stop(), this.#peers?.stop()])
  }

  #createPeers({ peers, ...components }: FetchSourcesComponents & { peers: BlobPeers }): FetchPeers {
    const jobs = this.#jobs
    return new FetchPeers({
      ...components,
      peers,
      upstream: {
        coming: () => jobs.coming,
        leafTime: () => jobs.leafTime,
        patience: () => jobs.patience,
        hasFailed: () => jobs.hasFailed,
        claimed: (peer, claims) => {
          // of two that begin with the same, one goes on
          if (peer < (peers.questions.self ?? '')) {
            jobs.leave(claims)
          }
        },
      },
    })
  }

  /** Whether peers have what is missing, or may tell of it soon */
  #mayPeersDeliver(): boolean {
    if (this.#peers?.mayDeliver === true) {
      this.#hopeUntil = undefined
      return true
    }
    // what others have got from upstream until now may not be told yet
    this.#hopeUntil ??= performance.now() + (this.#peers?.isShared === true ? this.#jobs.patience : 0)
    return performance.now() < this.#hopeUntil
  }
}
