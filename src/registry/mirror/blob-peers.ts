import { LRUCache } from 'lru-cache'
import type { CID } from 'multiformats/cid'
import type { DigestQuestions } from '../../ipfs/digests/digest-client.ts'
import type { Logger } from '../../log.ts'

const hour = 60 * 60 * 1000
const maxDistrusted = 10_000

/** How blobs are found and fetched at connected appliances */
export interface BlobPeersComponents {
  questions: DigestQuestions
  /** Fetches a block, which matches its CID, from a peer */
  blocks: { fetch: (peer: string, cid: CID, options: { signal: AbortSignal }) => Promise<Uint8Array> }
  /** Whether a connected peer is asked what it has, and so learns what is wanted here. @default all are */
  mayAsk?: ((peer: string) => boolean) | undefined
  log: Logger
}

/** Connected appliances that can be asked for blobs; one that lied is not asked for an hour */
export class BlobPeers {
  readonly #components: BlobPeersComponents
  readonly #distrusted = new LRUCache<string, true>({ max: maxDistrusted, ttl: hour })

  constructor(components: BlobPeersComponents) {
    this.#components = components
  }

  get questions(): DigestQuestions {
    return this.#components.questions
  }

  get blocks(): BlobPeersComponents['blocks'] {
    return this.#components.blocks
  }

  mayAsk(peer: string): boolean {
    return this.#components.mayAsk?.(peer) ?? true
  }

  isTrusted(peer: string): boolean {
    return !this.#distrusted.has(peer)
  }

  distrust(peer: string): void {
    this.#distrusted.set(peer, true)
    this.#components.log.warn('a peer sent bytes that do not match their digest', { peer })
  }
}
