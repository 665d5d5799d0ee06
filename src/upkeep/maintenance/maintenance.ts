/**
 * `upkeep/maintenance` is what somebody asks who looks after some repositories, and whom the rules let do so: to delete
 * tags with their images, to see what has changed, and to undo it. Nothing here lets a caller do what pushes and
 * deletes of his would not.
 *
 * - `maintenance.ts` (begin here): the questions, and who may ask them
 * - `deletions.ts`: deletes tags with their images; `plan-deletion.ts`: what goes with tags, and what that frees
 * - `undo-guard.ts`: what of an undo the rules, immutable tags and quotas allow
 */
import type { Caller } from '../../access/caller.ts'
import type { Digest } from '../../oci/digest.ts'
import { OciError } from '../../oci/errors.ts'
import { translateErrors } from '../../registry/errors.ts'
import type { EventOrigin } from '../../registry/event-sink.ts'
import type { Mirroring } from '../../registry/mirror/mirroring.ts'
import type { Quotas } from '../../registry/quotas/quotas.ts'
import type { ReadOnlyMode } from '../../registry/policies/read-only-mode.ts'
import type { Change, Differences, HistoryLog, ListInit } from '../history/history-log.ts'
import type { Undo, Undone } from '../history/undo.ts'
import {
  Deletions,
  type DeletionInit,
  type DeletionResult,
  type DeletionsComponents,
  type DeletionsInit,
} from './deletions.ts'
import { undoGuard } from './undo-guard.ts'

export interface MaintenanceComponents extends DeletionsComponents {
  readOnly: Pick<ReadOnlyMode, 'begin' | 'state'>
  undo: Pick<Undo, 'undo'>
  historyLog: Pick<HistoryLog, 'diff' | 'list'>
  /** Undefined where no other registry is mirrored */
  mirroring?: Pick<Mirroring, 'mirrors'> | undefined
  /** @default there are none */
  quotas?: Pick<Quotas, 'reserveBlob' | 'reserveManifest'> | undefined
}

export type MaintenanceInit = DeletionsInit

/** What a caller may do to a repository */
export interface Rights {
  /** Give an image another tag */
  tag: boolean
  delete: boolean
  /** See what has changed, and undo it */
  undo: boolean
}

/** What is done with a tag that is to lead to an image */
export interface Move {
  /** Where it leads now; undefined: it is new */
  before: Digest | undefined
  /** Why it can't; undefined: it can */
  refused: 'immutable' | 'not allowed' | undefined
  /** Whether it can be neither moved nor deleted afterwards */
  isFinal: boolean
}

/** Tags that are told apart at once */
export const maxTags = 500

export class Maintenance {
  readonly #components: MaintenanceComponents
  readonly #init: MaintenanceInit
  readonly #deletions: Deletions
  constructor(components: MaintenanceComponents, init: MaintenanceInit) {
    this.#components = components
    this.#init = init
    this.#deletions = new Deletions(components, init)
  }

  /** @param tag of the image that it is about; undefined: the whole repository */
  rights(repository: string, caller: Pick<Caller, 'may'>, tag?: string): Rights {
    const { mirroring, readOnly } = this.#components
    if (readOnly.state !== undefined || mirroring?.mirrors.find(repository) !== undefined) {
      return { tag: false, delete: false, undo: false }
    }
    const may = (action: 'push' | 'tag' | 'delete', of = tag): boolean => caller.may({ action, repository, tag: of })
    return {
      tag: may('push'),
      delete: may('delete'),
      undo: this.#init.historyKeep > 0 && may('push', undefined) && may('tag', undefined) && may('delete', undefined),
    }
  }

  isImmutable(repository: string, tag: string): boolean {
    return this.#components.immutable?.has(repository, tag) === true
  }

