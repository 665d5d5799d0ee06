/**
 * Prevents a race between pushes and garbage collection. A link says that a repository may serve a blob. A collection
 * deletes the links of blobs that no manifest names; but a client often relies on such a blob for a while before it
 * pushes the manifest. Without a guard, this would happen:
 *
 * 1. The client asks `HEAD blobs/sha256:abc`, and is told that the blob is there. It does not push it.
 * 2. A collection finds no manifest that names the blob, and deletes the link.
 * 3. The client pushes its manifest, which names the blob, and gets MANIFEST_BLOB_UNKNOWN.
 *
 * So the guard remembers which blobs clients asked for or pushed lately ({@link LinkGuard.ask}, {@link LinkGuard.add}),
 * and a collection deletes only links that nobody has relied on for the grace period ({@link LinkGuard.isForgotten}). A
 * question that arrives while the link is being deleted waits for the deletion, and so gets the right answer: not
 * there.
 *
 * Whoever adds a link, answers whether a blob is there, or deletes a link or blob record has to go through the same
 * guard.
 */
import { RecentSet } from '../ipfs/blockstore/recent-set.ts'
import type { Digest } from '../oci/digest.ts'
import { digestKey } from './digest-key.ts'
import { KeyedLock } from '../scheduling/keyed-lock.ts'

export interface LinkGuardInit {
  /** The grace period: how long a blob that a client asked for may take to get into a manifest; milliseconds */
  period: number
  /** @default Date.now */
  now?: () => number
}

export class LinkGuard {
  /**
   * Held by repository while its manifests change, and while a collection looks which links they need: what was checked
   * under the lock still holds when it is written
   */
  readonly repositories = new KeyedLock()
  /** Held by digest while the blob gets or loses a link, or its record is deleted */
  readonly #blobs = new KeyedLock()
  readonly #asked: RecentSet
  /** Blobs that got a link during a collection */
  readonly #linked = new RecentSet({ period: 0 })
  readonly #period: number
  readonly #now: () => number
  readonly #started: number
  /** Deletions of links that are under way, by `<repository>:<digest>` */
  readonly #deletions = new Map<string, Promise<void>>()

  constructor({ period, now = Date.now }: LinkGuardInit) {
    this.#period = period
    this.#now = now
    this.#started = now()
    this.#asked = new RecentSet({ period, now })
  }

  /**
   * To be called before a client is told whether a repository has a blob
   *
   * @returns where the link is being deleted: a promise to await before looking
   */
  ask(repository: string, digest: Digest): Promise<void> | undefined {
    this.#asked.note(digestKey(digest))
    return this.#deletions.get(`${repository}:${digest}`)
  }

  /** Runs `work`, which adds a link to a blob after it has made sure that the blob is there */
  async add<T>(digest: Digest, work: () => Promise<T>): Promise<T> {
    return await this.#blobs.run(digest, async () => {
      this.#asked.note(digestKey(digest))
      try {
        return await work()
      } finally {
        // a collection that began meanwhile may have listed the links before this one was there
        this.#linked.note(digestKey(digest))
      }
    })
  }

  /** Runs `work` while the blob neither gets nor loses a link, nor loses its record */
  async hold<T>(digest: Digest, work: () => Promise<T>): Promise<T> {
    return await this.#blobs.run(digest, work)
  }

  /** Until the result is disposed of, {@link removeBlob} spares blobs that get a link from now on */
  beginCollection(): Disposable {
    return this.#linked.hold()
  }

  /**
   * Whether no client has relied on a blob for the grace period. What happened before the start of the server is not
   * known, so every blob counts as asked for then.
   *
   * @param updated when the link was made; undefined where that is not known
   * @param period milliseconds, where it is to be shorter than the grace period
   */
  isForgotten(digest: Digest, updated: string | undefined, period = Infinity): boolean {
    const last = updated === undefined ? this.#started : Math.max(this.#started, Date.parse(updated))
    const least = Math.min(period, this.#period)
    return this.#now() - last >= least && !this.#asked.has(digestKey(digest), least)
  }

  /**
   * Deletes a link if it is forgotten. Clients that ask for the blob meanwhile wait in {@link ask}.
   *
   * @param link reads the link; undefined where it is gone
   * @param work deletes it
   * @param period as for {@link isForgotten}
   * @returns whether it was deleted
   */
  async removeLink(
    repository: string,
    digest: Digest,
    link: () => Promise<{ updated?: string | undefined } | undefined>,
    work: () => Promise<void>,
    period?: number,
  ): Promise<boolean> {
    return await this.#blobs.run(digest, async () => {
      const record = await link()
      // no await from here until the deletion is noted: a question in between would not wait for it
      if (record === undefined || !this.isForgotten(digest, record.updated, period)) {
        return false
      }
      const key = `${repository}:${digest}`
      const deletion = work()
      const ended = deletion.then(
        () => {},
        () => {},
      )
      this.#deletions.set(key, ended)
      try {
        await deletion
        return true
      } finally {
        this.#deletions.delete(key)
      }
    })
  }

  /**
   * Deletes the record of a blob without links, unless the blob has got a link since the collection began
   *
   * @param work deletes it
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
