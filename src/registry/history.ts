/**
 * Remembers what each change of a repository was, so that it can be undone.
 *
 * - A change (a push, a move or a deletion of tags, a deletion of manifests or blobs) has a number, from 1 on. The
 *   state of the registry after it has the same number.
 * - Its record has what the tags and manifests were before it and are after it, and is written in the batch of the
 *   change itself: neither is there without the other, and a push waits for no other write.
 * - Any earlier state follows from what is there now, by what was before each change since (`upkeep/history`).
 * - What a change takes away leaves the index as ever, so that no client or peer can have it. Its record keeps the
 *   manifest's record, and garbage collection keeps the blocks as long as that (`upkeep/gc/history-expiry.ts`).
 *   `HistoryIndex.isWithheld` tells whoever serves blocks that one is here for that reason only.
 * - A repository has at most `maxChanges` changes and `maxChangeBytes` of records, and a little more until
 *   it is trimmed. Its oldest go first, and nobody else's.
 */
import { LRUCache } from 'lru-cache'
import type { ChangeRecord, HistoryIndex, KeptManifest } from '../index/history-index.ts'
import type { Index, IndexChange, ManifestRecord } from '../index/index.ts'
import type { Digest } from '../oci/digest.ts'
import { referencesOf } from './manifest-record.ts'

/** Changes of one repository that are remembered */
const maxChanges = 10_000
/** Bytes of their records */
const maxChangeBytes = 64 * 1024 * 1024
/** A repository is trimmed after this share of them */
const trimmedAfter = 0.1
/** For how many repositories it is known how much was added since they were trimmed */
const maxKnown = 10_000

export interface HistoryComponents {
  history: HistoryIndex
  index: Pick<Index, 'isLinked'>
}

export interface HistoryInit {
  /** @default `maxChanges` */
  maxChanges?: number | undefined
}

/** What a change does, and to what */
export type Made = Pick<ChangeRecord, 'action' | 'by'> & Partial<Pick<ChangeRecord, 'tags' | 'manifests' | 'unlinked'>>

/** What is forgotten while garbage is collected, until it is disposed of */
export interface Collection extends Disposable {
  /** CIDs below which there may be content of a change that was forgotten */
  readonly roots: ReadonlySet<string>
}

/** Writes the history. For each call, the caller holds the lock of the repository. */
export class History {
  readonly #components: HistoryComponents
  readonly #maxChanges: number
  /** Number of the last change */
  #last: Promise<{ state: number }> | undefined
  readonly #added = new LRUCache<string, { changes: number; bytes: number }>({ max: maxKnown })
  readonly #collections = new Set<Set<string>>()

  constructor(components: HistoryComponents, init: HistoryInit = {}) {
    this.#components = components
    this.#maxChanges = init.maxChanges ?? maxChanges
  }

  /**
   * Adds the record of a change to the change itself; nothing where nothing changes
   *
   * @returns the state after the change; undefined where nothing changes
   */
  async record(change: IndexChange, repository: string, made: Made): Promise<number | undefined> {
    const { action, by, unlinked = [] } = made
    const tags = (made.tags ?? []).filter(({ before, after }) => before?.digest !== after?.digest)
    const manifests = (made.manifests ?? []).filter(({ before, after }) => before?.record.root !== after)
    if (tags.length + manifests.length + unlinked.length === 0) {
      return undefined
    }
    const record: ChangeRecord = { time: new Date().toISOString(), action, by, tags, manifests, unlinked }
    await this.#trim(change, repository, JSON.stringify(record).length)
    const state = await this.#next()
    change.putChange(repository, state, record)
    return state
  }

  /** What is to be remembered of a manifest that a change takes away or gives another image root */
  async kept(repository: string, digest: Digest, record: ManifestRecord): Promise<KeptManifest> {
    const { history, index } = this.#components
    const { subject } = record
    const links: Digest[] = []
    for (const name of new Set(referencesOf(record))) {
      if (await index.isLinked(repository, name)) {
        links.push(name)
      }
    }
    const blocks = await history.manifestBlocks(repository, digest)
    return {
      record,
      descriptor: subject === undefined ? undefined : await history.referrer(repository, subject, digest),
      links,
      blocks: blocks === undefined ? undefined : Buffer.from(blocks).toString('base64'),
    }
  }

  /**
   * Forgets changes of a repository, the oldest ones, and notes where they were: no state before is known any more
   *
   * @param through the last of them; @default all
   * @returns how many
   */
  async forget(change: IndexChange, repository: string, through = Number.MAX_SAFE_INTEGER - 1): Promise<number> {
    let forgotten = 0
    for await (const { state, record } of this.#components.history.changesOf(repository, { before: through + 1 })) {
      if (record.action === 'forget' && forgotten === 0) {
        break
      }
      this.#noteForgotten(record)
      change.deleteChange(repository, state, record)
      if (forgotten === 0) {
        const { time } = record
        change.putChange(repository, state, { time, action: 'forget', tags: [], manifests: [], unlinked: [] })
      }
      forgotten++
    }
    return forgotten
  }

  /** Has what is forgotten from now on counted as needed: it may just have been undone, after the mark has passed */
  beginCollection(): Collection {
    const roots = new Set<string>()
    this.#collections.add(roots)
    return {
      roots,
      [Symbol.dispose]: () => {
        this.#collections.delete(roots)
      },
    }
  }

  async #next(): Promise<number> {
    this.#last ??= this.#components.history.last().then(
      state => ({ state }),
      (err: unknown) => {
        this.#last = undefined
        throw err
      },
    )
    return ++(await this.#last).state
  }

  #noteForgotten({ manifests }: ChangeRecord): void {
    for (const roots of this.#collections) {
      for (const { before } of manifests) {
        if (before !== undefined) {
          roots.add(before.record.cid).add(before.record.root)
        }
      }
    }
  }

  async #trim(change: IndexChange, repository: string, bytes: number): Promise<void> {
    const before = this.#added.get(repository) ?? { changes: 0, bytes: 0 }
    const added = { changes: before.changes + 1, bytes: before.bytes + bytes }
    if (added.changes <= this.#maxChanges * trimmedAfter && added.bytes <= maxChangeBytes * trimmedAfter) {
      this.#added.set(repository, added)
      return
    }
    this.#added.delete(repository)
    const through = await this.#tooMuch(repository)
    if (through !== undefined) {
      await this.forget(change, repository, through)
    }
  }

  /** The newest change of a repository that it has no room for */
  async #tooMuch(repository: string): Promise<number | undefined> {
    const total = { changes: 0, bytes: 0 }
    for await (const { state, bytes } of this.#components.history.changesOf(repository)) {
      total.changes++
      total.bytes += bytes
      if (total.changes > this.#maxChanges || total.bytes > maxChangeBytes) {
        return state
      }
    }
    return undefined
  }
}
