/**
 * `upkeep/retention` deletes images by the rules of the configuration, while the registry goes on; garbage collection
 * frees their room afterwards. A run (begin here) does this for each repository that a rule is about, under its lock:
 *
 * - `repository-state.ts` reads all that has to be known of it
 * - `plan.ts` decides: about tags (`decide-tags.ts`), then about manifests (`plan-manifests.ts`); `rules.ts` has the
 *   form of the rules
 * - the plan is carried out by `registry/delete-manifests.ts`, as every other deletion is; a dry run ends before
 */
import type { Index } from '../../index/index.ts'
import type { Logger } from '../../log.ts'
import { everything } from '../../oci/pagination.ts'
import { deleteImages } from '../../registry/delete-manifests.ts'
import type { EventSink } from '../../registry/event-sink.ts'
import type { History } from '../../registry/history.ts'
import type { ImmutableTags } from '../../registry/policies/immutable-tags.ts'
import type { IndexCondition } from '../../registry/index-condition.ts'
import type { LinkGuard } from '../../registry/link-guard.ts'
import type { Mirroring } from '../../registry/mirror/mirroring.ts'
import type { PullNotes } from '../../registry/pull-notes.ts'
import type { ReadOnlyMode } from '../../registry/policies/read-only-mode.ts'
import type { TagListener } from '../../registry/tags/tag-listener.ts'
import type { ManifestUpgrade } from '../rebuild/manifest-upgrade.ts'
import { requireOwnFailure } from '../gc/stopped.ts'
import { planRetention, type RetentionDecision, type RetentionPlan } from './plan.ts'
import { readRepositoryState } from './repository-state.ts'
import { compileRules, type CompiledRule, type RetentionRule } from './rules.ts'

export type { RetentionDecision } from './plan.ts'

const second = 1000
/** Tags of a repository that are named in the log */
const maxNamed = 20

export interface RetentionComponents {
  index: Index
  links: Pick<LinkGuard, 'repositories'>
  pulls: Pick<PullNotes, 'lastPulls' | 'since'>
  condition: Pick<IndexCondition, 'requireWhole'>
  /** While the registry is read-only, nothing is deleted */
  readOnly: Pick<ReadOnlyMode, 'begin' | 'signal' | 'state'>
  /** Undefined where no other registry is mirrored; what is mirrored is a cache, and not for rules */
  mirroring?: Pick<Mirroring, 'mirrors'> | undefined
  upgrade: Pick<ManifestUpgrade, 'run'>
  /** @default no tag is immutable */
  immutable?: Pick<ImmutableTags, 'has'> | undefined
  tagListener?: TagListener | undefined
  /** Remembers what can be undone; undefined: nothing can */
  history?: History | undefined
  /** Undefined where nobody can hear of events */
  events?: Pick<EventSink, 'commit'> | undefined
  log: Logger
}

export interface RetentionInit {
  rules: readonly RetentionRule[]
  /** Time from one run to the next; milliseconds. 0 means only on request. */
  interval: number
  /** @default Date.now */
  now?: () => number
}

/** What a run deleted, or in a dry run would delete */
export interface RetentionResult {
  dryRun: boolean
  /** Repositories that a rule is about */
  repositories: number
  /** How many were deleted, and how many tags of these repositories stay */
  tags: number
  keptTags: number
  manifests: number
  seconds: number
}

/** How far a run is */
export type RetentionProgress = Pick<RetentionResult, 'repositories' | 'tags' | 'keptTags' | 'manifests'>

export interface RetentionOptions {
  dryRun?: boolean | undefined
  onProgress?: ((progress: RetentionProgress) => void) | undefined
  /** Told of what becomes of the tags and manifests of each repository, and why */
  onDecisions?: ((decisions: readonly RetentionDecision[]) => void) | undefined
}

export class Retention {
  readonly #components: RetentionComponents
  readonly #rules: readonly CompiledRule[]
  readonly #interval: number
  readonly #now: () => number
  #controller = new AbortController()
  #timer: NodeJS.Timeout | undefined
  #last: Promise<unknown> = Promise.resolve()

