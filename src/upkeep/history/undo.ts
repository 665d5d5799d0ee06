/**
 * `upkeep/history` brings back what was, and tells what has changed. It may import nothing else of upkeep.
 *
 * - `past-state.ts`: what a repository was in an earlier state, and what has to change for it to be so again
 * - `undo.ts` (here): makes it so, in one batch, which is a change that can be undone as any other; `undo-events.ts`:
 *   what is told of it
 * - `history-log.ts`: the changes, and what differs between two states; `past-tags.ts`: the tags of one
 *
 * The lock of the repository is held from the first look to the end, so that a push comes before or after. Nothing is
 * taken out of the history by an undo. The rules of access are not asked, as operators may do everything; who has to
 * ask them gives a {@link UndoInit.guard}.
 */
import type { HistoryIndex, ManifestChange, TagChange } from '../../index/history-index.ts'
import type { Index, IndexChange, ManifestRecord } from '../../index/index.ts'
import type { Digest } from '../../oci/digest.ts'
import { OciError } from '../../oci/errors.ts'
import type { History } from '../../registry/history.ts'
import { commitTelling, type EventOrigin, type EventSink } from '../../registry/event-sink.ts'
import type { LinkGuard } from '../../registry/link-guard.ts'
import type { RootProvider } from '../../registry/root-provider.ts'
import type { TagListener } from '../../registry/tags/tag-listener.ts'
import { pastState, planForRepository, planForTags, type Plan } from './past-state.ts'
import { eventsOf } from './undo-events.ts'

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
  /** Several tags instead of one */
  tags?: readonly string[] | undefined
  /** The state to go back to; @default that before the last change */
  to?: number | undefined
  /** The last state that who asks knows of: where something was changed since that the undo is about, it is refused */
  known?: number | undefined
  /** Whose doing it is, where callers are told apart */
  by?: string | undefined
  /** For the events that tell of it */
  origin?: EventOrigin | undefined
  /** Is shown what is to be changed, and throws where it must not be */
  guard?: ((repository: string, plan: Plan) => Promise<UndoPermit>) | undefined
}

/** Room for what comes back; disposing of it gives it back, unless it was used */
export interface UndoPermit extends Disposable {
  /** To be called when it is done */
  used: () => void
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
  /** The state after it; undefined where nothing has changed */
  state?: number | undefined
}

export class Undo {
  readonly #components: UndoComponents

  constructor(components: UndoComponents) {
    this.#components = components
  }

  /**
   * Makes a repository, or some tags of it, as it was
   *
   * @throws OciError UNSUPPORTED where the history is turned off; REQUEST_INVALID where no change or state is known;
   *   MANIFEST_UNKNOWN or MANIFEST_BLOB_UNKNOWN where content is gone. Nothing is changed then.
   */
  async undo({ tag, tags = tag === undefined ? undefined : [tag], ...init }: UndoInit): Promise<Undone> {
    const { links, writer } = this.#components
    const { repository } = init
    requireHistory(writer)
    return await links.repositories.run(repository, async () => {
      const to = init.to ?? (await this.#beforeLast(repository, tags))
      const plan = await this.#plan(repository, tags, to, init.known)
      using permit = await init.guard?.(repository, plan)
      const { changed, state } = await this.#carryOut(writer, plan, init)
      permit?.used()
      return {
        repository,
        to,
        tags: changed.map(({ tag, before, after }) => ({ tag, before: before?.digest, after: after?.digest })),
        restored: [...plan.restored.keys()],
        removed: plan.removed,
        state,
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

  async #plan(
    repository: string,
    tags: readonly string[] | undefined,
    to: number,
    known: number | undefined,
  ): Promise<Plan> {
    const { history, index } = this.#components
    if (known !== undefined && (await this.#last(repository, tags, known)) !== undefined) {
      throw new OciError('REQUEST_INVALID', { detail: { reason: `${nameOf(repository, tags)} has changed since` } })
    }
    const past = await pastState(history, repository, to)
    return tags === undefined
      ? await planForRepository(index, repository, past)
      : await planForTags(index, repository, tags, past)
  }

  /** The state before the last change by somebody: what garbage collection deleted after it is undone with it */
  async #beforeLast(repository: string, tags: readonly string[] | undefined): Promise<number> {
    const last = await this.#last(repository, tags)
    if (last === undefined) {
      const reason = `no change of ${nameOf(repository, tags)} is known`
      throw new OciError('REQUEST_INVALID', { detail: { reason } })
    }
    return last - 1
  }

  /** The last change by somebody, and after a state; undefined where none is known */
  async #last(repository: string, tags: readonly string[] | undefined, after = 0): Promise<number | undefined> {
    for await (const { state, record } of this.#components.history.changesOf(repository, { after })) {
      if (record.action === 'forget') {
        break
      }
      const isMeant =
        tags === undefined ? record.action !== 'gc' : record.tags.some(change => tags.includes(change.tag))
      if (isMeant) {
        return state
      }
    }
    return undefined
  }

  async #carryOut(
    writer: History,
    plan: Plan,
    { by, origin, repository }: Pick<UndoInit, 'by' | 'origin' | 'repository'>,
  ): Promise<{ changed: TagChange[]; state: number | undefined }> {
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
    const state = await writer.record(change, repository, { action: 'undo', by, tags, manifests })
    await commitTelling(this.#components.events, change, () => eventsOf(repository, tags, plan, origin))
    const roots = new Set([...plan.restored.values()].map(({ record }) => record.root))
    roots.forEach(root => provider?.provide(root))
    tags.forEach(({ tag }) => tagListener?.tagged(repository, tag))
    return { changed: tags, state }
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

function nameOf(repository: string, tags: readonly string[] | undefined): string {
  return tags === undefined ? repository : tags.length === 1 ? `${repository}:${tags[0]}` : `a tag of ${repository}`
}
