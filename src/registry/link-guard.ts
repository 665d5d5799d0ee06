import { RecentSet } from '../ipfs/blockstore/recent-set.ts'
import type { Digest } from '../oci/digest.ts'
import { digestKey } from './digest-key.ts'
import { KeyedLock } from '../scheduling/keyed-lock.ts'

export interface LinkGuardInit {
  /** A blob that a client asked for has so long to get into a manifest; milliseconds */
  period: number
  /** @default Date.now */
  now?: () => number
}

/**
 * Keeps garbage collection off the blobs that clients rely on, though no manifest refers to them yet. It is shared by all who link blobs, ask
 * for them or delete them.
 */
export class LinkGuard {
  /** Held by name while the manifests of a repository change, so that what was checked still holds when it is written */
  readonly repositories = new KeyedLock()
  /** Held by digest while a blob gets or loses a link, or its record goes */
  readonly #blobs = new KeyedLock()
  readonly #asked: RecentSet
  /** What got a link while somebody holds on to it */
  readonly #linked = new RecentSet({ period: 0 })
  readonly #period: number
  readonly #now: () => number
  readonly #started: number
  readonly #deletions = new Map<string, Promise<void>>()

  constructor({ period, now = Date.now }: LinkGuardInit) {
    this.#period = period
    this.#now = now
    this.#started = now()
    this.#asked = new RecentSet({ period, now })
  }

  /** To be called before it is looked whether a repository has a blob; resolves when a deletion of that that is under way has ended */
  ask(repository: string, digest: Digest): Promise<void> | undefined {
    this.#asked.note(digestKey(digest))
    return this.#deletions.get(`${repository}:${digest}`)
  }

  /** Runs what gives the blob a link, once it is sure that it is there */
  async add<T>(digest: Digest, work: () => Promise<T>): Promise<T> {
    return await this.#blobs.run(digest, async () => {
      this.#asked.note(digestKey(digest))
      try {
        return await work()
      } finally {
        // a collection may have begun meanwhile, and may have looked for the link before it was there
        this.#linked.note(digestKey(digest))
      }
    })
  }

  /** Until it is disposed of, {@link removeBlob} leaves blobs alone that get a link from now on */
  beginCollection(): Disposable {
    return this.#linked.hold()
  }

  /**
   * @param updated when the link was made; undefined where nobody knows
   * @param period milliseconds, where it is to be shorter than usual
   * @returns whether nobody has relied on it for the period. What happened before the start is not known, so it counts as if it was asked for then.
   */
  isForgotten(digest: Digest, updated: string | undefined, period = Infinity): boolean {
    const last = updated === undefined ? this.#started : Math.max(this.#started, Date.parse(updated))
    const least = Math.min(period, this.#period)
    return this.#now() - last >= least && !this.#asked.has(digestKey(digest), least)
  }

  /**
   * Deletes a link that is forgotten; whoever asks for it meanwhile waits
   *
   * @param updated reads when it was made
   * @param period as {@link isForgotten}
   * @returns whether it was deleted
   */
  async removeLink(
    repository: string,
    digest: Digest,
    updated: () => Promise<{ updated?: string | undefined } | undefined>,
    work: () => Promise<void>,
    period?: number,
  ): Promise<boolean> {
    return await this.#blobs.run(digest, async () => {
      const record = await updated()
      // from here to the entry of the deletion is no pause
      if (record === undefined || !this.isForgotten(digest, record.updated, period)) {
        return false
      }
      const key = `${repository}:${digest}`
      const deletion = work()
      this.#deletions.set(
        key,
        deletion.then(
          () => {},
          () => {},
        ),
      )
      try {
        await deletion
        return true
      } finally {
        this.#deletions.delete(key)
      }
    })
  }

  /**
   * Deletes the record of a blob that had no link when it was looked for one, unless it has got one since the collection began
   *
   * @returns whether it was deleted
   */
  async removeBlob(digest: Digest, work: () => Promise<void>): Promise<boolean> {
    return await this.#blobs.run(digest, async () => {
      if (this.#linked.has(digestKey(digest))) {
        return false
      }
      await work()
      return true
    })
  }
}
