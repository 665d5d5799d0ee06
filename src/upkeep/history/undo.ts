/**
 * `upkeep/history` brings back what was, and tells what has changed. It may import nothing else of upkeep.
 *
 * - `past-state.ts`: what a repository was in an earlier state, and what has to change for it to be so again
 * - `undo.ts` (here): makes it so, in one batch, which is a change that can be undone as any other
 * - `history-log.ts`: the changes, and what differs between two states
 *
 * The lock of the repository is held from the first look to the end, so that a push comes before or after. Nothing is
 * taken out of the history by an undo. The rules of access are not asked: this is for operators, who may do everything.
 */
import type { HistoryIndex, ManifestChange, TagChange } from '../../index/history-index.ts'
import type { Index, IndexChange, ManifestRecord } from '../../index/index.ts'
import type { Digest } from '../../oci/digest.ts'
import { OciError } from '../../oci/errors.ts'
import type { History } from '../../registry/history.ts'
import { commitTelling, type EventSink, type NewEvent } from '../../registry/event-sink.ts'
import type { LinkGuard } from '../../registry/link-guard.ts'
import type { RootProvider } from '../../registry/root-provider.ts'
import type { TagListener } from '../../registry/tags/tag-listener.ts'
import { pastState, planForRepository, planForTag, type Plan } from './past-state.ts'

export interface UndoComponents {
  index: Index
  history: HistoryIndex
  /** Undefined where the history is turned off */
  writer: History | undefined
  links: LinkGuard
  provider?: RootProvider | undefined
  tagListener?: TagListener | undefined
  /** Undefined where nobody can hear of events */
  events?: Pick<EventSink, 'commit'> | undefined
}

export interface UndoInit {
  repository: string
  /** Undefined: the whole repository */
  tag?: string | undefined
  /** The state to go back to; @default that before the last change */
  to?: number | undefined
}

/** What an undo did */
export interface Undone {
  repository: string
  /** The state that it went back to */
  to: number
  tags: Array<{ tag: string; before: Digest | undefined; after: Digest | undefined }>
  /** Manifests that came back */
  restored: Digest[]
  /** Manifests that were not there then */
  removed: Digest[]
}

export class Undo {
  readonly #components: UndoComponents

  constructor(components: UndoComponents) {
    this.#components = components
  }

  /**
   * Makes a repository, or one tag of it, as it was
   *
   * @throws OciError UNSUPPORTED where the history is turned off; REQUEST_INVALID where no change or state is known;
   *   MANIFEST_UNKNOWN or MANIFEST_BLOB_UNKNOWN where content is gone. Nothing is changed then.
   */
  async undo({ repository, tag, to }: UndoInit): Promise<Undone> {
    const { history, index, links, writer } = this.#components
    requireHistory(writer)
    return await links.repositories.run(repository, async () => {
      const state = to ?? (await this.#beforeLast(repository, tag))
      const past = await pastState(history, repository, state)
      const plan =
        tag === undefined
          ? await planForRepository(index, repository, past)
          : await planForTag(index, repository, tag, past)
      const changed = await this.#carryOut(writer, repository, plan)
      return {
        repository,
        to: state,
        tags: changed.map(({ tag, before, after }) => ({ tag, before: before?.digest, after: after?.digest })),
        restored: [...plan.restored.keys()],
        removed: plan.removed,
      }
    })
  }

  /**
   * Has the history of a repository forgotten: nothing of it can be undone any more, and the next garbage collection
   * frees the room of what was deleted
   *
   * @returns how many changes were forgotten
   */
  async forget(repository: string): Promise<number> {
    const { index, links, writer } = this.#components
    requireHistory(writer)
    return await links.repositories.run(repository, async () => {
      const change = index.change()
      const forgotten = await writer.forget(change, repository)
      await change.commit({ durable: true })
      return forgotten
    })
  }

  /** The state before the last change by somebody: what garbage collection deleted after it is undone with it */
  async #beforeLast(repository: string, tag: string | undefined): Promise<number> {
    for await (const { state, record } of this.#components.history.changesOf(repository)) {
      if (record.action === 'forget') {
        break
      }
      const isMeant = tag === undefined ? record.action !== 'gc' : record.tags.some(change => change.tag === tag)
      if (isMeant) {
        return state - 1
      }
    }
    const name = tag === undefined ? repository : `${repository}:${tag}`
    throw new OciError('REQUEST_INVALID', { detail: { reason: `no change of ${name} is known` } })
  }

