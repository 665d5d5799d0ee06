import type { Index } from '../../../index/index.ts'
import { BufferPool } from '../../../ipfs/blocks/buffer-pool.ts'
import type { StorageSpace } from '../../../ipfs/blockstore/storage-space.ts'
import type { Content, ContentStore } from '../../../ipfs/content-store.ts'
import { maxFreeBuffers } from '../../../ipfs/content/leaf-limits.ts'
import { hashBytes, leafCid, leafSize } from '../../../ipfs/dag/encode-node.ts'
import type { Logger } from '../../../log.ts'
import type { Digest } from '../../../oci/digest.ts'
import { OciError } from '../../../oci/errors.ts'
import { forEach } from '../../../scheduling/for-each.ts'
import { translateErrors } from '../../errors.ts'
import type { DigestAnswer } from '../../../ipfs/digests/digest-server.ts'
import type { FetchedBlobs } from '../../sharing/fetched-blobs.ts'
import type { LinkGuard } from '../../link-guard.ts'
import type { BlobPeers } from './blob-peers.ts'
import { BlobFetch } from './blob-fetch.ts'
import type { BlobSource } from './blob-source.ts'
import type { FetchProgress } from './fetched-leaves.ts'
import { FetchState } from './fetch-state.ts'

const hour = 60 * 60 * 1000
/** Fetches that go on by themselves after a start, at a time */
const resumedAtOnce = 2

export interface BlobFetchesComponents {
  content: Pick<ContentStore, 'sparseWriter' | 'sync'>
  index: Pick<Index, 'change' | 'fetch' | 'fetchLeaves' | 'fetches'>
  links: Pick<LinkGuard, 'add'>
  /** Asked before a blob is fetched */
  space: Pick<StorageSpace, 'require'>
  /** Whether a blob is here, and can be read as far as is known */
  isHere: (digest: Digest) => Promise<boolean>
  /** Where a blob of a repository can be had from; empty where nowhere, as its upstream is no longer configured */
  sourcesOf: (repository: string, digest: Digest) => BlobSource[]
  /** Connected appliances; undefined: none are asked */
  peers?: BlobPeers | undefined
  /** Told of each blob that is whole, with the repositories that have got it */
  onWhole: (blob: { digest: Digest; size: number }, repositories: readonly string[]) => void
  /** Called with the bytes of each leaf that is stored */
  onStored: (bytes: number) => void
  log: Logger
}

export interface BlobFetchesInit {
  /** A fetch that does not go on is forgotten after this long; milliseconds */
  expiry: number
  /**
   * How long a fetch goes on that nobody waits for and of which less than half is here; milliseconds
   *
   * @default 30 s
   */
  idleTime?: number | undefined
}

/** Fetches of blobs: one for a blob, however many ask for it */
export class BlobFetches implements FetchedBlobs {
  readonly #components: BlobFetchesComponents
  readonly #expiry: number
  readonly #idleTime: number
  readonly #buffers = new BufferPool(leafSize, maxFreeBuffers)
  readonly #running = new Map<string, Promise<BlobFetch | undefined>>()
  /** Those of the map that have begun */
  readonly #begun = new Map<string, BlobFetch>()
  #controller = new AbortController()
  #resuming: Promise<void> = Promise.resolve()
  #timer: NodeJS.Timeout | undefined

  constructor(components: BlobFetchesComponents, { expiry, idleTime = 30_000 }: BlobFetchesInit) {
    this.#components = components
    this.#expiry = expiry
    this.#idleTime = idleTime
  }

  /** For the leaves of a source */
  get buffers(): BufferPool {
    return this.#buffers
  }