  constructor(components: RetentionComponents, { rules, interval, now = Date.now }: RetentionInit) {
    this.#components = components
    this.#rules = compileRules(rules)
    this.#interval = interval
    this.#now = now
  }

  async start(): Promise<void> {
    this.#controller = new AbortController()
    if (this.#interval > 0 && this.#rules.length > 0) {
      this.#timer ??= setInterval(() => {
        if (this.#components.readOnly.state === undefined) {
          // the failure is already in the log
          this.run().catch(() => {})
        }
      }, this.#interval).unref()
    }
  }

  /** Cuts a run short; the next one does the rest */
  async stop(): Promise<void> {
    clearInterval(this.#timer)
    this.#timer = undefined
    this.#controller.abort()
    await this.#last
  }

  /**
   * Deletes what the rules let go, after the runs that were requested before
   *
   * @throws OciError UNAVAILABLE where the run is cut short or the index is not whole; UNSUPPORTED while the registry
   *   is read-only, except for a dry run
   */
  async run(options: RetentionOptions = {}): Promise<RetentionResult> {
    const { signal } = this.#controller
    const result = this.#last.then(async () => await this.#runAndLog(options, signal))
    this.#last = result.catch(() => {})
    return await result
  }

  async #runAndLog(options: RetentionOptions, stop: AbortSignal): Promise<RetentionResult> {
    const { condition, log, readOnly, upgrade } = this.#components
    const { dryRun = false } = options
    using _write = dryRun ? undefined : readOnly.begin()
    const signal = dryRun ? stop : AbortSignal.any([stop, readOnly.signal])
    const began = performance.now()
    try {
      signal.throwIfAborted()
      condition.requireWhole()
      await upgrade.run(signal)
      const found = await this.#run(options, signal)
      const result = { dryRun, ...found, seconds: Math.round(performance.now() - began) / second }
      log.info('retention applied', result)
      return result
    } catch (err) {
      requireOwnFailure(err, { stop, signal })
      log.error('retention not applied', { err })
      throw err
    }
  }

  async #run(
    { dryRun = false, onDecisions, onProgress }: RetentionOptions,
    signal: AbortSignal,
  ): Promise<RetentionProgress> {
    const { index, links, mirroring } = this.#components
    const progress: RetentionProgress = { repositories: 0, tags: 0, keptTags: 0, manifests: 0 }
    for await (const repository of index.repositories(everything)) {
      const rules = this.#rules.filter(rule => rule.hasRepository(repository))
      if (rules.length === 0 || mirroring?.mirrors.find(repository) !== undefined) {
        continue
      }
      const plan = await links.repositories.run(repository, async () => await this.#apply(repository, rules, dryRun), {
        signal,
      })
      progress.repositories++
      progress.tags += plan.tags.length
      progress.keptTags += plan.decisions.filter(({ action, tag }) => action === 'keep' && tag !== undefined).length
      progress.manifests += plan.manifests.size
      onDecisions?.(plan.decisions)
      onProgress?.({ ...progress })
    }
    return progress
  }

  /** The caller holds the lock of the repository */
  async #apply(repository: string, rules: readonly CompiledRule[], dryRun: boolean): Promise<RetentionPlan> {
    const { index, immutable, log, pulls } = this.#components
    const state = await readRepositoryState({ index, pulls }, repository)
    const plan = planRetention(state, {
      rules,
      isImmutable: (name, tag) => immutable?.has(name, tag) === true,
      now: this.#now(),
    })
    if (dryRun || plan.tags.length + plan.manifests.size === 0) {
      return plan
    }
    const tags = new Map(plan.tags.map(tag => [tag, state.tags.get(tag)!]))
    const updated = new Date(this.#now()).toISOString()
    const why = { action: 'retention' as const, reason: 'retention', updated }
    await deleteImages(this.#components, repository, { tags, manifests: plan.manifests }, why)
    log.info('images deleted by retention', {
      repository,
      tags: plan.tags.length,
      manifests: plan.manifests.size,
      names: plan.tags.slice(0, maxNamed),
    })
    return plan
  }
}