  async #carryOut(writer: History, repository: string, plan: Plan): Promise<TagChange[]> {
    const { index, provider, tagListener } = this.#components
    const blobs = new Set([...plan.blobs, ...[...plan.restored.values()].flatMap(({ links }) => links)])
    await this.#requireBlobs(blobs)
    const change = index.change()
    blobs.forEach(digest => {
      change.putLink(repository, digest)
    })
    const manifests = await this.#changeManifests(change, writer, repository, plan)
    const tags = await this.#changeTags(change, repository, plan)
    if (await this.#hasManifests(repository, plan)) {
      change.putRepository(repository)
    } else {
      change.deleteRepository(repository)
    }
    await writer.record(change, repository, { action: 'undo', tags, manifests })
    await commitTelling(this.#components.events, change, () => eventsOf(repository, tags, plan))
    const roots = new Set([...plan.restored.values()].map(({ record }) => record.root))
    roots.forEach(root => provider?.provide(root))
    tags.forEach(({ tag }) => tagListener?.tagged(repository, tag))
    return tags
  }

  async #changeManifests(
    change: IndexChange,
    writer: History,
    repository: string,
    { restored, removed }: Plan,
  ): Promise<ManifestChange[]> {
    const { index } = this.#components
    const manifests: ManifestChange[] = []
    const note = async (digest: Digest, now: ManifestRecord | undefined, after?: string): Promise<void> => {
      const before = now === undefined ? undefined : await writer.kept(repository, digest, now)
      manifests.push({ digest, before, after })
    }
    for (const [digest, { record, blocks, descriptor }] of restored) {
      await note(digest, await index.manifest(repository, digest), record.root)
      change.putManifest(repository, digest, { ...record, updated: new Date().toISOString() })
      if (blocks !== undefined) {
        change.putManifestBlocks(repository, digest, Buffer.from(blocks, 'base64'))
      }
      if (record.subject !== undefined && descriptor !== undefined) {
        change.putReferrer(repository, record.subject, descriptor)
      }
    }
    for (const digest of removed) {
      const now = await index.manifest(repository, digest)
      await note(digest, now)
      change.deleteManifest(repository, digest)
      if (now?.subject !== undefined) {
        change.deleteReferrer(repository, now.subject, digest)
      }
    }
    return manifests
  }

  async #changeTags(change: IndexChange, repository: string, { restored, removed, tags }: Plan): Promise<TagChange[]> {
    const { index } = this.#components
    const changed: TagChange[] = []
    for (const [tag, after] of tags) {
      const before = await index.tag(repository, tag)
      changed.push({ tag, before, after })
      if (after === undefined) {
        change.deleteTag(repository, tag)
      } else {
        change.putTag(repository, tag, after)
      }
      const left = before === undefined ? undefined : await index.manifest(repository, before.digest)
      if (
        before !== undefined &&
        left !== undefined &&
        !restored.has(before.digest) &&
        !removed.includes(before.digest)
      ) {
        // from now on it may be untagged
        change.putManifest(repository, before.digest, { ...left, updated: new Date().toISOString() })
      }
    }
    return changed
  }

  async #hasManifests(repository: string, { restored, removed }: Plan): Promise<boolean> {
    if (restored.size > 0) {
      return true
    }
    const gone = new Set(removed)
    for await (const { digest } of this.#components.index.manifests(repository)) {
      if (!gone.has(digest)) {
        return true
      }
    }
    return false
  }

  /** Has a collection that runs keep their records, and makes sure that they are there */
  async #requireBlobs(blobs: ReadonlySet<Digest>): Promise<void> {
    const { index, links } = this.#components
    const missing: Digest[] = []
    for (const digest of blobs) {
      if ((await links.add(digest, async () => await index.blob(digest))) === undefined) {
        missing.push(digest)
      }
    }
    if (missing.length > 0) {
      throw new OciError('MANIFEST_BLOB_UNKNOWN', { detail: { digests: missing } })
    }
  }
}

/** @throws OciError UNSUPPORTED */
function requireHistory(writer: History | undefined): asserts writer is History {
  if (writer === undefined) {
    throw new OciError('UNSUPPORTED', { detail: { reason: 'history.keep is 0: no change is remembered' } })
  }
}

/** One event for each tag and for each manifest that goes */
function eventsOf(repository: string, tags: readonly TagChange[], { removed }: Plan): NewEvent[] {
  const reason = 'undo'
  return [
    ...tags.flatMap(({ tag, before, after }): NewEvent[] => {
      const digest = (after ?? before)?.digest
      const kind = after === undefined ? 'delete' : before === undefined ? 'push' : 'tag'
      return digest === undefined ? [] : [{ kind, repository, tag, digest, previous: after && before?.digest, reason }]
    }),
    ...removed.map((digest): NewEvent => ({ kind: 'delete', repository, digest, reason })),
  ]
}