  /** What becomes of a tag that is to lead to an image; a push of its manifest makes it so */
  async move(repository: string, tag: string, digest: Digest, caller: Caller): Promise<Move> {
    caller.require({ action: 'pull', repository })
    const may = (action: 'push' | 'tag'): boolean => caller.may({ action, repository, tag })
    const before = (await this.#components.index.tag(repository, tag))?.digest
    const isFinal = this.isImmutable(repository, tag)
    const isMove = before !== undefined && before !== digest
    const isAllowed = this.rights(repository, caller, tag).tag && (!isMove || may('tag'))
    return { before, refused: !isAllowed ? 'not allowed' : isMove && isFinal ? 'immutable' : undefined, isFinal }
  }

  /** As {@link Deletions.delete}, for tags of this registry */
  async delete(
    init: DeletionInit,
    caller: Caller,
    options: { origin?: EventOrigin | undefined; signal: AbortSignal },
  ): Promise<DeletionResult> {
    caller.require({ action: 'pull', repository: init.repository })
    this.#requireOwn(init.repository)
    using _write = init.dryRun ? undefined : this.#components.readOnly.begin()
    return await translateErrors(async () => await this.#deletions.delete(init, caller, options))
  }

  /** What has changed in a repository, the newest first */
  async history(
    init: ListInit & { repository: string },
    caller: Caller,
  ): Promise<{ changes: Change[]; more: boolean }> {
    this.#requireUndo(init.repository, caller)
    const { changes, more } = await translateErrors(async () => await this.#components.historyLog.list(init))
    return {
      changes: changes.map(change => ({ ...change, tags: visible(change.repository, change.tags, caller) })),
      more,
    }
  }

  /** What differs between two states of a repository; `to` defaults to the state of now */
  async diff(repository: string, from: number, to: number | undefined, caller: Caller): Promise<Differences> {
    this.#requireUndo(repository, caller)
    const differences = await translateErrors(async () => await this.#components.historyLog.diff(from, to, repository))
    return { ...differences, tags: visible(repository, differences.tags, caller) }
  }

  /**
   * Makes a repository, or some tags of it, as they were
   *
   * @param init.known the last state that the caller knows of
   * @throws OciError UNAUTHORIZED or DENIED where the rules, an immutable tag or a quota are against it; UNSUPPORTED
   *   while the registry is read-only; as {@link Undo.undo}
   */
  async undo(
    init: {
      repository: string
      tags?: readonly string[] | undefined
      to?: number | undefined
      known?: number | undefined
    },
    caller: Caller,
    origin?: EventOrigin,
  ): Promise<Undone> {
    const { readOnly, undo } = this.#components
    const { repository, tags } = init
    if (tags === undefined) {
      this.#requireUndo(repository, caller)
    }
    for (const tag of tags ?? []) {
      caller.require({ action: 'pull', repository, tag })
      // what comes back is pushed, what is new goes; the guard knows which
      caller.require({ action: caller.may({ action: 'delete', repository, tag }) ? 'delete' : 'push', repository, tag })
    }
    this.#requireOwn(repository)
    using _write = readOnly.begin()
    const guard = undoGuard(this.#components, caller)
    return await translateErrors(async () => await undo.undo({ ...init, by: caller.name, origin, guard }))
  }

  #requireUndo(repository: string, caller: Caller): void {
    this.#requireOwn(repository)
    for (const action of ['pull', 'push', 'tag', 'delete'] as const) {
      caller.require({ action, repository })
    }
  }

  /** @throws OciError UNSUPPORTED for a repository of another registry */
  #requireOwn(repository: string): void {
    if (this.#components.mirroring?.mirrors.find(repository) !== undefined) {
      throw new OciError('UNSUPPORTED', { detail: { reason: `${repository} is a cache of another registry` } })
    }
  }
}

/** Those that the caller may pull */
function visible<T extends { tag: string }>(repository: string, tags: readonly T[], caller: Pick<Caller, 'may'>): T[] {
  return tags.filter(({ tag }) => caller.may({ action: 'pull', repository, tag }))
}
