import type { Caller } from '../../access/caller.ts'
import type { Digest } from '../../oci/digest.ts'
import { OciError } from '../../oci/errors.ts'
import { deleteImages, type DeletingComponents } from '../../registry/delete-manifests.ts'
import type { EventOrigin } from '../../registry/event-sink.ts'
import type { History } from '../../registry/history.ts'
import type { ImmutableTags } from '../../registry/policies/immutable-tags.ts'
import type { LinkGuard } from '../../registry/link-guard.ts'
import type { PullNotes } from '../../registry/pull-notes.ts'
import { KeyedLock } from '../../scheduling/keyed-lock.ts'
import { decideTags } from '../retention/decide-tags.ts'
import { readRepositoryState, type RepositoryState } from '../retention/repository-state.ts'
import { compileRules, wholeProtection, type CompiledRule, type RetentionRule } from '../retention/rules.ts'
import { bytesOfTheirOwn, planDeletion, type Deletion } from './plan-deletion.ts'

export interface DeletionsComponents extends Omit<DeletingComponents, 'history'> {
  links: Pick<LinkGuard, 'repositories'>
  pulls: Pick<PullNotes, 'lastPulls' | 'since'>
  remembered: { historyWriter: History }
  /** @default no tag is immutable */
  immutable?: Pick<ImmutableTags, 'has' | 'requireMutable'> | undefined
}

export interface DeletionsInit {
  /** How long a change can be undone; seconds, 0: not at all */
  historyKeep: number
  /** After how long a manifest without a tag goes; seconds, undefined: never */
  untagged?: number | undefined
  retention: readonly RetentionRule[]
}

/** What a caller wants to delete */
export interface DeletionInit {
  repository: string
  tags: readonly string[]
  /** Whether images go to which no other tag leads; else they stay, by their digests */
  images: boolean
  /** Whether it is only told what would go */
  dryRun: boolean
}

/** What goes, or in a dry run would go */
export interface DeletionResult {
  tags: TagToGo[]
  /** Tags that go although nobody asked for it: clients attach signatures to images by them */
  attached: string[]
  manifests: number
  /** Bytes that nothing else needs */
  bytes: number
  /** Seconds after which these are free, as it can be undone until then; 0: with the next garbage collection */
  keptFor: number
  /** Seconds after which a manifest without a tag goes; undefined: never */
  untagged?: number | undefined
  /** The state after the deletion; absent where nothing was deleted or it can't be undone */
  state?: number | undefined
}

/** A tag that somebody wants to delete */
export interface TagToGo {
  tag: string
  /** Undefined: there is no such tag */
  digest: Digest | undefined
  /** Why it can't be deleted; undefined: it can */
  refused: 'immutable' | 'not allowed' | 'unknown' | undefined
  /** What the rules of retention say of it; undefined where there are none about it */
  retention: string | undefined
}

/** Deletes tags with their images, or tells what would go */
export class Deletions {
  readonly #components: DeletionsComponents
  readonly #init: DeletionsInit
  readonly #rules: readonly CompiledRule[]
  /** One at a time: each has all of a repository in memory */
  readonly #dryRuns = new KeyedLock()

  constructor(components: DeletionsComponents, init: DeletionsInit) {
    this.#components = components
    this.#init = init
    this.#rules = compileRules(init.retention)
  }

  /**
   * Deletes tags with their images at once, or tells what would go
   *
   * @throws OciError UNAUTHORIZED or DENIED where one can't be deleted, MANIFEST_UNKNOWN where one is not
   *   there. Nothing is changed then.
   */
  async delete(
    init: DeletionInit,
    caller: Caller,
    { origin, signal }: { origin?: EventOrigin | undefined; signal: AbortSignal },
  ): Promise<DeletionResult> {
    const { dryRun, repository, tags } = init
    const allowed = tags.filter(tag => caller.may({ action: 'delete', repository, tag }))
    for (const tag of dryRun && allowed.length > 0 ? [] : tags) {
      caller.require({ action: 'delete', repository, tag })
    }
    if (dryRun) {
      return await this.#dryRuns.run('', async () => await this.#dryRun(init, caller, signal), { signal })
    }
    const work = async (): Promise<DeletionResult> => await this.#delete(init, caller, { origin, signal })
    return await this.#components.links.repositories.run(repository, work, { signal })
  }

