import type { ChangeRecord, HistoryIndex } from '../../index/history-index.ts'
import type { Index } from '../../index/index.ts'
import { BlockSet } from '../../ipfs/blocks/block-set.ts'
import type { Digest } from '../../oci/digest.ts'
import type { Marker } from '../../ipfs/dag/marker.ts'
import type { Logger } from '../../log.ts'
import { digestKey } from '../../registry/digest-key.ts'
import type { Collection } from '../../registry/history.ts'
import type { LinkGuard } from '../../registry/link-guard.ts'
import { ignoreRefused } from './refused-content.ts'

/** Changes that are deleted in one batch */
const batchSize = 1000

export interface HistoryExpiryComponents {
  history: HistoryIndex
  index: Index
  links: Pick<LinkGuard, 'repositories'>
  log: Logger
}

export interface HistoryExpiryInit {
  /** How long a change can be undone; milliseconds */
  keep: number
}

interface ExpireOptions {
  dryRun: boolean
  /** Bytes that the history has to give up, even where no change is old enough */
  room: number
  signal: AbortSignal
}

/** Forgets the changes that are too old to be undone, and keeps what the others may bring back */
export class HistoryExpiry {
  readonly #components: HistoryExpiryComponents
  readonly #keep: number

  constructor(components: HistoryExpiryComponents, { keep }: HistoryExpiryInit) {
    this.#components = components
    this.#keep = keep
  }

  /**
   * Forgets changes, the oldest first
   *
   * @returns the last change that was forgotten, or in a dry run would be; 0: none
   */
  async expire({ dryRun, room, signal }: ExpireOptions): Promise<number> {
    const through = Math.max(await this.#lastTooOld(signal), room > 0 ? await this.#lastWithoutRoom(room, signal) : 0)
    if (through > 0 && !dryRun) {
      await this.#forget(through, signal)
    }
    return through
  }

  /**
   * Marks what the changes after a state may bring back. What is missing or damaged can't be brought back, and keeps no
   * garbage from being collected.
   *
   * @param collection what was forgotten meanwhile
   */
  async mark(
    marker: Marker,
    after: number,
    collection: Collection,
    { signal, onRoot }: { signal: AbortSignal; onRoot: () => void },
  ): Promise<void> {
    const mark = async (root: string): Promise<void> => {
      onRoot()
      const unmarked = await marker.unmarked(root, { signal }).catch(ignoreRefused)
      unmarked?.mark()
    }
    for await (const change of this.#keeping(after)) {
      for (const { before } of change.manifests) {
        if (before !== undefined) {
          await mark(before.record.cid)
          await mark(before.record.root)
        }
      }
      for (const digest of blobsOf(change)) {
        const blob = await this.#components.index.blob(digest)
        await (blob && mark(blob.cid))
      }
      signal.throwIfAborted()
    }
    for (const root of collection.roots) {
      await mark(root)
    }
  }

  async #lastTooOld(signal: AbortSignal): Promise<number> {
    const before = Date.now() - this.#keep
    let last = 0
    for await (const { state, time } of this.#components.history.order()) {
      signal.throwIfAborted()
      if (Date.parse(time) > before) {
        break
      }
      last = state
    }
    return last
  }

  /** The newest change that has to go, so that those up to it free so many bytes; what others have frees nothing */
  async #lastWithoutRoom(room: number, signal: AbortSignal): Promise<number> {
    const counted = new BlockSet()
    const sizes: Array<{ state: number; bytes: number }> = []
    for await (const change of this.#keeping(0, true)) {
      signal.throwIfAborted()
      const bytes = await this.#bytesOf(change, counted)
      sizes.push({ state: change.state, bytes })
    }
    let [freed, last] = [0, 0]
    for (const { state, bytes } of sizes.reverse()) {
      if (freed < room) {
        freed += bytes
        last = state
      }
    }
    return last
  }

  async #bytesOf(change: ChangeRecord, counted: BlockSet): Promise<number> {
    const { index } = this.#components
    let bytes = 0
    for (const digest of blobsOf(change)) {
      if (counted.add(digestKey(digest)) && !(await index.isBlobOwned(digest, () => true))) {
        bytes += (await index.blob(digest))?.dagSize ?? 0
      }
    }
    return bytes
  }

  /** The changes after a state that took something away */
  async *#keeping(after: number, newestFirst = false): AsyncGenerator<ChangeRecord & { state: number }> {
    const { history } = this.#components
    for await (const { keeps, repository, state } of history.order({ after }, newestFirst)) {
      const record = keeps ? await history.change(repository, state) : undefined
      if (record !== undefined) {
        yield { ...record, state }
      }
    }
  }

  async #forget(through: number, signal: AbortSignal): Promise<void> {
    const { history, index, links, log } = this.#components
    const repositories = new Map<string, number>()
    let since = await history.oldestSince()
    for await (const { repository, time } of history.order({ before: through + 1 })) {
      repositories.set(repository, (repositories.get(repository) ?? 0) + 1)
      since = time
    }
    const oldest = Math.max(through, await history.oldest())
    for (const repository of repositories.keys()) {
      await links.repositories.run(
        repository,
        async () => {
          let change = index.change().putOldestState(oldest, since)
          let deleted = 0
          for await (const { record, state } of history.changesOf(repository, { before: through + 1 })) {
            change.deleteChange(repository, state, record)
            if (++deleted % batchSize === 0) {
              await change.commit({ durable: true })
              change = index.change()
            }
          }
          await change.commit({ durable: true })
        },
        { signal },
      )
    }
    log.info('old changes forgotten', {
      through,
      changes: repositories.values().reduce((sum, count) => sum + count, 0),
    })
  }
}

function blobsOf({ manifests, unlinked }: ChangeRecord): Set<Digest> {
  return new Set([...unlinked, ...manifests.flatMap(({ before }) => before?.links ?? [])])
}