  /** Goes on with what was under way when the server ended, in the background */
  async start(): Promise<void> {
    this.#controller = new AbortController()
    await this.expire()
    this.#timer ??= setInterval(() => {
      this.expire().catch((err: unknown) => {
        this.#components.log.error('expiring fetches failed', { err })
      })
    }, hour).unref()
    this.#resuming = this.#resume(this.#controller.signal).catch((err: unknown) => {
      this.#components.log.error('fetches were not resumed', { err })
    })
  }

  /** What is under way is saved, and goes on after the next start */
  async stop(): Promise<void> {
    clearInterval(this.#timer)
    this.#timer = undefined
    const reason = new OciError('UNAVAILABLE', { detail: { reason: 'the server stops' } })
    this.#controller.abort(reason)
    await Promise.all(
      Array.from(this.#begun.values(), async fetch => {
        await fetch.stop(reason, { active: true })
      }),
    )
    await this.#resuming
  }

  /**
   * Joins the fetch of a blob, or begins one
   *
   * @returns undefined where the blob has got here in the meantime
   * @throws OciError STORAGE_FULL or BLOB_TOO_LARGE; that it does not come is known only once it is read
   */
  async open(repository: string, digest: Digest, size: number): Promise<BlobFetch | undefined> {
    const fetch = await this.#join(FetchState.idOf(digest, size), digest, size)
    fetch?.add(repository, this.#components.sourcesOf(repository, digest))
    fetch?.start()
    return fetch
  }

  /** Whether a blob is being fetched, and for other repositories alone */
  isOfOthers(repository: string, digest: Digest, size: number): boolean {
    return this.#begun.get(FetchState.idOf(digest, size))?.repositories.has(repository) === false
  }

  /** How far the fetches of the blobs of a repository are */
  progressIn(repository: string): Map<Digest, FetchProgress> {
    const fetches = [...this.#begun.values()].filter(({ repositories }) => repositories.has(repository))
    return new Map(fetches.map(({ digest, progress }) => [digest, progress]))
  }

  /** The blobs that come now, with the repositories that get them */
  transfers(): { digest: Digest; repositories: string[]; progress: FetchProgress }[] {
    return Array.from(this.#begun.values(), ({ digest, progress, repositories }) => ({
      digest,
      progress,
      repositories: [...repositories],
    }))
  }

  answer(peer: string, digest: Digest, isMeant: (repository: string) => boolean): DigestAnswer | undefined {
    return [...this.#begun.values()].find(fetch => fetch.digest === digest && isOf(fetch, isMeant))?.answer(peer)
  }

  hasBlock(hash: Uint8Array, isMeant: (repository: string) => boolean): boolean {
    return [...this.#begun.values()].some(fetch => fetch.hasBlock(hash) && isOf(fetch, isMeant))
  }

  /** Forgets fetches that did not go on for long; what they have stored is garbage then */
  async expire({ idle = Infinity }: { idle?: number | undefined } = {}): Promise<void> {
    const { index, log } = this.#components
    const before = Date.now() - Math.min(idle, this.#expiry)
    for await (const { id, record } of index.fetches()) {
      if (Date.parse(record.updated) <= before && !this.#running.has(id)) {
        await index.change().deleteFetch(id).commit({ durable: false })
        log.info('fetch expired', { digest: record.digest, size: record.size })
      }
    }
  }

  /**
   * The blocks that garbage collection must keep for fetches. What is in memory is read first and all at once, at the
   * first step of the iteration, so that it lacks only what is stored later.
   */
  async *blocks(): AsyncGenerator<{ cid: string; isFile: boolean }> {
    const { index } = this.#components
    const known = Array.from(this.#begun.values(), fetch => fetch.blocks())
    for (const blocks of known) {
      yield* blocks.map(cid => ({ cid, isFile: false }))
    }
    for await (const { id } of index.fetches()) {
      for await (const { hashes } of index.fetchLeaves(id)) {
        for (let at = 0; at < hashes.byteLength; at += hashBytes) {
          const hash = hashes.slice(at, at + hashBytes)
          if (hash.some(byte => byte !== 0)) {
            yield { cid: leafCid(hash).toString(), isFile: false }
          }
        }
      }
    }
  }

  async #join(id: string, digest: Digest, size: number): Promise<BlobFetch | undefined> {
    for (;;) {
      let opening = this.#running.get(id)
      if (opening === undefined) {
        opening = this.#begin(id, digest, size)
        this.#running.set(id, opening)
      }
      const fetch = await opening
      if (fetch === undefined || !fetch.hasEnded) {
        return fetch
      }
      // it has failed, and saves what it has: the next one goes on from there
      await fetch.ended
    }
  }

  async #begin(id: string, digest: Digest, size: number): Promise<BlobFetch | undefined> {
    const { content, index, isHere, log, onStored, peers, space } = this.#components
    const end = (): void => {
      this.#running.delete(id)
      this.#begun.delete(id)
    }
    try {
      // whoever asks may have looked before the fetch before this one had ended
      if (await isHere(digest)) {
        end()
        return undefined
      }
      const state = new FetchState({ index, log }, id)
      const saved = await state.load(Math.max(1, Math.ceil(size / leafSize)))
      await translateErrors(async () => {
        await space.require(0, size)
      })
      const fetch = new BlobFetch(
        {
          ...{ content, state, log, onStored, peers, buffers: this.#buffers, onEnd: end },
          link: async (fetch, file, blockKeys) => {
            await this.#link(id, fetch, file, blockKeys)
          },
        },
        { digest, size, saved: saved?.state, idleTime: this.#idleTime },
      )
      this.#begun.set(id, fetch)
      return fetch
    } catch (err) {
      end()
      throw err
    }
  }

  async #link(id: string, { digest, repositories }: BlobFetch, file: Content, blockKeys: Uint8Array): Promise<void> {
    const { index, links, onWhole } = this.#components
    const linked = [...repositories]
    await links.add(digest, async () => {
      const { cid, dagSize, size } = file
      const change = index.change().putBlob(digest, { cid, dagSize, size }).putBlobBlocks(digest, blockKeys)
      for (const repository of linked) {
        change.putLink(repository, digest)
      }
      await change.deleteFetch(id).commit({ durable: true })
    })
    onWhole({ digest, size: file.size }, linked)
  }

  async #resume(signal: AbortSignal): Promise<void> {
    const { index, log, sourcesOf } = this.#components
    const active = (await Array.fromAsync(index.fetches())).filter(({ record }) => record.active)
    await forEach(active, resumedAtOnce, undefined, async ({ record: { digest, repositories, size } }) => {
      const served = repositories.filter(repository => sourcesOf(repository, digest).length > 0)
      if (signal.aborted || served.length === 0) {
        return
      }
      try {
        for (const repository of served) {
          await this.open(repository, digest, size)
        }
        const fetch = await this.open(served[0]!, digest, size)
        using _hold = fetch?.hold()
        await fetch?.whole
      } catch (err) {
        log.warn('a fetch does not go on after the restart; it will when it is asked for', { digest, err })
      }
    })
  }
}

function isOf({ repositories }: BlobFetch, isMeant: (repository: string) => boolean): boolean {
  return [...repositories].some(isMeant)
}
