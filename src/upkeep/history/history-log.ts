import type { ChangeRecord, HistoryIndex, RememberedChange } from '../../index/history-index.ts'
import type { Digest } from '../../oci/digest.ts'
import { OciError } from '../../oci/errors.ts'
import { requireState, stateAt, unknownState } from './past-state.ts'

/** Differences that are told at most */
const maxDifferences = 10_000
/** Bytes of records that a listing tells of; one record may be larger */
const maxListedBytes = 4 * 1024 * 1024

/** One change, as operators see it */
export interface Change extends Pick<ChangeRecord, 'action' | 'by' | 'time'> {
  /** The state after the change */
  state: number
  repository: string
  tags: TagDifference[]
  manifests: ManifestDifference[]
  /** Blobs that were deleted */
  blobs: Digest[]
}

/** Digests of its manifest; absent: there was no such tag */
export interface TagDifference {
  tag: string
  before?: Digest | undefined
  after?: Digest | undefined
}

/** CIDs of its image root; absent: there was no such manifest */
export interface ManifestDifference {
  digest: Digest
  before?: string | undefined
  after?: string | undefined
}

export interface Differences {
  from: number
  to: number
  tags: Array<TagDifference & { repository: string }>
  manifests: Array<ManifestDifference & { repository: string }>
}

export interface ListInit {
  /** @default all */
  repository?: string | undefined
  /** @default all */
  tag?: string | undefined
  limit: number
  /** Only changes before this one */
  before?: number | undefined
}

/** Reads what has changed */
export class HistoryLog {
  readonly #history: HistoryIndex

  constructor({ history }: { history: HistoryIndex }) {
    this.#history = history
  }

  /** The changes of a repository, a tag or everything, the newest first */
  async list({ before, limit, repository, tag }: ListInit): Promise<{ changes: Change[]; more: boolean }> {
    const changes: Change[] = []
    let total = 0
    for await (const change of this.#changes(repository, { before })) {
      if (tag === undefined || change.record.tags.some(moved => moved.tag === tag)) {
        total += change.bytes
        if (changes.length === limit || (changes.length > 0 && total > maxListedBytes)) {
          return { changes, more: true }
        }
        changes.push(shown(change))
      }
    }
    return { changes, more: false }
  }

  /**
   * The state that was in force at a time
   *
   * @throws OciError REQUEST_INVALID where that is not known
   */
  async stateAt(time: Date): Promise<number> {
    return await stateAt(this.#history, time)
  }

  /**
   * What differs between two states
   *
   * @param to @default the state of now
   * @throws OciError REQUEST_INVALID where a state is not known, or too much differs
   */
  async diff(from: number, to?: number, repository?: string): Promise<Differences> {
    const end = to ?? (await this.#history.last())
    await requireState(this.#history, from)
    await requireState(this.#history, end)
    const [first, last] = from < end ? [from, end] : [end, from]
    const tags = new Map<string, Differences['tags'][number]>()
    const manifests = new Map<string, Differences['manifests'][number]>()
    // from the newest to the oldest: what was before the oldest one counts, and what is after the newest one
    for await (const change of this.#changes(repository, { after: first, before: last + 1 })) {
      if (change.record.action === 'forget') {
        throw unknownState(first, `the history of ${change.repository} begins with state ${change.state}`)
      }
      const { repository: of } = change
      const seen = shown(change)
      for (const { tag, before, after } of seen.tags) {
        const key = `${of}:${tag}`
        tags.set(key, { repository: of, tag, before, after: (tags.get(key) ?? { after }).after })
      }
      for (const { digest, before, after } of seen.manifests) {
        const key = `${of}:${digest}`
        manifests.set(key, { repository: of, digest, before, after: (manifests.get(key) ?? { after }).after })
      }
      if (tags.size + manifests.size > maxDifferences) {
        throw new OciError('REQUEST_INVALID', {
          detail: { reason: `more than ${maxDifferences} tags and manifests differ: name a repository` },
        })
      }
    }
    const turn = from > end
    return { from, to: end, tags: sorted(tags, turn), manifests: sorted(manifests, turn) }
  }

  async *#changes(
    repository: string | undefined,
    range: { after?: number | undefined; before?: number | undefined },
  ): AsyncGenerator<RememberedChange & { repository: string }> {
    if (repository !== undefined) {
      for await (const change of this.#history.changesOf(repository, range)) {
        yield { ...change, repository }
      }
      return
    }
    for await (const { bytes, repository, state } of this.#history.order(range, true)) {
      const record = await this.#history.change(repository, state)
      if (record !== undefined) {
        yield { state, record, bytes, repository }
      }
    }
  }
}

function shown({ record, repository, state }: { record: ChangeRecord; repository: string; state: number }): Change {
  const { action, by, manifests, tags, time, unlinked } = record
  return {
    state,
    time,
    action,
    repository,
    by,
    tags: tags.map(({ tag, before, after }) => ({ tag, before: before?.digest, after: after?.digest })),
    manifests: manifests.map(({ digest, before, after }) => ({ digest, before: before?.record.root, after })),
    blobs: unlinked,
  }
}

function sorted<T extends { before?: unknown; after?: unknown }>(differences: Map<string, T>, turn: boolean): T[] {
  return [...differences]
    .filter(([, { before, after }]) => before !== after)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([, item]) => (turn ? { ...item, before: item.after, after: item.before } : item))
}
