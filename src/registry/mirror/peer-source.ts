import { LRUCache } from 'lru-cache'
import type { CID } from 'multiformats/cid'
import type { DigestQuestions } from '../../ipfs/digests/digest-client.ts'
import { hashBytes, leafCid, leafSize } from '../../ipfs/dag/encode-node.ts'
import type { Logger } from '../../log.ts'
import { OciError } from '../../oci/errors.ts'
import type { BlobSource, FetchJob } from './blob-source.ts'

/** How long an upstream waits for what peers say; milliseconds */
const questionTime = 300
/** Leaves that are asked for at a time */
const inFlight = 8
const hour = 60 * 60 * 1000
const maxDistrusted = 10_000

/** What the sources of all blobs share */
export interface BlobPeersComponents {
  questions: DigestQuestions
  /** Fetches a block, which matches its CID, from a peer */
  blocks: { fetch: (peer: string, cid: CID, options: { signal: AbortSignal }) => Promise<Uint8Array> }
  log: Logger
}

/** Connected appliances as sources of blobs; one that lied is not asked for an hour */
export class BlobPeers {
  readonly components: BlobPeersComponents
  readonly #distrusted = new LRUCache<string, true>({ max: maxDistrusted, ttl: hour })

  constructor(components: BlobPeersComponents) {
    this.components = components
  }

  /** Those that can be asked */
  trusted(): string[] {
    return this.components.questions.peers().filter(peer => !this.#distrusted.has(peer))
  }

  distrust(peer: string): void {
    this.#distrusted.set(peer, true)
    this.components.log.warn('a peer sent bytes that do not match their digest', { peer })
  }
}

/** A peer that has a blob whole, with the hashes of its leaves as it claims them */
interface Holder {
  peer: string
  hashes: Uint8Array
}

/** Delivers a blob that a connected appliance has, leaf by leaf by bitswap */
export class PeerSource implements BlobSource {
  readonly kind = 'peer'
  readonly name = 'peers'
  readonly maxJobs = 1
  readonly #peers: BlobPeers
  #holder: Holder | undefined

  constructor(peers: BlobPeers) {
    this.#peers = peers
  }

  /** @throws OciError BLOB_UNKNOWN where no peer has it; UnavailableError where one does not deliver */
  async fetch(job: FetchJob): Promise<void> {
    this.#holder ??= await this.#find(job)
    if (this.#holder === undefined) {
      throw new OciError('BLOB_UNKNOWN', { detail: { digest: job.digest } })
    }
    const { hashes, peer } = this.#holder
    const stop = new AbortController()
    const signal = AbortSignal.any([job.signal, stop.signal])
    const coming: Array<Promise<Uint8Array>> = []
    try {
      for (let leaf = job.from, next = job.from; leaf < job.to; leaf++) {
        for (; next < Math.min(job.to, leaf + inFlight); next++) {
          const cid = leafCid(hashes.slice(next * hashBytes, (next + 1) * hashBytes))
          const block = this.#peers.components.blocks.fetch(peer, cid, { signal })
          // what is not awaited any more may fail
          block.catch(() => {})
          coming.push(block)
        }
        const bytes = await coming.shift()!
        job.signal.throwIfAborted()
        if (bytes.byteLength !== Math.min(leafSize, job.size - leaf * leafSize)) {
          this.blame()
          throw new OciError('BLOB_UNKNOWN', { detail: { digest: job.digest } })
        }
        await job.deliver(leaf, bytes)
      }
    } finally {
      stop.abort()
    }
  }

  /** The whole does not match its digest */
  blame(): void {
    if (this.#holder !== undefined) {
      this.#peers.distrust(this.#holder.peer)
    }
  }

  async #find(job: FetchJob): Promise<Holder | undefined> {
    const stop = new AbortController()
    const signal = AbortSignal.any([job.signal, stop.signal, AbortSignal.timeout(questionTime)])
    try {
      return await Promise.any(this.#peers.trusted().map(async peer => await this.#ask(peer, job, signal)))
    } catch {
      return undefined
    } finally {
      stop.abort()
    }
  }

  async #ask(peer: string, { digest, size }: FetchJob, signal: AbortSignal): Promise<Holder> {
    const leafCount = Math.max(1, Math.ceil(size / leafSize))
    const hashes = new Uint8Array(leafCount * hashBytes)
    let known = 0
    for await (const { leaves, root } of this.#peers.components.questions.ask(peer, digest, { size, signal })) {
      for (const run of leaves) {
        hashes.set(run.hashes, run.first * hashBytes)
        known += run.hashes.byteLength / hashBytes
      }
      if (root !== undefined && known === leafCount) {
        return { peer, hashes }
      }
    }
    throw new Error('the peer does not have it whole')
  }
}