  async #dryRun(init: DeletionInit, caller: Caller, signal: AbortSignal): Promise<DeletionResult> {
    const state = await this.#read(init.repository)
    return (await this.#plan(state, init, caller, signal)).result
  }

  /** The caller holds the lock of the repository */
  async #delete(
    init: DeletionInit,
    caller: Caller,
    { origin, signal }: { origin?: EventOrigin | undefined; signal: AbortSignal },
  ): Promise<DeletionResult> {
    const { immutable, remembered } = this.#components
    const { repository } = init
    const state = await this.#read(repository)
    for (const tag of init.tags) {
      if (!state.tags.has(tag)) {
        throw new OciError('MANIFEST_UNKNOWN', { detail: { name: repository, tag } })
      }
      immutable?.requireMutable(repository, tag)
    }
    const { deletion, result } = await this.#plan(state, init, caller, signal)
    const history = this.#init.historyKeep > 0 ? remembered.historyWriter : undefined
    const why = { action: 'delete' as const, by: caller.name, origin, updated: new Date().toISOString() }
    return { ...result, state: await deleteImages({ ...this.#components, history }, repository, deletion, why) }
  }

  async #read(repository: string): Promise<RepositoryState> {
    const { index, pulls } = this.#components
    return await readRepositoryState({ index, pulls }, repository)
  }

  async #plan(
    state: RepositoryState,
    { images, repository, tags }: DeletionInit,
    caller: Caller,
    signal: AbortSignal,
  ): Promise<{ deletion: Deletion; result: DeletionResult }> {
    const told = tags.map(tag => this.#tagToGo(state, tag, caller))
    const going = told.filter(({ refused }) => refused === undefined).map(({ tag }) => tag)
    const mayDeleteImages = caller.may({ action: 'delete', repository })
    const { immutable } = this.#components
    const deletion = planDeletion(state, going, {
      images: images && mayDeleteImages,
      mustStay: tag => immutable?.has(repository, tag) === true || !caller.may({ action: 'delete', repository, tag }),
      now: Date.now(),
    })
    const reasons = this.#retentionOf(state, tags)
    const { historyKeep, retention, untagged } = this.#init
    return {
      deletion,
      result: {
        tags: told.map(item => ({ ...item, retention: reasons.get(item.tag) })),
        attached: [...deletion.tags.keys()].filter(tag => !tags.includes(tag)),
        manifests: deletion.manifests.size,
        bytes: await bytesOfTheirOwn(this.#components.index, state, deletion.manifests, signal),
        keptFor: historyKeep,
        untagged: wholeProtection(retention)(repository) ? undefined : untagged,
      },
    }
  }

  #tagToGo({ repository, tags }: RepositoryState, tag: string, caller: Caller): Omit<TagToGo, 'retention'> {
    const digest = caller.may({ action: 'pull', repository, tag }) ? tags.get(tag)?.digest : undefined
    const isAllowed = caller.may({ action: 'delete', repository, tag })
    const isImmutable = this.#components.immutable?.has(repository, tag) === true
    const refused =
      digest === undefined ? 'unknown' : !isAllowed ? 'not allowed' : isImmutable ? 'immutable' : undefined
    return { tag, digest, refused }
  }

  #retentionOf(state: RepositoryState, tags: readonly string[]): Map<string, string> {
    const rules = this.#rules.filter(rule => rule.hasRepository(state.repository))
    if (!tags.some(tag => rules.some(rule => rule.has(state.repository, tag)))) {
      return new Map()
    }
    const decisions = decideTags(state, { rules, isImmutable: () => false, now: Date.now() })
    return new Map(
      tags.flatMap(tag => {
        const decision = decisions.get(tag)
        return decision === undefined || !rules.some(rule => rule.has(state.repository, tag))
          ? []
          : [[tag, decision.why]]
      }),
    )
  }
}
